// Writing and reading a slot of counters: both halves of layout.h, Note: [slot protocol].
//
// Must not know who owns a slot, or which page it lies in. Nothing here allocates or waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "account/totals.h"
#include "tally/layout.h"
#include "tally/tally.h"

namespace account::tally {

// ---- words ---------------------------------------------------------------------------------

inline uint64_t load(const Word64& word) noexcept { return word.load(std::memory_order_relaxed); }
// Every store of the protocol releases, which x86 gets for nothing: whoever sees it sees all that
// was stored before. So the words become visible in the order of the program.
inline void store(Word64& word, uint64_t value) noexcept {
  word.store(value, std::memory_order_release);
}

inline OpCount load(const Word64& low, const Word64& high) noexcept {
  return OpCount::from_limbs(load(low), load(high));
}
inline void store(Word64& low, Word64& high, OpCount value) noexcept {
  store(low, value.low());
  store(high, value.high());
}

// ---- writing -------------------------------------------------------------------------------

// How far a key may lie from where its hash points, so that a full slot costs a bounded search.
inline constexpr size_t kMostProbes = 16;

// The cell of `word` in a slot of 2^n cells, or the free one that it should take; nullptr where
// there is neither within kMostProbes.
inline Cell* find_cell(std::span<Cell> cells, uint64_t word) noexcept {
  // Fibonacci hashing (Knuth, TAOCP 3, 6.4): the high bits of word * 2^64/phi.
  const uint64_t hash = word * 0x9E3779B97F4A7C15ull >> 32;
  for (size_t i = 0; i < kMostProbes; ++i) {
    Cell& cell = cells[(hash + i) & (cells.size() - 1)];
    const uint64_t key = load(cell.key);
    if (key == word || key == 0) return &cell;
  }
  return nullptr;
}

inline void copy(Word64& to, const Word64& from) noexcept { store(to, load(from)); }

// A branch that is never taken is cheaper here than saturating_add()'s selection.
inline void add_to(Word64& low, Word64& high, OpCount more) noexcept {
  const Uint128 sum = load(low, high).raw() + more.raw();
  store(low, high, OpCount::from_raw(sum));
  if (sum < more.raw()) [[unlikely]]
    store(low, high, OpCount::max());
}

// Adds one call. Only the slot's owner may call this. `cell` is one of the slot's `cells`.
inline void change_cell(SlotHead& head, const Cell* cells, Cell& cell, uint64_t word,
                        const Figures& figures) noexcept {
  copy(head.undo.key, cell.key);
  copy(head.undo.calls, cell.calls);
  copy(head.undo.executed_low, cell.executed_low);
  copy(head.undo.executed_high, cell.executed_high);
  copy(head.undo.model_low, cell.model_low);
  copy(head.undo.model_high, cell.model_high);
  copy(head.undo.lower_low, cell.lower_low);
  copy(head.undo.lower_high, cell.lower_high);
  copy(head.undo_total_low, head.total_low);
  copy(head.undo_total_high, head.total_high);
  store(head.undo_index, static_cast<uint64_t>(&cell - cells));

  const uint64_t sequence = load(head.sequence);
  store(head.sequence, sequence + 1);
  store(cell.key, word);
  store(cell.calls, load(cell.calls) + 1);
  add_to(cell.executed_low, cell.executed_high, figures.executed);
  add_to(cell.model_low, cell.model_high, figures.model);
  add_to(cell.lower_low, cell.lower_high, figures.lower);
  add_to(head.total_low, head.total_high, figures.executed);
  store(head.sequence, sequence + 2);
}

// Undoes a change that its thread never finished (it was cancelled); for a slot's next owner.
inline void settle(SlotHead& head, std::span<Cell> cells) noexcept {
  const uint64_t sequence = load(head.sequence);
  if (sequence % 2 == 0) return;
  Cell& cell = cells[load(head.undo_index) % cells.size()];
  store(cell.key, load(head.undo.key));
  store(cell.calls, load(head.undo.calls));
  store(cell.executed_low, cell.executed_high,
        load(head.undo.executed_low, head.undo.executed_high));
  store(cell.model_low, cell.model_high, load(head.undo.model_low, head.undo.model_high));
  store(cell.lower_low, cell.lower_high, load(head.undo.lower_low, head.undo.lower_high));
  store(head.total_low, head.total_high, load(head.undo_total_low, head.undo_total_high));
  store(head.sequence, sequence + 1);
}

// ---- reading -------------------------------------------------------------------------------

struct CellCopy {
  uint64_t key = 0;  // 0: the cell was never used
  uint64_t calls = 0;
  Figures figures;
};

// One cell, and a slot's total, as they were at some moment during the call, whatever the writer
// does meanwhile.
CellCopy read_cell(const SlotHead& head, std::span<const Cell> cells, size_t index) noexcept;
OpCount read_total(const SlotHead& head) noexcept;

}  // namespace account::tally
