// The process's list of audited ops, and the steps on which it was made.
#include "count/audit.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "base/json.h"
#include "tally/tally.h"

namespace account::count {
namespace {

constexpr size_t kMostOpsTold = 12;    // of a step, those with the largest bound
constexpr size_t kMostStepsKept = 64;  // of this process; the keeper has them all

struct Register {
  std::mutex mutex;
  std::map<std::string, Audited, std::less<>> ops;
  std::vector<AuditedStep> steps;
  // At the beginning of the step that is being audited.
  std::vector<Audited> ops_before;
  OpCount executed_before;
  bool auditing = false;
};

// Never destroyed: threads may count until the process is gone.
Register& the_register() {
  static auto& instance = *new Register;
  return instance;
}

OpCount executed_so_far() { return tally::to_totals(tally::read_process()).executed; }

void tell(uint64_t step, const AuditedStep& sum, std::vector<Audited> ops) {
  std::ranges::sort(ops, std::ranges::greater(), &Audited::bound);
  ops.resize(std::min(ops.size(), kMostOpsTold));
  Json largest = Json::array();
  for (const Audited& op : ops) largest.push(Json::array({op.op, op.calls, op.estimate, op.bound}));
  tally::post_event(tally::EventKind::note, Json::object({{"kind", "audit"},
                                                          {"step", OpCount(step)},
                                                          {"executed", sum.executed},
                                                          {"estimate", sum.estimate},
                                                          {"bound_operations", sum.bound},
                                                          {"largest", std::move(largest)}})
                                                .dump());
}

}  // namespace

constinit std::atomic<void (*)(bool on)> watch_all_ops{nullptr};

void note_audited(std::string_view op, OpCount estimate, OpCount bound, uint64_t calls) noexcept {
  try {
    Register& known = the_register();
    const std::lock_guard lock(known.mutex);
    auto entry = known.ops.find(op);
    if (entry == known.ops.end()) {
      entry = known.ops.try_emplace(std::string(op), Audited{std::string(op), 0, {}, {}}).first;
    }
    Audited& audited = entry->second;
    audited.calls += calls;
    audited.estimate = saturating_add(audited.estimate, estimate);
    audited.bound = saturating_add(audited.bound, bound);
  } catch (const std::exception&) {
    return;  // out of memory: training goes on
  }
}

std::vector<Audited> read_audited() {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  std::vector<Audited> all;
  all.reserve(known.ops.size());
  for (const auto& [op, audited] : known.ops) all.push_back(audited);
  return all;
}

std::vector<Audited> subtract(const std::vector<Audited>& later,
                              const std::vector<Audited>& earlier) {
  std::map<std::string, const Audited*> before;
  for (const Audited& item : earlier) before[item.op] = &item;
  std::vector<Audited> between;
  for (Audited item : later) {
    const auto known = before.find(item.op);
    if (known != before.end()) {
      item.calls -= known->second->calls;
      item.estimate = checked_subtract(item.estimate, known->second->estimate).value_or(OpCount());
      item.bound = checked_subtract(item.bound, known->second->bound).value_or(OpCount());
    }
    if (item.calls != 0) between.push_back(std::move(item));
  }
  return between;
}

void add_audited(Totals& totals, std::vector<Audited> audited) {
  for (const Audited& item : audited) totals.upper = saturating_add(totals.upper, item.bound);
  totals.audited = std::move(audited);
}

OpCount bound_by_audits(const std::vector<AuditedStep>& steps, OpCount executed) noexcept {
  OpCount worst;
  for (const AuditedStep& step : steps) {
    if (step.executed == OpCount()) {
      worst = std::max(worst, step.bound);
      continue;
    }
    const OpCount times = OpCount::from_raw(executed.raw() / step.executed.raw() + 1);
    worst = std::max(worst, saturating_multiply(times, step.bound));
  }
  return worst;
}

void begin_audited_step() noexcept {
  auto* const watch = watch_all_ops.load(std::memory_order_acquire);
  if (watch == nullptr) return;
  try {
    std::vector<Audited> ops = read_audited();
    const OpCount executed = executed_so_far();
    {
      Register& known = the_register();
      const std::lock_guard lock(known.mutex);
      known.ops_before = std::move(ops);
      known.executed_before = executed;
      if (std::exchange(known.auditing, true)) return;
    }
    watch(true);
  } catch (const std::exception&) {
    return;
  }
}

void end_audited_step(uint64_t step) noexcept {
  auto* const watch = watch_all_ops.load(std::memory_order_acquire);
  if (watch == nullptr) return;
  try {
    Register& known = the_register();
    {
      const std::lock_guard lock(known.mutex);
      if (!std::exchange(known.auditing, false)) return;
    }
    watch(false);
    if (step == 0) return;
    const std::vector<Audited> now = read_audited();
    const OpCount executed = executed_so_far();
    AuditedStep sum;
    std::vector<Audited> ops;
    {
      const std::lock_guard lock(known.mutex);
      ops = subtract(now, known.ops_before);
      sum.executed = checked_subtract(executed, known.executed_before).value_or(OpCount());
      for (const Audited& op : ops) {
        sum.estimate = saturating_add(sum.estimate, op.estimate);
        sum.bound = saturating_add(sum.bound, op.bound);
      }
      if (known.steps.size() < kMostStepsKept) known.steps.push_back(sum);
    }
    tell(step, sum, std::move(ops));
  } catch (const std::exception&) {
    return;
  }
}

std::vector<AuditedStep> audited_steps() {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  return known.steps;
}

}  // namespace account::count
