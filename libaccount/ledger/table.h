// Table: the counters of one incarnation at one moment, and how a line spells them.
//
// A table keeps category, phase, dtype and, where it has them, ops. Value type, not synchronised.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "account/keys.h"
#include "account/status.h"
#include "account/totals.h"
#include "base/json.h"
#include "ledger/ledger.h"

namespace account::ledger {

struct RowKey {
  std::string op;  // empty: summed over ops
  Category category = Category::unassigned;
  Phase phase = Phase::forward;
  DType dtype = DType::other;
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

struct Cell {
  uint64_t calls = 0;
  Figures figures;
};

using Table = std::map<RowKey, Cell>;

// The op of what is known by category, phase and dtype only.
inline constexpr std::string_view kUnattributed = "unattributed";

Table table_of(const std::vector<CountRow>& rows);
std::vector<CountRow> rows_of(const Table& table);
// The same counters summed over ops.
Table without_ops(const Table& table);

// {"train/forward/float32": [calls, executed, model, lower], ...}; numbers are decimal strings;
// lower is left out where it equals executed, model where both do. With ops: one such object an op.
Json encode_rows(const Table& table);
Json encode_ops(const Table& table);
Result<Table> decode_rows(const Json& rows);
Result<Table> decode_ops(const Json& ops);

// corrupt, naming the key, where a counter of `after` is below the one of `before`.
Status check_never_fell(const Table& before, const Table& after);

// What `whole` has more than `part` (both without ops, and checked never to fall).
Table difference(const Table& whole, const Table& part);

}  // namespace account::ledger
