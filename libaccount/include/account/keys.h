// The words under which operations are kept: phase, category and dtype.
//
// The values are part of the tally page's layout and of the ledger's words: append, never renumber.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "account/export.h"

namespace account {

// Where in a training step an operation ran.
enum class Phase : uint8_t { forward, backward, recompute, optimizer };
inline constexpr int kPhaseCount = 4;

// What it was for. `unassigned` is counted under every policy.
enum class Category : uint8_t { unassigned, train, evaluate, generate, rollout, auxiliary };
inline constexpr int kCategoryCount = 6;

// The type that the arithmetic ran in, by torch's names; `other` is a type without a name here.
enum class DType : uint8_t {
  other,
  float64,
  float32,
  float16,
  bfloat16,
  float8_e4m3fn,
  float8_e5m2,
  float8_e4m3fnuz,
  float8_e5m2fnuz,
  float8_e8m0fnu,
  float4_e2m1fn_x2,
  int4,
  int8,
  uint8,
  int16,
  int32,
  int64,
  bool_,
  complex32,
  complex64,
  complex128,
};
inline constexpr int kDTypeCount = 21;

// The words themselves: "forward", "unassigned", "bfloat16" ... ("bool" for bool_).
ACCOUNT_API std::string_view name(Phase phase) noexcept;
ACCOUNT_API std::string_view name(Category category) noexcept;
ACCOUNT_API std::string_view name(DType dtype) noexcept;

ACCOUNT_API std::optional<Phase> phase_from_name(std::string_view word) noexcept;
ACCOUNT_API std::optional<Category> category_from_name(std::string_view word) noexcept;
ACCOUNT_API std::optional<DType> dtype_from_name(std::string_view word) noexcept;

}  // namespace account
