// Work that is captured into a CUDA graph: it runs at each replay, and not while it is captured.
// So what is counted between begin and end of a capture is kept aside, and counts at each replay.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "account/totals.h"
#include "tally/tally.h"

namespace account::torch {

// What one replay of a graph computes. Immutable; replay() from any thread.
class CapturedWork {
 public:
  struct Entry {
    tally::Key key;
    Figures figures;
  };
  // A call that could not be counted.
  struct Note {
    std::string op, reason;
    OpCount bound;
  };
  CapturedWork(std::vector<Entry> entries, std::vector<Note> notes, std::vector<Audited> audited)
      : entries_(std::move(entries)), notes_(std::move(notes)), audited_(std::move(audited)) {}
  // Counts one replay, in the phases and categories of the capture, and lists what has no count.
  void replay() const noexcept;

 private:
  std::vector<Entry> entries_;
  std::vector<Note> notes_;
  std::vector<Audited> audited_;  // counts on audit steps
};

// Captures of one process come one after the other (torch.cuda.graphs). A second begin drops what
// the first one kept; an end without a begin gives work that is empty. In between all ops are
// watched (audit.h).
void begin_capture() noexcept;
CapturedWork* end_capture();
// Keeps a call aside; false if no capture is under way any more.
bool keep_captured(const tally::Key& key, const Figures& figures) noexcept;

// Counts a call that has no row: now, or at each replay of the graph that is being captured.
void count_without_row(const tally::Key& key, const Figures& figures) noexcept;

// Lists a call that could not be counted (count/uncounted.h): now, or at each replay of the graph
// that is being captured.
void list_uncounted(std::string_view op, std::string_view reason,
                    OpCount bound = OpCount()) noexcept;

// Notes calls for the audit: now, or at each replay of the graph that is being captured.
void note_audited(const Audited& calls) noexcept;

}  // namespace account::torch
