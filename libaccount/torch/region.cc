// Counting a compiled graph's call.
#include "torch/region.h"

#include <algorithm>

#include "count/transcript.h"
#include "count/uncounted.h"
#include "tally/tally.h"
#include "torch/audit.h"
#include "torch/capture.h"
#include "torch/category.h"
#include "torch/phase.h"
#include "torch/watch.h"

namespace account::torch {
GraphCounts::GraphCounts(const std::vector<GraphCall>& calls) {
  for (const GraphCall& call : calls) {
    if (call.phase == kAudited) {
      add_audited(call);
      continue;
    }
    Entry entry{count::find_row(call.op, call.overload),
                {},
                0,
                call.dtype,
                phase_from_name(call.phase),
                call.phase == kTraining,
                {}};
    if (call.overload == kUnknown) {
      (void)count::fill(call.arguments, entry.arguments);
      declined_.push_back({call.op, call.phase, count::bound_of_call(entry.arguments)});
      continue;
    }
    if (call.overload == kLiteral) {
      add_literal(call, entry);
      continue;
    }
    if (entry.row == nullptr) {
      declined_.push_back({call.op, "it has no formula", OpCount()});
      continue;
    }
    entry.op_id = tally::op_id(entry.row->op);
    const bool filled = count::fill(call.arguments, entry.arguments);
    const count::Counted counted =
        count::count_call(*entry.row, entry.arguments, entry.dtype, Phase::forward);
    if (!filled || counted.decline != count::Decline::none) {
      declined_.push_back({call.op,
                           filled ? std::string(count::name(counted.decline))
                                  : "more dimensions than a formula reads",
                           count::bound_of_call(entry.arguments)});
      continue;
    }
    entries_.push_back(entry);
  }
}

void GraphCounts::add_literal(const GraphCall& call, Entry entry) {
  const auto& numbers = call.arguments.empty() ? std::nullopt : call.arguments[0];
  if (!numbers.has_value() || numbers->size() != 1 || (*numbers)[0] < 0) {
    return declined_.push_back({call.op, "its formula gave no number of operations", OpCount()});
  }
  entry.row = nullptr;
  entry.op_id = tally::op_id(call.op);
  entry.literal = static_cast<uint64_t>((*numbers)[0]);
  entries_.push_back(entry);
}

void GraphCounts::add_audited(const GraphCall& call) {
  const auto numbers = [&](size_t at) {
    return at < call.arguments.size() ? call.arguments[at].value_or(std::vector<int64_t>())
                                      : std::vector<int64_t>();
  };
  const std::vector<int64_t> elements = numbers(0), query = numbers(1), key = numbers(2),
                             times = numbers(3);
  // A size that only the data decides is -1.
  const int64_t largest = elements.empty() ? 0 : *std::ranges::max_element(elements);
  if (largest <= 0 || times.size() != 1) return;
  const Audited found = audited_calls(call.op, call.overload, static_cast<uint64_t>(largest), query,
                                      key, static_cast<uint64_t>(times[0]));
  if (found.calls == 0) return;
  const auto known = std::ranges::find(audited_, found.op, &Audited::op);
  if (known == audited_.end()) return audited_.push_back(found);
  known->calls += found.calls;
  known->estimate = saturating_add(known->estimate, found.estimate);
  known->bound = saturating_add(known->bound, found.bound);
}

Figures GraphCounts::Entry::figures(Phase in) const noexcept {
  if (row != nullptr) return count::count_call(*row, arguments, dtype, in).figures;
  return {literal, in == Phase::recompute ? OpCount() : literal, literal};
}

void GraphCounts::count(OpCount shadow) const noexcept {
  for (const Declined& one : declined_) list_uncounted(one.op, one.reason, one.bound);
  const Phase now = current_phase(thread_state), training = training_phase(thread_state);
  const Category category = current_category();
  const bool recording = count::recording.load(std::memory_order_relaxed);
  OpCount executed;
  for (const Entry& entry : entries_) {
    const tally::Key key{entry.op_id, entry.dtype,
                         entry.phase.value_or(entry.training ? training : now), category};
    const Figures figures = entry.figures(key.phase);
    executed = saturating_add(executed, figures.executed);
    if (attention.load(std::memory_order_relaxed) != 0 && look_after(key, figures)) continue;
    tally::add(key, figures);
    if (recording && entry.row != nullptr) count::record(*entry.row, entry.arguments, key, figures);
    if (recording && entry.row == nullptr) count::record_not_kept(1);
  }
  thread_state.counted += entries_.size();
  if (watching_every_op()) {
    for (const Audited& calls : audited_) note_audited(calls);
  }
  if (shadow > executed) {
    count::note_uncounted("compiled graph", "the dispatcher saw more than the graph says");
  }
}

void enter_region() noexcept {
  if (thread_state.regions++ == 0) thread_state.shadow = OpCount();
}

OpCount leave_region() noexcept {
  return --thread_state.regions == 0 ? thread_state.shadow : OpCount();
}

}  // namespace account::torch
