// The table, and what type and phase make of a formula's number.
#include "count/formula.h"

#include <algorithm>
#include <vector>

#include "count/formulas.h"

namespace account::count {
namespace {

constexpr std::pair<Fact, std::string_view> kFacts[] = {
    {Fact::sizes, ""},
    {Fact::numel, "numel"},
    {Fact::last, "last"},
    {Fact::nnz, "nnz"},
    {Fact::end, "end"},
    {Fact::matrices, "matrices"},
    {Fact::products, "products"},
};

std::vector<Row> make_table() {
  std::vector<Row> rows;
  for (const auto family : {matmul_rows(), linear_rows(), sparse_rows(), convolution_rows(),
                            attention_rows(), recurrent_rows(), linalg_rows(), transform_rows()}) {
    rows.insert(rows.end(), family.begin(), family.end());
  }
  return rows;
}

bool is_complex(DType dtype) noexcept {
  return dtype == DType::complex32 || dtype == DType::complex64 || dtype == DType::complex128;
}

}  // namespace

std::string_view name(Decline decline) noexcept {
  switch (decline) {
    case Decline::none:
      return "counted";
    case Decline::bad_rank:
      return "unexpected number of dimensions";
    case Decline::mismatched_shapes:
      return "shapes that do not fit together";
    case Decline::negative:
      return "negative size";
    case Decline::overflow:
      return "more operations than 128 bits hold";
    case Decline::two_sparse:
      return "the work of two sparse factors is not in their shapes";
  }
  return "unknown";
}

std::string_view name(Fact fact) noexcept { return kFacts[static_cast<size_t>(fact)].second; }

ArgumentName take_argument(std::string_view& rest) noexcept {
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  const size_t mark = word.find('#');
  ArgumentName argument{word.substr(0, mark)};
  if (mark == std::string_view::npos) return argument;
  for (const auto& [fact, text] : kFacts) {
    if (text == word.substr(mark + 1)) argument.fact = fact;
  }
  return argument;
}

std::span<const Row> table() noexcept {
  static const auto& rows = *new std::vector<Row>(make_table());
  return rows;
}

std::string table_digest() {
  uint64_t hash = 0xCBF29CE484222325ull;  // FNV-1a
  for (const Row& row : table()) {
    for (const std::string_view part : {row.op, row.overload, row.arguments, row.dtype_from}) {
      for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
      hash = (hash ^ 0xFF) * 0x100000001B3ull;
    }
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex(16, '0');
  for (size_t i = 0; i < hex.size(); ++i) hex[i] = kDigits[hash >> (60 - 4 * i) & 15];
  return hex;
}

const Row* find_row(std::string_view op, std::string_view overload) noexcept {
  const auto rows = table();
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& candidate) {
    return candidate.op == op && candidate.overload == overload;
  });
  return row == rows.end() ? nullptr : &*row;
}

bool fill(const std::vector<std::optional<std::vector<int64_t>>>& numbers, Arguments& arguments) {
  if (numbers.size() > static_cast<size_t>(kMaxArguments)) return false;
  for (const auto& list : numbers) {
    Argument& argument = arguments.at[static_cast<size_t>(arguments.size++)];
    if (!list.has_value()) continue;
    if (list->size() > static_cast<size_t>(kMaxValues)) return false;
    argument.size = static_cast<int8_t>(list->size());
    std::copy(list->begin(), list->end(), argument.values.begin());
  }
  return true;
}

void apply_dtype(Counted& counted, DType dtype) noexcept {
  const uint64_t factor = is_complex(dtype) ? 4 : dtype == DType::float4_e2m1fn_x2 ? 2 : 1;
  Figures& figures = counted.figures;
  for (OpCount* figure : {&figures.executed, &figures.model, &figures.lower}) {
    const auto scaled = checked_multiply(*figure, factor);
    if (!scaled.has_value()) {
      counted = declined(Decline::overflow);
      return;
    }
    *figure = *scaled;
  }
}

}  // namespace account::count
