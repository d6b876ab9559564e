// install(): checks that this adapter fits the process, registers the kernels, tries them out.
#include <ATen/Version.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "account/torch.h"
#include "account/version.h"
#include "count/audit.h"
#include "count/formula.h"
#include "tally/tally.h"
#include "torch/audit.h"
#include "torch/boxed.h"
#include "torch/canary.h"
#include "torch/foreign.h"
#include "torch/typed.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

constexpr std::string_view kBuiltFor = ACCOUNT_TORCH_VERSION;

std::string_view minor_of(std::string_view version) {
  return version.substr(0, version.find('.', version.find('.') + 1));
}

// The version of the libtorch_cpu.so in this process. torch has no function for it; its build
// settings hold "TORCH_VERSION=2.13.0".
std::string loaded_torch_version() {
  constexpr std::string_view kLabel = "TORCH_VERSION=";
  const std::string config = at::show_config();
  const size_t at = config.find(kLabel);
  if (at == std::string::npos) return {};
  const size_t begin = at + kLabel.size();
  return config.substr(begin, config.find_first_of(", \n", begin) - begin);
}

Status check_fit() {
  if (build_id() != ACCOUNT_BUILD_ID) {
    return {Code::unavailable,
            "libaccount_torch.so was built with another libaccount.so (build " ACCOUNT_BUILD_ID
            ") than the loaded one (build " +
                std::string(build_id()) + ")",
            "install both from the same build"};
  }
  const std::string loaded = loaded_torch_version();
  if (minor_of(loaded) != minor_of(kBuiltFor)) {
    return {Code::unavailable,
            "libaccount_torch.so was built for torch " + std::string(kBuiltFor) +
                ", but this process runs torch " + (loaded.empty() ? "of no version" : loaded),
            "run `account doctor --build` with this torch installed"};
  }
  return {};
}

// Resolves a row against the loaded torch's schema; false where it does not fit.
bool resolve(const count::Row& row, const c10::FunctionSchema& schema, Reading& reading) {
  if (schema.arguments().size() > Reading::kMaxSchemaArguments) return false;
  reading.index_of.fill(Reading::kNone);
  for (std::string_view rest = row.arguments; !rest.empty(); ++reading.arguments) {
    const auto [name, fact] = count::take_argument(rest);
    const auto index = static_cast<int8_t>(reading.arguments);
    int8_t place = Reading::kOutput;
    if (name != "->") {
      const auto position = schema.argumentIndexWithName(std::string(name));
      if (!position.has_value()) return false;
      place = static_cast<int8_t>(*position);
    }
    if (fact != count::Fact::sizes) {
      if (reading.facts == Reading::kMaxFacts) return false;
      reading.fact_of[static_cast<size_t>(reading.facts++)] = {place, index, fact};
      reading.late_fact = reading.late_fact || place == Reading::kOutput;
    } else if (place == Reading::kOutput) {
      reading.output_index = index;
    } else {
      reading.index_of[static_cast<size_t>(place)] = index;
    }
  }
  reading.row = &row;
  if (row.dtype_from == "->") return true;
  reading.dtype_position = Reading::kNone;
  if (row.dtype_from.starts_with('=')) {
    const auto dtype = dtype_from_name(row.dtype_from.substr(1));
    reading.dtype = dtype.value_or(DType::other);
    return dtype.has_value();
  }
  const auto position = schema.argumentIndexWithName(std::string(row.dtype_from));
  if (!position.has_value()) return false;
  reading.dtype_position = static_cast<int8_t>(*position);
  return true;
}

std::span<const count::Row* const> rows_of(const std::string& op) {
  static const auto& by_op = *new std::map<std::string_view, std::vector<const count::Row*>>([] {
    std::map<std::string_view, std::vector<const count::Row*>> rows;
    for (const count::Row& row : count::table()) rows[row.op].push_back(&row);
    return rows;
  }());
  const auto found = by_op.find(op);
  if (found == by_op.end()) return {};
  return found->second;
}

// An op overload's name, and whether the row is for sparse layouts.
struct Overload {
  std::string name;
  bool sparse;
};
Overload overload_of(const count::Row& row) {
  constexpr std::string_view kSparse = "sparse";
  if (!row.overload.starts_with(kSparse)) return {std::string(row.overload), false};
  std::string_view rest = row.overload.substr(kSparse.size());
  if (rest.starts_with('.')) rest.remove_prefix(1);
  return {std::string(rest), true};
}

// The rows of one op overload, resolved; nothing where it has none. Adds the names of rows that do
// not fit to `unfit`.
std::optional<WatchedOp> find_op(const c10::OperatorHandle& handle, std::string& unfit) {
  const c10::OperatorName& name = handle.operator_name();
  const c10::FunctionSchema& schema = handle.schema();
  std::optional<WatchedOp> found;
  for (const count::Row* row : rows_of(name.name)) {
    const auto [overload, sparse] = overload_of(*row);
    if (overload != name.overload_name) continue;
    WatchedOp op = found.value_or(WatchedOp());
    if (!resolve(*row, schema, sparse ? op.sparse : op.dense)) {
      unfit.append(unfit.empty() ? "" : ", ").append(row->op).append(".").append(row->overload);
      continue;
    }
    op.op_id = tally::op_id(row->op);
    op.schema_arguments = static_cast<int>(schema.arguments().size());
    op.schema_returns = static_cast<int>(schema.returns().size());
    found = op;
  }
  if (found.has_value() && (found->schema_returns == 0)) return {};
  return found;
}

// Where kernels of one namespace are registered. Never destroyed: torch may dispatch until the
// process is gone.
::torch::Library& library_of(const std::string& op) {
  static auto& libraries = *new std::map<std::string, ::torch::Library, std::less<>>;
  const std::string space = op.substr(0, op.find("::"));
  auto library = libraries.find(space);
  if (library == libraries.end()) {
    library = libraries
                  .try_emplace(space, ::torch::Library::IMPL, space,
                               c10::DispatchKey::BackendSelect, __FILE__, __LINE__)
                  .first;
  }
  return library->second;
}

// Registers the kernel of an op overload that has a row; false where it has none.
bool register_row(const std::string& op, const std::string& overload, std::string& unfit) {
  if (rows_of(op).empty()) return false;
  const auto handle = c10::Dispatcher::singleton().findSchema({op, overload});
  // Another library's op of that name may take other arguments in another version: it is listed.
  std::string elsewhere;
  const bool is_torchs = !op.starts_with("flash_attn::");
  const auto watched =
      handle.has_value() ? find_op(*handle, is_torchs ? unfit : elsewhere) : std::nullopt;
  if (!watched.has_value()) return false;
  ::torch::Library& library = library_of(op);
  if (!register_typed(library, *watched, overload)) register_boxed(library, *watched, overload);
  watch_place(op, overload);
  return true;
}

// Registers a kernel for every op of the table that this torch has, and from then on for every op
// that is defined.
Status register_kernels() {
  static auto& unfit = *new std::string;
  follow_definitions([](const std::string& op, const std::string& overload) {
    return register_row(op, overload, unfit);
  });
  if (unfit.empty()) return {};
  return {Code::unavailable, "this torch has other arguments than expected for " + unfit,
          "report it; until then these operations are not counted"};
}

// An audited step begins by seeing whether anything is still watched at all.
void audit(bool on) {
  if (on) check_watching_and_tell(true);
  watch_every_op(on);
}

Status install_once() {
  try {
    ACCOUNT_RETURN_IF_ERROR(check_fit());
    ACCOUNT_RETURN_IF_ERROR(register_kernels());
    count::watch_all_ops.store(audit, std::memory_order_release);
    return check_watching();
  } catch (const std::exception& error) {
    return {Code::unavailable, std::string("torch refused the counting kernels: ") + error.what()};
  }
}

}  // namespace

Status install() {
  static std::mutex mutex;
  static auto& outcome = *new std::unique_ptr<Status>;
  const std::lock_guard lock(mutex);
  if (!outcome) outcome = std::make_unique<Status>(install_once());
  if (outcome->ok()) watch_new_ops();
  return *outcome;
}

std::string built_for() { return std::string(kBuiltFor); }

}  // namespace account::torch
