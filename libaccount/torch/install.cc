// install(): checks that this adapter fits the process, registers the kernels, tries them out.
#include <ATen/EmptyTensor.h>
#include <ATen/Version.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/mm_ops.h>
#include <torch/library.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "account/torch.h"
#include "account/version.h"
#include "count/formula.h"
#include "tally/tally.h"
#include "torch/boxed.h"
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
            "build libaccount again with this torch installed"};
  }
  return {};
}

// Resolves a row against the loaded torch's schema; false where it does not fit.
bool resolve(const count::Row& row, const c10::FunctionSchema& schema, WatchedOp& op) {
  if (schema.arguments().size() > WatchedOp::kMaxSchemaArguments) return false;
  op.row = &row;
  op.schema_arguments = static_cast<int>(schema.arguments().size());
  op.schema_returns = static_cast<int>(schema.returns().size());
  op.index_of.fill(-1);
  std::string_view rest = row.arguments;
  for (; !rest.empty(); ++op.arguments) {
    const std::string_view name = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (name == "->") {
      op.output_index = static_cast<int8_t>(op.arguments);
      continue;
    }
    const auto position = schema.argumentIndexWithName(name);
    if (!position.has_value()) return false;
    op.index_of[static_cast<size_t>(*position)] = static_cast<int8_t>(op.arguments);
  }
  if (row.dtype_from == "->") return true;
  const auto position = schema.argumentIndexWithName(row.dtype_from);
  if (!position.has_value()) return false;
  op.dtype_position = static_cast<int8_t>(*position);
  return true;
}

// Registers a kernel for every row that this torch has. The libraries are never destroyed: torch
// may dispatch until the process is gone.
Status register_kernels() {
  static auto& libraries = *new std::map<std::string, ::torch::Library, std::less<>>;
  std::string unfit;
  for (const count::Row& row : count::table()) {
    const auto handle =
        c10::Dispatcher::singleton().findSchema({std::string(row.op), std::string(row.overload)});
    if (!handle.has_value()) continue;  // not in this torch, or not in this build of it
    WatchedOp op;
    if (!resolve(row, handle->schema(), op)) {
      unfit.append(unfit.empty() ? "" : ", ").append(row.op).append(".").append(row.overload);
      continue;
    }
    op.op_id = tally::op_id(row.op);
    const std::string space(row.op.substr(0, row.op.find("::")));
    auto library = libraries.find(space);
    if (library == libraries.end()) {
      library = libraries
                    .try_emplace(space, ::torch::Library::IMPL, space,
                                 c10::DispatchKey::BackendSelect, __FILE__, __LINE__)
                    .first;
    }
    if (!register_typed(library->second, op)) register_boxed(library->second, op);
  }
  if (unfit.empty()) return {};
  return {Code::unavailable, "this torch has other arguments than expected for " + unfit,
          "report it; until then these operations are not counted"};
}

// One real mm, sent to where every thread's calls arrive. Counts nothing.
Status self_test() {
  const at::Tensor a(at::detail::empty_cpu({1, 1}, at::kFloat));
  struct Canary {
    Canary() { thread_state.canary = true, thread_state.canary_seen = false; }
    ~Canary() { thread_state.canary = false; }
  } canary;
  at::_ops::mm::redispatch(c10::DispatchKeySet(c10::DispatchKey::BackendSelect) | a.key_set(), a,
                           a);
  if (thread_state.canary_seen) return {};
  return {Code::unavailable, "the counting kernels were registered, but torch does not call them",
          "look for another library that overrides aten::mm for BackendSelect"};
}

Status install_once() {
  try {
    ACCOUNT_RETURN_IF_ERROR(check_fit());
    ACCOUNT_RETURN_IF_ERROR(register_kernels());
    return self_test();
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
  return *outcome;
}

std::string built_for() { return std::string(kBuiltFor); }

}  // namespace account::torch
