// What ops without a formula cost, by element: pointwise work, norms, softmax, optimizers. An
// estimate with a bound, for the audit (count/audit.h); never part of `executed`.
#pragma once

#include <cstdint>
#include <string_view>

#include "account/export.h"
#include "account/op_count.h"

namespace account::count {

// Operations on each element of an op's largest tensor (of a list of tensors: of them all).
// arithmetic: additions, multiplications, divisions, comparisons, square roots.
// elementary: exp, log, tanh, erf, pow, a random number: a short polynomial each.
struct Cost {
  uint16_t arithmetic = 0;
  uint16_t elementary = 0;
  bool known = true;

  bool moves_data() const { return known && arithmetic == 0 && elementary == 0; }
};

// An elementary function is 1 in the estimate; in the bound as many operations as its kernels have
// at most (SLEEF 3.5's exp, log, tanh, erf, pow in single precision have 15 to 24 multiply-adds and
// corrections). Arithmetic is doubled in the bound: an implementation may rescale or pass twice.
inline constexpr uint64_t kElementaryBound = 24, kArithmeticBound = 2;
// Of an op that is not in the table: 1 operation an element, at most 64.
inline constexpr uint64_t kUnknownBound = 64;

// By the op's qualified name without overload ("aten::gelu"). In place, `_foreach_` and private
// forms have the cost of the op that they are a form of.
ACCOUNT_API Cost cost_of(std::string_view op) noexcept;
ACCOUNT_API OpCount estimate_of(const Cost& cost, uint64_t elements) noexcept;
ACCOUNT_API OpCount bound_of(const Cost& cost, uint64_t elements) noexcept;

}  // namespace account::count
