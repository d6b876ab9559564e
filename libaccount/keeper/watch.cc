// Reading one page.
#include "keeper/watch.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "ledger/table.h"

namespace account::keeper {
namespace {

bool all_zero(const uint8_t (&bytes)[16]) {
  return std::all_of(std::begin(bytes), std::end(bytes), [](uint8_t byte) { return byte == 0; });
}

std::string hex_of(const uint8_t (&bytes)[16]) {
  return to_hex(std::string_view(reinterpret_cast<const char*>(bytes), sizeof(bytes)));
}

// The declaration is JSON of our own making, but from another process: every member is optional.
Status read_declaration(const tally::Header& header, Watch& watch) {
  const size_t size = std::min<size_t>(header.declaration_bytes, tally::kDeclarationBytes);
  if (size == 0) return Status();
  ACCOUNT_ASSIGN_OR_RETURN(const Json json,
                           Json::parse({header.declaration, size}, tally::kDeclarationBytes));
  if (json.find("model") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(watch.line.model, json.get_string("model"));
  }
  if (json.find("framework") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(watch.line.framework, json.get_string("framework"));
  }
  if (json.find("policies") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* policies, json.get_array("policies"));
    for (const Json& policy : policies->items()) watch.policies.push_back(policy.as_string());
  }
  return Status();
}

// A trainer that never says what its steps take in costs the ledger nothing.
void add_step(const tally::PageView::Step& step, Watch& watch) {
  const Processed& said = watch.counters.processed;
  watch.steps.add(step.number, step.executed);
  if (said.samples > 0) watch.step_samples.add(step.number, step.processed.samples);
  if (said.tokens > 0) watch.step_tokens.add(step.number, step.processed.tokens);
}

void add_missed(const tally::PageView::Steps& closed, Watch& watch) {
  const Processed& said = watch.counters.processed;
  const uint64_t first = watch.last_step + 1, count = closed.missed;
  watch.steps.add_missed(first, count, closed.missed_executed);
  if (said.samples > 0)
    watch.step_samples.add_missed(first, count, closed.missed_processed.samples);
  if (said.tokens > 0) watch.step_tokens.add_missed(first, count, closed.missed_processed.tokens);
}

std::vector<ledger::CountRow> count_rows(const std::vector<tally::CellRow>& cells) {
  std::vector<ledger::CountRow> rows;
  rows.reserve(cells.size());
  for (const auto& cell : cells) {
    rows.push_back({cell.category, cell.phase, cell.dtype, cell.op, cell.calls, cell.figures});
  }
  return rows;
}

// By the rule of those who verify the ledger, by op and summed over ops. What an earlier keeper's
// last line did not attribute to ops is in the sums only.
Status check_never_fell(const std::vector<tally::CellRow>& before,
                        const std::vector<tally::CellRow>& after) {
  ledger::Table known = ledger::table_of(count_rows(before));
  const ledger::Table now = ledger::table_of(count_rows(after));
  ACCOUNT_RETURN_IF_ERROR(
      ledger::check_never_fell(ledger::without_ops(known), ledger::without_ops(now)));
  std::erase_if(known, [](const auto& row) { return row.first.op == ledger::kUnattributed; });
  return ledger::check_never_fell(known, now);
}

}  // namespace

uint64_t Watch::calls() const {
  uint64_t calls = 0;
  for (const auto& row : counters.rows) calls += row.calls;
  return calls;
}

Operations Watch::operations() const {
  Operations operations;
  for (const auto& row : counters.rows) {
    OpCount& cell = operations[{row.category, row.phase}];
    cell = saturating_add(cell, row.figures.executed);
  }
  return operations;
}

Result<Watch> open_watch(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(std::unique_ptr<tally::PageView> page, tally::PageView::open(path));
  Watch watch;
  watch.page = std::move(page);
  const tally::Header& header = watch.header();
  watch.line.id = watch.page->incarnation();
  watch.line.rank = header.rank;
  watch.line.world_size = header.world_size;
  watch.line.local_rank = header.local_rank;
  watch.line.restart_count = header.restart_count;
  if (!all_zero(header.parent)) watch.line.parent = hex_of(header.parent);
  watch.local_world_size = header.local_world_size;
  if (Status status = read_declaration(header, watch); !status.ok()) {
    return status.with_context("what the process said of itself in " + path);
  }
  return watch;
}

void read_counters(Watch& watch) {
  // Steps first: a step that closes in between is in the counters already, never the other way.
  const tally::PageView::Steps closed = watch.page->take_steps();
  const Processed before = watch.counters.processed;
  tally::Counters now = watch.page->read();
  if (watch.whole.ok()) watch.whole = check_never_fell(watch.counters.rows, now.rows);
  if (!watch.whole.ok()) now.rows = std::move(watch.counters.rows);
  watch.counters = std::move(now);
  Processed& said = watch.counters.processed;
  for (const Processed& known : {before, watch.processed_written}) {
    said = {std::max(said.samples, known.samples), std::max(said.tokens, known.tokens)};
  }
  if (closed.missed > 0) {
    if (watch.last_step >= watch.steps_written) add_missed(closed, watch);
    watch.last_step += closed.missed;
  }
  for (const auto& step : closed.steps) {
    if (step.number > watch.steps_written) add_step(step, watch);
    watch.last_step = step.number;
  }
  watch.counters.steps_closed = std::max(watch.last_step, watch.steps_written);
}

void observe_end(Watch& watch) {
  if (!watch.ended.empty()) return;
  const bool alive = watch.page->alive();
  const auto& edge = watch.page->layout().edge;
  const auto state = static_cast<tally::RankState>(edge.state.load(std::memory_order_acquire));
  if (state == tally::RankState::finished) {
    watch.ended = "finished";
  } else if (state == tally::RankState::stopped && (!alive || edge.finish_wanted.load() != 0)) {
    watch.ended = "stopped";  // until it leaves, whatever it still does is counted
  } else if (!alive) {
    // Children are forked for a while and leave without a word; only a rank is missed.
    watch.ended = watch.is_child() ? "exited" : "died";
  } else {
    return;
  }
  read_counters(watch);
}

ledger::CounterLine counter_line(const Watch& watch, int number, bool with_ops) {
  ledger::CounterLine line;
  line.incarnation = number;
  line.steps_closed = watch.counters.steps_closed;
  line.with_ops = with_ops;
  line.steps = {watch.steps.runs(), watch.step_samples.runs(), watch.step_tokens.runs()};
  line.processed = watch.counters.processed;
  line.rows = count_rows(watch.counters.rows);
  return line;
}

Operations operations_of(const std::vector<ledger::CountRow>& rows) {
  Operations operations;
  for (const auto& row : rows) {
    OpCount& cell = operations[{row.category, row.phase}];
    cell = saturating_add(cell, row.figures.executed);
  }
  return operations;
}

std::vector<tally::CellRow> cell_rows(const std::vector<ledger::CountRow>& rows) {
  std::vector<tally::CellRow> cells;
  cells.reserve(rows.size());
  for (const auto& row : rows) {
    cells.push_back({row.category, row.phase, row.dtype, row.op, row.calls, row.figures});
  }
  return cells;
}

}  // namespace account::keeper
