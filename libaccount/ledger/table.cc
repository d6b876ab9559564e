// Counter tables: sums, comparisons, and their spelling in a line.
#include "ledger/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace account::ledger {
namespace {

std::string type_word(const RowKey& key) {
  return fmt::format("{}/{}/{}", name(key.category), name(key.phase), name(key.dtype));
}

void add(Cell& sum, const Cell& cell) {
  sum.calls += std::min(cell.calls, UINT64_MAX - sum.calls);
  sum.figures.executed = saturating_add(sum.figures.executed, cell.figures.executed);
  sum.figures.model = saturating_add(sum.figures.model, cell.figures.model);
  sum.figures.lower = saturating_add(sum.figures.lower, cell.figures.lower);
}

size_t numbers_needed(const Figures& figures) {
  if (figures.lower != figures.executed) return 4;
  return figures.model != figures.executed ? 3 : 2;
}

Json encode_cell(const Cell& cell) {
  const Figures& figures = cell.figures;
  const size_t needed = numbers_needed(figures);
  std::vector<Json> numbers = {OpCount(cell.calls), figures.executed};
  if (needed > 2) numbers.emplace_back(figures.model);
  if (needed > 3) numbers.emplace_back(figures.lower);
  return Json::array(std::move(numbers));
}

Result<OpCount> decode_number(const Json& item) {
  if (item.kind() != Json::Kind::string) {
    return Status(Code::corrupt, "a counter is no decimal string");
  }
  auto number = OpCount::from_decimal(item.as_string());
  if (!number.ok()) return Status(Code::corrupt, std::string(number.status().fault()));
  return number;
}

Result<Cell> decode_cell(const Json& item) {
  const auto& numbers = item.items();
  if (item.kind() != Json::Kind::array || numbers.size() < 2 || numbers.size() > 4) {
    return Status(Code::corrupt, "a row is no list of 2 to 4 numbers");
  }
  Cell cell;
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount calls, decode_number(numbers[0]));
  if (calls.high() != 0) return Status(Code::corrupt, "calls are beyond 2^64 - 1");
  cell.calls = calls.low();
  Figures& figures = cell.figures;
  ACCOUNT_ASSIGN_OR_RETURN(figures.executed, decode_number(numbers[1]));
  figures.model = figures.lower = figures.executed;
  if (numbers.size() > 2) {
    ACCOUNT_ASSIGN_OR_RETURN(figures.model, decode_number(numbers[2]));
  }
  if (numbers.size() > 3) {
    ACCOUNT_ASSIGN_OR_RETURN(figures.lower, decode_number(numbers[3]));
  }
  if (figures.model > figures.executed || figures.lower > figures.executed) {
    return Status(Code::corrupt, "model or lower is above executed");
  }
  // One way to write a row, so that two writers cannot spell the same counters differently.
  if (numbers_needed(figures) != numbers.size()) {
    return Status(Code::corrupt, "a row repeats a number that it should leave out");
  }
  return cell;
}

Result<RowKey> decode_type(std::string_view word) {
  const size_t first = word.find('/');
  const size_t second = first == std::string_view::npos ? first : word.find('/', first + 1);
  if (second != std::string_view::npos) {
    const auto category = category_from_name(word.substr(0, first));
    const auto phase = phase_from_name(word.substr(first + 1, second - first - 1));
    const auto dtype = dtype_from_name(word.substr(second + 1));
    if (category && phase && dtype) return RowKey{"", *category, *phase, *dtype};
  }
  return Status(Code::corrupt, fmt::format("'{}' is no category/phase/dtype", word.substr(0, 80)));
}

Status decode_into(Table& table, const Json& rows, const std::string& op) {
  if (rows.kind() != Json::Kind::object) return Status(Code::corrupt, "rows are no object");
  for (const auto& [word, item] : rows.members()) {
    ACCOUNT_ASSIGN_OR_RETURN(RowKey key, decode_type(word));
    auto cell = decode_cell(item);
    if (!cell.ok()) return cell.status().with_context(op.empty() ? word : op + " " + word);
    key.op = op;
    table.emplace(std::move(key), *cell);
  }
  return Status();
}

}  // namespace

Table table_of(const std::vector<CountRow>& rows) {
  Table table;
  for (const CountRow& row : rows) {
    const std::string_view op = row.op.empty() ? kUnattributed : row.op;
    add(table[{std::string(op), row.category, row.phase, row.dtype}], {row.calls, row.figures});
  }
  return table;
}

std::vector<CountRow> rows_of(const Table& table) {
  std::vector<CountRow> rows;
  rows.reserve(table.size());
  for (const auto& [key, cell] : table) {
    rows.push_back({key.category, key.phase, key.dtype, key.op, cell.calls, cell.figures});
  }
  return rows;
}

Table without_ops(const Table& table) {
  Table sums;
  for (const auto& [key, cell] : table) add(sums[{"", key.category, key.phase, key.dtype}], cell);
  return sums;
}

Json encode_rows(const Table& table) {
  std::vector<Json::Member> members;
  members.reserve(table.size());
  for (const auto& [key, cell] : table) members.emplace_back(type_word(key), encode_cell(cell));
  return Json::object(std::move(members));
}

Json encode_ops(const Table& table) {
  std::vector<Json::Member> ops;
  for (const auto& [key, cell] : table) {  // sorted by op first
    if (ops.empty() || ops.back().first != key.op) ops.emplace_back(key.op, Json::object());
    ops.back().second.set(type_word(key), encode_cell(cell));
  }
  return Json::object(std::move(ops));
}

Result<Table> decode_rows(const Json& rows) {
  Table table;
  ACCOUNT_RETURN_IF_ERROR(decode_into(table, rows, ""));
  return table;
}

Result<Table> decode_ops(const Json& ops) {
  if (ops.kind() != Json::Kind::object) return Status(Code::corrupt, "ops are no object");
  Table table;
  for (const auto& [op, rows] : ops.members()) {
    if (op.empty()) return Status(Code::corrupt, "an op has no name");
    ACCOUNT_RETURN_IF_ERROR(decode_into(table, rows, op));
  }
  return table;
}

Status check_never_fell(const Table& before, const Table& after) {
  for (const auto& [key, old] : before) {
    const auto found = after.find(key);
    const bool kept = found != after.end() && found->second.calls >= old.calls &&
                      found->second.figures.executed >= old.figures.executed &&
                      found->second.figures.model >= old.figures.model &&
                      found->second.figures.lower >= old.figures.lower;
    if (!kept) {
      return Status(Code::corrupt, fmt::format("the counters of {}{}{} fell", type_word(key),
                                               key.op.empty() ? "" : " ", key.op));
    }
  }
  return Status();
}

Table difference(const Table& whole, const Table& part) {
  const auto less = [](OpCount a, OpCount b) { return checked_subtract(a, b).value_or(OpCount()); };
  Table rest;
  for (const auto& [key, cell] : whole) {
    const auto found = part.find(key);
    if (found == part.end()) {
      rest.emplace(key, cell);
      continue;
    }
    const Cell& known = found->second;
    if (known.calls == cell.calls && known.figures == cell.figures) continue;
    rest.emplace(key, Cell{cell.calls - known.calls,
                           {less(cell.figures.executed, known.figures.executed),
                            less(cell.figures.model, known.figures.model),
                            less(cell.figures.lower, known.figures.lower)}});
  }
  return rest;
}

}  // namespace account::ledger
