// The C interface, over the C++ one: no logic of its own.
#include <cstring>
#include <exception>
#include <string>

#include "account/c.h"
#include "account/formula.h"
#include "account/keys.h"
#include "account/run.h"
#include "account/version.h"
#include "gate/gate.h"
#include "run/settings.h"
#include "tally/tally.h"

struct account_run {
  account::Run run;
};

namespace account {
namespace {

static_assert(static_cast<int>(Code::internal) == ACCOUNT_INTERNAL);
static_assert(static_cast<int>(Code::shutdown_ordered) == ACCOUNT_SHUTDOWN_ORDERED);
static_assert(static_cast<int>(Code::threshold_reached) == ACCOUNT_THRESHOLD_REACHED);

thread_local std::string last_error;

account_code tell(const Status& status) {
  if (!status.ok()) last_error = status.to_string();
  return static_cast<account_code>(status.code());
}

// No exception may reach a caller that has none: out of memory, a callback of C++ that throws.
template <typename Do>
account_code guarded(Do&& action) {
  try {
    return tell(action());
  } catch (const std::exception& failure) {
    return tell(Status(Code::internal, failure.what()));
  } catch (...) {
    return tell(Status(Code::internal, "an exception of unknown kind"));
  }
}

Status missing(const char* what) {
  return {Code::invalid_argument, std::string(what) + " is NULL", "see account/c.h"};
}

std::string text(const char* words) { return words == nullptr ? "" : words; }

account_op_count to_c(OpCount count) { return {count.low(), count.high()}; }

// What a caller that was compiled against an earlier account_options has given.
account_options complete(const account_options* given) {
  account_options options{};
  if (given != nullptr) {
    std::memcpy(&options, given, given->size < sizeof(options) ? given->size : sizeof(options));
  }
  return options;
}

Status of_callback(account_code code) {
  if (code == ACCOUNT_OK) return {};
  return {static_cast<Code>(code), "the job's own function failed"};
}

account_code write_to(void* sink, const void* bytes, size_t size) {
  const Sink& to = *static_cast<const Sink*>(sink);
  return guarded([&] { return to({static_cast<const char*>(bytes), size}); });
}

RunOptions to_cpp(const account_options& given) {
  RunOptions options;
  options.model = text(given.model);
  options.dir = text(given.dir);
  options.run = text(given.run);
  options.policies = split_list(text(given.policies));
  options.parents = split_list(text(given.parents));
  options.authority = text(given.authority);
  options.developer = text(given.developer);
  options.resume = text(given.resume);
  options.setting = text(given.setting);
  options.framework = text(given.framework);
  options.lease = text(given.lease);
  if (given.save_state != nullptr) {
    options.state = [given](const Sink& to) {
      Sink copy = to;
      return of_callback(given.save_state(given.context, &write_to, &copy));
    };
  }
  return options;
}

Status add(account_op_count operations, const char* op, const char* dtype, const char* phase,
           const char* category) {
  if (op == nullptr || *op == '\0') return missing("op");
  const auto in = dtype_from_name(text(dtype));
  const auto of = phase_from_name(text(phase));
  const auto under =
      category == nullptr ? std::optional(Category::unassigned) : category_from_name(category);
  if (!in || !of || !under) {
    const char* word = !in ? dtype : !of ? phase : category;
    return {Code::invalid_argument, "'" + text(word) + "' is no dtype, phase or category",
            "account/c.h names them"};
  }
  const OpCount count = OpCount::from_limbs(operations.low, operations.high);
  if (count > kMostOperationsOfACall) {
    return {Code::invalid_argument,
            text(op) + " has " + count.to_short() + " operations in one call",
            "count each call by itself"};
  }
  tally::add({tally::op_id(op), *in, *of, *under},
             {count, *of == Phase::recompute ? OpCount() : count, count});
  return {};
}

}  // namespace
}  // namespace account

using account::Status;

const char* account_error(void) { return account::last_error.c_str(); }

const char* account_version(void) { return ACCOUNT_VERSION; }

int account_exit_code(account_code code) {
  if (code == ACCOUNT_SHUTDOWN_ORDERED) return 86;
  if (code == ACCOUNT_THRESHOLD_REACHED) return 3;
  return code == ACCOUNT_OK ? 0 : 1;
}

account_code account_start(const account_options* options, account_run** run) {
  return account::guarded([&]() -> Status {
    if (run == nullptr) return account::missing("run");
    auto started = account::Run::start(account::to_cpp(account::complete(options)));
    if (!started.ok()) return started.status();
    *run = new account_run{std::move(started).value()};
    return {};
  });
}

account_code account_step(account_run* run) {
  if (run != nullptr && run->run.close_step()) [[likely]]
    return ACCOUNT_OK;
  return account::guarded(
      [&] { return run == nullptr ? account::missing("run") : run->run.obey(); });
}

account_code account_processed(account_run* run, uint64_t samples, uint64_t tokens) {
  if (run == nullptr) return account::guarded([] { return account::missing("run"); });
  run->run.processed(samples, tokens);
  return ACCOUNT_OK;
}

account_code account_add(account_op_count operations, const char* op, const char* dtype,
                         const char* phase, const char* category) {
  return account::guarded([&] { return account::add(operations, op, dtype, phase, category); });
}

account_code account_totals(const account_run* run, account_figures* figures) {
  return account::guarded([&]() -> Status {
    if (run == nullptr || figures == nullptr) return account::missing("run or figures");
    const account::Totals totals = run->run.totals();
    *figures = {account::to_c(totals.executed),
                account::to_c(totals.model),
                account::to_c(totals.lower),
                account::to_c(totals.upper),
                totals.calls,
                totals.steps,
                totals.processed.samples,
                totals.processed.tokens};
    return {};
  });
}

account_code account_job_status(const account_run* run, account_job* job) {
  return account::guarded([&]() -> Status {
    if (run == nullptr || job == nullptr) return account::missing("run or job");
    const auto known = run->run.job();
    if (!known.ok()) return known.status();
    *job = {known->steps,
            account::to_c(known->operations),
            account::to_c(known->operations_per_second),
            account::to_c(known->counted),
            account::to_c(known->threshold),
            known->processed.samples,
            known->processed.tokens,
            known->tokens_per_second};
    return {};
  });
}

account_code account_saved(account_run* run, const char* path) {
  return account::guarded([&]() -> Status {
    if (run == nullptr || path == nullptr) return account::missing("run or path");
    return run->run.saved(path);
  });
}

account_code account_may_export(const char* way, const char* target) {
  return account::guarded(
      [&] { return account::gate::may_leave(account::text(way), account::text(target)); });
}

account_code account_read_state(const account_run* run, account_sink sink, void* to) {
  return account::guarded([&]() -> Status {
    if (run == nullptr || sink == nullptr) return account::missing("run or sink");
    return run->run
        .read_state([&](std::string_view bytes) {
          return account::of_callback(sink(to, bytes.data(), bytes.size()));
        })
        .status();
  });
}

account_code account_finish(account_run** run) {
  if (run == nullptr || *run == nullptr) return ACCOUNT_OK;
  const account_code code = account::guarded([&] { return (*run)->run.finish(); });
  delete *run;
  *run = nullptr;
  return code;
}
