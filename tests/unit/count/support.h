// What the formulas' tests share: calls spelled as in a schema.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <optional>
#include <string_view>

#include "count/formula.h"

namespace account::count {

inline constexpr std::nullopt_t kAbsent = std::nullopt;

// One argument: its numbers, or kAbsent.
using Numbers = std::optional<std::initializer_list<int64_t>>;

inline Arguments arguments_of(std::initializer_list<Numbers> list) {
  Arguments arguments;
  for (const Numbers& numbers : list) {
    Argument& argument = arguments.at[static_cast<size_t>(arguments.size++)];
    if (!numbers.has_value()) continue;
    argument.size = 0;
    for (const int64_t number : *numbers) {
      argument.values[static_cast<size_t>(argument.size++)] = number;
    }
  }
  return arguments;
}

inline Counted count_call(std::string_view op, const Arguments& arguments,
                          std::string_view overload = "") {
  const Row* row = find_row(op, overload);
  if (row == nullptr) {
    ADD_FAILURE() << "no row " << op << "." << overload;
    return {};
  }
  return count_call(*row, arguments, DType::float32, Phase::forward);
}

}  // namespace account::count
