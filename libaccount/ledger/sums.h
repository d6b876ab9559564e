// Sums over a run: from replayed ledgers to totals, and what is missing from them.
// Must not know files or signatures.
#pragma once

#include <string>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/node_reader.h"

namespace account::ledger {

// What one incarnation counted: its last full table, and what came after it without ops.
std::vector<CountRow> last_rows(const Tracked& tracked);

// Fills totals, ranks, world_size and the gaps of `report` from its nodes and incarnations.
// `reads` are the ledgers that the report is about.
void sum_up(const std::vector<NodeRead>& reads, Report& report);

}  // namespace account::ledger
