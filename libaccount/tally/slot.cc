// The reading half of the slot protocol.
#include "tally/slot.h"

namespace account::tally {
namespace {

// A try takes some 100 ns beside a writer in a tight loop, and one in a few succeeds. Only a page
// whose sequence is changed without end (no rank of ours does that) can use up all of them; then
// the last look has to do, so that such a page costs the keeper at most a second.
constexpr int kMostTries = 2000;

// Every load acquires: no later load of the same try may move before it.
uint64_t take(const Word64& word) noexcept { return word.load(std::memory_order_acquire); }

OpCount take(const Word64& low, const Word64& high) noexcept {
  const uint64_t low_limb = take(low);
  return OpCount::from_limbs(low_limb, take(high));
}

CellCopy take(const Cell& cell) noexcept {
  CellCopy copy;
  copy.key = take(cell.key);
  copy.calls = take(cell.calls);
  copy.figures.executed = take(cell.executed_low, cell.executed_high);
  copy.figures.model = take(cell.model_low, cell.model_high);
  copy.figures.lower = take(cell.lower_low, cell.lower_high);
  return copy;
}

// Runs `look(odd)` until the slot did not change meanwhile; `odd`: the undo copy is the stable one.
template <class Look>
auto read_stable(const SlotHead& head, Look look) noexcept {
  for (int tries = 1;; ++tries) {
    const uint64_t before = take(head.sequence);
    const auto seen = look(before % 2 == 1);
    if (take(head.sequence) == before || tries == kMostTries) return seen;
  }
}

}  // namespace

CellCopy read_cell(const SlotHead& head, std::span<const Cell> cells, size_t index) noexcept {
  return read_stable(head, [&](bool odd) {
    const bool changing = odd && take(head.undo_index) == index;
    return take(changing ? head.undo : cells[index]);
  });
}

OpCount read_total(const SlotHead& head) noexcept {
  return read_stable(head, [&](bool odd) {
    return odd ? take(head.undo_total_low, head.undo_total_high)
               : take(head.total_low, head.total_high);
  });
}

}  // namespace account::tally
