// The formulas, one file a family, and what they share. formula.cc makes the table of them.
#pragma once

#include "count/formula.h"

namespace account::count {

// matmul.cc. In the order of the arguments: the two factors.
Counted count_matrix_product(const Arguments& arguments) noexcept;          // [m,k] [k,n]
Counted count_batched_matrix_product(const Arguments& arguments) noexcept;  // [b,m,k] [b,k,n]

// convolution.cc
Counted count_convolution(const Arguments& arguments) noexcept;
Counted count_convolution_backward(const Arguments& arguments) noexcept;

// attention.cc. query, key, value, is_causal.
Counted count_attention(const Arguments& arguments) noexcept;
Counted count_attention_backward(const Arguments& arguments) noexcept;

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

}  // namespace account::count
