// Reading, subtracting and summing counters.
#include "tally/counters.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>

#include "tally/process.h"
#include "tally/slot.h"

namespace account::tally {
namespace {

// In the order in which rows are sorted.
using RowKey = std::tuple<std::string, Category, Phase, DType>;
using Table = std::map<RowKey, CellRow>;

RowKey key_of(const CellRow& row) { return {row.op, row.category, row.phase, row.dtype}; }

void add_figures(Figures& sum, const Figures& more) {
  sum.executed = saturating_add(sum.executed, more.executed);
  sum.model = saturating_add(sum.model, more.model);
  sum.lower = saturating_add(sum.lower, more.lower);
}

// The names of a page's ops, read as they are asked for: a process may name an op at any moment,
// and does so before it counts it. So a name is there by the time that a cell of it has been read.
class Names {
 public:
  explicit Names(const OpTable& table) : table_(table) {}
  std::string_view of(uint16_t id) {
    if (id >= names_.size()) read_on();
    return id < names_.size() ? std::string_view(names_[id]) : "other";
  }

 private:
  void read_on() {
    const uint32_t count =
        std::min(table_.count.load(std::memory_order_acquire), static_cast<uint32_t>(kOps));
    for (size_t id = names_.size(); id < count; ++id) names_.push_back(read(id));
  }
  // Names are qualified C++ identifiers; any other byte comes from a page that is not ours and is
  // shown as '?'.
  std::string read(size_t id) const {
    char bytes[kOpNameBytes];
    std::memcpy(bytes, table_.names[id], sizeof(bytes));
    std::string name(bytes, strnlen(bytes, sizeof(bytes)));
    std::replace_if(name.begin(), name.end(), [](char c) { return c <= ' ' || c > '~'; }, '?');
    return name;
  }

  const OpTable& table_;
  std::vector<std::string> names_;
};

void read_slot(const SlotHead& head, std::span<const Cell> cells, Names& names, Table& table) {
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].key.load(std::memory_order_relaxed) == 0) continue;
    const CellCopy cell = read_cell(head, cells, i);
    if (cell.key == 0) continue;  // its first call is being counted
    const Key key = to_key(cell.key);
    CellRow row{key.category, key.phase, key.dtype, std::string(names.of(key.op)), 0, {}};
    CellRow& sum = table.try_emplace(key_of(row), std::move(row)).first->second;
    sum.calls += cell.calls;
    add_figures(sum.figures, cell.figures);
  }
}

OpCount difference(OpCount later, OpCount earlier) {
  return checked_subtract(later, earlier).value_or(OpCount());
}

}  // namespace

Processed difference(const Processed& later, const Processed& earlier) noexcept {
  return {later.samples - std::min(later.samples, earlier.samples),
          later.tokens - std::min(later.tokens, earlier.tokens)};
}

Counters read_pages(const std::vector<const PageLayout*>& pages) {
  Table table;
  Counters counters;
  for (const PageLayout* page : pages) {
    counters.steps_closed += page->edge.steps_closed.load(std::memory_order_acquire);
    counters.processed =
        saturating_add(counters.processed, {load(page->edge.samples), load(page->edge.tokens)});
    Names names(page->ops);
    for (const Slot& slot : page->slots) read_slot(slot.head, slot.cells, names, table);
    read_slot(page->overflow.head, page->overflow.cells, names, table);
  }
  counters.rows.reserve(table.size());
  for (auto& [key, row] : table) counters.rows.push_back(std::move(row));
  return counters;
}

Counters read_process() {
  std::vector<const PageLayout*> layouts;
  for (const Page* page : Process::instance().pages()) layouts.push_back(&page->layout());
  return read_pages(layouts);
}

Totals to_totals(const Counters& counters) {
  Totals totals;
  totals.steps = counters.steps_closed;
  totals.processed = counters.processed;
  for (const CellRow& row : counters.rows) {
    const OpCount executed = row.figures.executed;
    totals.executed = saturating_add(totals.executed, executed);
    totals.model = saturating_add(totals.model, row.figures.model);
    totals.lower = saturating_add(totals.lower, row.figures.lower);
    totals.calls += row.calls;
    const auto add = [&](std::map<std::string, OpCount>& by, std::string_view word) {
      OpCount& sum = by[std::string(word)];
      sum = saturating_add(sum, executed);
    };
    add(totals.by_op, row.op);
    add(totals.by_phase, name(row.phase));
    add(totals.by_dtype, name(row.dtype));
    add(totals.by_category, name(row.category));
  }
  totals.upper = totals.executed;
  return totals;
}

Counters subtract(const Counters& later, const Counters& earlier) {
  std::map<RowKey, const CellRow*> before;
  for (const CellRow& row : earlier.rows) before.emplace(key_of(row), &row);
  Counters between;
  between.steps_closed = later.steps_closed - std::min(later.steps_closed, earlier.steps_closed);
  between.processed = difference(later.processed, earlier.processed);
  for (CellRow row : later.rows) {
    if (const auto known = before.find(key_of(row)); known != before.end()) {
      const CellRow& old = *known->second;
      if (row.calls <= old.calls) continue;
      row.calls -= old.calls;
      row.figures = {difference(row.figures.executed, old.figures.executed),
                     difference(row.figures.model, old.figures.model),
                     difference(row.figures.lower, old.figures.lower)};
    }
    between.rows.push_back(std::move(row));
  }
  return between;
}

}  // namespace account::tally
