// Closed steps: the rank writes them into a ring, the keeper takes them out.
#include <time.h>

#include <algorithm>

#include "tally/process.h"
#include "tally/slot.h"
#include "tally/tally.h"

namespace account::tally {
namespace {

uint64_t monotonic_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

OpCount total_of(const PageLayout& page) noexcept {
  OpCount total = read_total(page.overflow.head);
  for (const Slot& slot : page.slots) total = saturating_add(total, read_total(slot.head));
  return total;
}

// The running total at the edge of step `number`, if the ring (still) holds it.
std::optional<OpCount> read_entry(const StepRing& ring, uint64_t number) noexcept {
  const StepEntry& entry = ring.entries[number % kStepRing];
  if (entry.step.load(std::memory_order_acquire) != number) return std::nullopt;
  const uint64_t low = entry.executed_low.load(std::memory_order_acquire);
  const uint64_t high = entry.executed_high.load(std::memory_order_acquire);
  if (entry.step.load(std::memory_order_acquire) != number) return std::nullopt;
  return OpCount::from_limbs(low, high);
}

}  // namespace

uint64_t close_step() noexcept {
  Page* page = active_page();
  if (page == nullptr) return 0;
  PageLayout& layout = page->layout();
  const uint64_t number = load(layout.edge.steps_closed) + 1;
  const uint64_t now = monotonic_ns();
  StepEntry& entry = layout.steps.entries[number % kStepRing];
  store(entry.step, 0);
  store(entry.executed_low, entry.executed_high, total_of(layout));
  store(entry.edge_ns, now);
  store(entry.step, number);
  store(layout.edge.last_edge_ns, now);
  store(layout.edge.next_edge, number + 1);
  store(layout.edge.steps_closed, number);
  Process::instance().flush_events();
  return number;
}

PageView::Steps PageView::take_steps() {
  Steps taken;
  const uint64_t closed = layout_->edge.steps_closed.load(std::memory_order_acquire);
  if (closed < next_step_) return taken;
  const uint64_t oldest = closed < kStepRing ? 1 : closed - kStepRing + 1;
  const uint64_t first = std::max(next_step_, oldest), count = closed - first + 1;
  for (uint64_t number = first; number - first < count; ++number) {
    const std::optional<OpCount> total = read_entry(layout_->steps, number);
    if (!total.has_value()) {
      if (taken.steps.empty()) continue;
      break;  // overrun while we read: the next call begins with what is missed here
    }
    const OpCount since = checked_subtract(*total, steps_executed_).value_or(OpCount());
    if (number == next_step_) {
      taken.steps.push_back({number, since});
    } else {
      taken.missed += number - next_step_ + 1;  // its own share of the sum is not known either
      taken.missed_executed = saturating_add(taken.missed_executed, since);
    }
    next_step_ = number + 1;
    steps_executed_ = std::max(steps_executed_, *total);
  }
  return taken;
}

}  // namespace account::tally
