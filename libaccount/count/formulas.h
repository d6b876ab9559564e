// What the formulas share. One file a family, each with the rows of its ops; formula.cc makes the
// table of them.
#pragma once

#include "count/formula.h"

namespace account::count {

std::span<const Row> matmul_rows() noexcept;
std::span<const Row> linear_rows() noexcept;
std::span<const Row> sparse_rows() noexcept;
std::span<const Row> convolution_rows() noexcept;
std::span<const Row> attention_rows() noexcept;
std::span<const Row> recurrent_rows() noexcept;
std::span<const Row> linalg_rows() noexcept;
std::span<const Row> transform_rows() noexcept;

// A product of sizes that notices what sizes of a real call never do: a negative one, and an
// overflow of 128 bits. (Transcripts are read from files.)
class Product {
 public:
  Product& times(int64_t size) noexcept {
    if (size < 0) negative_ = true;
    return times_unsigned(static_cast<uint64_t>(size));
  }
  Product& times(std::span<const int64_t> sizes) noexcept {
    for (const int64_t size : sizes) times(size);
    return *this;
  }
  Product& plus(const Product& other) noexcept {
    const auto sum = checked_add(value_, other.value_);
    overflow_ = overflow_ || other.overflow_ || !sum.has_value();
    negative_ = negative_ || other.negative_;
    value_ = sum.value_or(OpCount());
    return *this;
  }
  Product& times_wide(Uint128 number) noexcept {
    const auto product = checked_multiply(value_, OpCount::from_raw(number));
    overflow_ = overflow_ || !product.has_value();
    value_ = product.value_or(OpCount());
    return *this;
  }

  OpCount value() const noexcept { return value_; }
  Decline decline() const noexcept {
    if (negative_) return Decline::negative;
    return overflow_ ? Decline::overflow : Decline::none;
  }

 private:
  Product& times_unsigned(uint64_t size) noexcept {
    const Uint128 low = static_cast<Uint128>(value_.low()) * size;
    const Uint128 high = static_cast<Uint128>(value_.high()) * size + (low >> 64);
    overflow_ = overflow_ || high >> 64 != 0;
    value_ = OpCount::from_limbs(static_cast<uint64_t>(low), static_cast<uint64_t>(high));
    return *this;
  }

  OpCount value_ = 1;
  bool negative_ = false, overflow_ = false;
};

inline Counted declined(Decline why) noexcept { return {{}, why}; }

// The same number of operations in all three figures.
inline Counted counted(const Product& operations) noexcept {
  if (operations.decline() != Decline::none) return declined(operations.decline());
  return {{operations.value(), operations.value(), operations.value()}, Decline::none};
}

// The same, divided ("2/3 n^3"); what does not come out even is rounded down.
inline Counted counted_over(const Product& operations, uint64_t over) noexcept {
  if (operations.decline() != Decline::none) return declined(operations.decline());
  const OpCount value = OpCount::from_raw(operations.value().raw() / over);
  return {{value, value, value}, Decline::none};
}

}  // namespace account::count
