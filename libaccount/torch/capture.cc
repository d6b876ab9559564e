// The captured calls of the graph that is being made.
#include "torch/capture.h"

#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "count/transcript.h"
#include "count/uncounted.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

struct Capture {
  std::mutex mutex;
  std::vector<CapturedWork::Entry> entries;
  std::optional<std::vector<CapturedWork::Note>> notes;  // has a value while a capture is under way
};
// Never destroyed: threads may count until the process is gone.
Capture& the_capture() {
  static auto& instance = *new Capture;
  return instance;
}

}  // namespace

constinit std::atomic<bool> capturing{false};

void CapturedWork::replay() const noexcept {
  for (const Entry& entry : entries_) tally::add(entry.key, entry.figures);
  thread_state.counted += entries_.size();
  count::record_not_kept(entries_.size());
  for (const Note& note : notes_) count::note_uncounted(note.op, note.reason, note.bound);
}

void begin_capture() noexcept {
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  capture.notes.emplace();
  capture.entries.clear();
  capturing.store(true, std::memory_order_release);
}

CapturedWork* end_capture() {
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  capturing.store(false, std::memory_order_release);
  // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): this one may throw; adapter.h
  return new CapturedWork(
      std::exchange(capture.entries, {}),
      std::exchange(capture.notes, std::nullopt).value_or(std::vector<CapturedWork::Note>()));
}

bool keep_captured(const tally::Key& key, const Figures& figures) noexcept {
  Capture& capture = the_capture();
  const std::lock_guard lock(capture.mutex);
  if (!capturing.load(std::memory_order_acquire)) return false;
  try {
    capture.entries.push_back({key, figures});
  } catch (const std::exception&) {
    count::note_uncounted("CUDA graph", "out of memory while it was captured");
  }
  return true;
}

void count_without_row(const tally::Key& key, const Figures& figures) noexcept {
  ++thread_state.counted;
  if (capturing.load(std::memory_order_relaxed) && keep_captured(key, figures)) return;
  tally::add(key, figures);
  count::record_not_kept(1);
}

void list_uncounted(std::string_view op, std::string_view reason, OpCount bound) noexcept {
  try {
    Capture& capture = the_capture();
    const std::lock_guard lock(capture.mutex);
    if (capture.notes.has_value()) {
      capture.notes->push_back({std::string(op), std::string(reason), bound});
      return;
    }
  } catch (const std::exception&) {
    op = "CUDA graph", reason = "out of memory while it was captured";
  }
  count::note_uncounted(op, reason, bound);
}

}  // namespace account::torch
