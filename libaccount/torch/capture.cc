// The captured calls of the graph that is being made.
#include "torch/capture.h"

#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "count/audit.h"
#include "count/transcript.h"
#include "count/uncounted.h"
#include "torch/audit.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

struct Capture {
  std::mutex mutex;
  bool on = false;
  std::vector<CapturedWork::Entry> entries;
  std::vector<CapturedWork::Note> notes;
  std::map<std::string, Audited, std::less<>> audited;
};
// Never destroyed: threads may count until the process is gone.
Capture& the_capture() {
  static auto& instance = *new Capture;
  return instance;
}

// A capture without it misses what the audit sees, and nothing else.
void watch_for_capture(bool on) noexcept {
  static std::atomic<bool> watching{false};
  if (watching.exchange(on) == on) return;
  try {
    watch_every_op(on);
  } catch (const std::exception&) {
    watching = false;
  }
}

}  // namespace

void CapturedWork::replay() const noexcept {
  for (const Entry& entry : entries_) {
    if (attention.load(std::memory_order_relaxed) != 0 && look_after(entry.key, entry.figures)) {
      continue;  // replayed into another capture
    }
    tally::add(entry.key, entry.figures);
  }
  thread_state.counted += entries_.size();
  count::record_not_kept(entries_.size());
  for (const Note& note : notes_) list_uncounted(note.op, note.reason, note.bound);
  if (!watching_every_op()) return;
  for (const Audited& calls : audited_) note_audited(calls);
}

void begin_capture() noexcept {
  watch_for_capture(true);
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  capture.notes.clear();
  capture.entries.clear();
  capture.audited.clear();
  capture.on = true;
  attend(kCapturing, true);
}

CapturedWork* end_capture() {
  watch_for_capture(false);
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  capture.on = false;
  attend(kCapturing, false);
  std::vector<Audited> audited;
  audited.reserve(capture.audited.size());
  for (auto& [op, calls] : capture.audited) audited.push_back(std::move(calls));
  capture.audited.clear();
  // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): this one may throw; adapter.h
  return new CapturedWork(std::exchange(capture.entries, {}), std::exchange(capture.notes, {}),
                          std::move(audited));
}

bool keep_captured(const tally::Key& key, const Figures& figures) noexcept {
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  if (!capture.on) return false;
  try {
    capture.entries.push_back({key, figures});
  } catch (const std::exception&) {
    count::note_uncounted("CUDA graph", "out of memory while it was captured");
  }
  return true;
}

void count_without_row(const tally::Key& key, const Figures& figures) noexcept {
  ++thread_state.counted;
  if (attention.load(std::memory_order_relaxed) != 0 && look_after(key, figures)) return;
  tally::add(key, figures);
  count::record_not_kept(1);
}

void list_uncounted(std::string_view op, std::string_view reason, OpCount bound) noexcept {
  try {
    Capture& capture = the_capture();
    const std::lock_guard lock(capture.mutex);
    if (capture.on) {
      capture.notes.push_back({std::string(op), std::string(reason), bound});
      return;
    }
  } catch (const std::exception&) {
    op = "CUDA graph", reason = "out of memory while it was captured";
  }
  count::note_uncounted(op, reason, bound);
}

void note_audited(const Audited& calls) noexcept {
  try {
    Capture& capture = the_capture();
    const std::lock_guard lock(capture.mutex);
    if (capture.on) {
      Audited& sum =
          capture.audited.try_emplace(calls.op, Audited{calls.op, 0, {}, {}}).first->second;
      sum.calls += calls.calls;
      sum.estimate = saturating_add(sum.estimate, calls.estimate);
      sum.bound = saturating_add(sum.bound, calls.bound);
      return;
    }
  } catch (const std::exception&) {
    return;  // out of memory
  }
  count::note_audited(calls.op, calls.estimate, calls.bound, calls.calls);
}

}  // namespace account::torch
