// Closed steps: the rank writes them into a ring, the keeper takes them out.
#include <time.h>

#include <algorithm>

#include "tally/counters.h"
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

// The running totals of a page at the edge of a step.
struct AtEdge {
  OpCount executed;
  Processed processed;
};

// Those of step `number`, if the ring (still) holds it.
std::optional<AtEdge> read_entry(const StepRing& ring, uint64_t number) noexcept {
  const StepEntry& entry = ring.entries[number % kStepRing];
  if (entry.step.load(std::memory_order_acquire) != number) return std::nullopt;
  const uint64_t low = entry.executed_low.load(std::memory_order_acquire);
  const uint64_t high = entry.executed_high.load(std::memory_order_acquire);
  const Processed processed{entry.samples.load(std::memory_order_acquire),
                            entry.tokens.load(std::memory_order_acquire)};
  if (entry.step.load(std::memory_order_acquire) != number) return std::nullopt;
  return AtEdge{OpCount::from_limbs(low, high), processed};
}

// Said by people: a sum that would wrap stays where it is the largest.
void add_until_full(Word64& word, uint64_t more) noexcept {
  uint64_t sum = load(word);
  while (more > 0 &&
         !word.compare_exchange_weak(sum, more > UINT64_MAX - sum ? UINT64_MAX : sum + more,
                                     std::memory_order_relaxed)) {
  }
}

}  // namespace

void add_processed(const Processed& processed) noexcept {
  Page* page = active_page();
  if (page == nullptr) return;
  add_until_full(page->layout().edge.samples, processed.samples);
  add_until_full(page->layout().edge.tokens, processed.tokens);
}

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
  copy(entry.samples, layout.edge.samples);
  copy(entry.tokens, layout.edge.tokens);
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
    const std::optional<AtEdge> total = read_entry(layout_->steps, number);
    if (!total.has_value()) {
      if (taken.steps.empty()) continue;
      break;  // overrun while we read: the next call begins with what is missed here
    }
    const OpCount since = checked_subtract(total->executed, steps_executed_).value_or(OpCount());
    const Processed processed = difference(total->processed, steps_processed_);
    if (number == next_step_) {
      taken.steps.push_back({number, since, processed});
    } else {
      taken.missed += number - next_step_ + 1;  // its own share of the sum is not known either
      taken.missed_executed = saturating_add(taken.missed_executed, since);
      taken.missed_processed = saturating_add(taken.missed_processed, processed);
    }
    next_step_ = number + 1;
    steps_executed_ = std::max(steps_executed_, total->executed);
    steps_processed_ = saturating_add(steps_processed_, processed);
  }
  return taken;
}

}  // namespace account::tally
