// OpCount: a number of integer or floating-point operations, exact, up to 2^128 - 1.
//
// 10^26 needs 87 bits and is not an exact double, so operations are never held in one. Arithmetic
// that could overflow says so in its name: checked_* return nothing on overflow, saturating_*
// stop at the largest value. There is no operator+ that wraps.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "account/export.h"
#include "account/status.h"

namespace account {

__extension__ typedef unsigned __int128 Uint128;

class OpCount {
 public:
  constexpr OpCount() noexcept = default;
  // NOLINTNEXTLINE(misc-explicit-constructor): a count is a number
  constexpr OpCount(uint64_t value) noexcept : value_(value) {}
  static constexpr OpCount from_raw(Uint128 value) noexcept {
    OpCount count;
    count.value_ = value;
    return count;
  }
  static constexpr OpCount from_limbs(uint64_t low, uint64_t high) noexcept {
    return from_raw((static_cast<Uint128>(high) << 64) | low);
  }
  static constexpr OpCount max() noexcept { return from_raw(~static_cast<Uint128>(0)); }

  // Decimal digits only: no sign, space, point, exponent or leading zero; at most 2^128 - 1.
  // The error names the text and the fault.
  ACCOUNT_API static Result<OpCount> from_decimal(std::string_view digits);
  // As people write it: "3e25", "1.5e9", "3000000000" or "3_000_000". The value must be whole.
  ACCOUNT_API static Result<OpCount> from_text(std::string_view text);

  ACCOUNT_API std::string to_decimal() const;
  // Three significant digits for people: "3.41e+13"; exact below 1000.
  ACCOUNT_API std::string to_short() const;
  // The nearest double; for shares and rates that are shown, never for sums.
  constexpr double to_double() const noexcept { return static_cast<double>(value_); }

  constexpr Uint128 raw() const noexcept { return value_; }
  constexpr uint64_t low() const noexcept { return static_cast<uint64_t>(value_); }
  constexpr uint64_t high() const noexcept { return static_cast<uint64_t>(value_ >> 64); }

  friend constexpr auto operator<=>(const OpCount&, const OpCount&) noexcept = default;

 private:
  Uint128 value_ = 0;
};

constexpr std::optional<OpCount> checked_add(OpCount a, OpCount b) noexcept {
  const Uint128 sum = a.raw() + b.raw();
  if (sum < a.raw()) return std::nullopt;
  return OpCount::from_raw(sum);
}

constexpr std::optional<OpCount> checked_subtract(OpCount a, OpCount b) noexcept {
  if (b > a) return std::nullopt;
  return OpCount::from_raw(a.raw() - b.raw());
}

constexpr std::optional<OpCount> checked_multiply(OpCount a, OpCount b) noexcept {
  if (a.raw() != 0 && b.raw() > OpCount::max().raw() / a.raw()) return std::nullopt;
  return OpCount::from_raw(a.raw() * b.raw());
}

constexpr OpCount saturating_add(OpCount a, OpCount b) noexcept {
  return checked_add(a, b).value_or(OpCount::max());
}

constexpr OpCount saturating_multiply(OpCount a, OpCount b) noexcept {
  return checked_multiply(a, b).value_or(OpCount::max());
}

}  // namespace account
