// Formulas: from the shapes of one call to its operations. One table, one row an op overload.
//
// A row names the arguments that its formula reads, by their names in the op's schema; whoever has
// a call (the torch adapter, a transcript, a test) fills them in as lists of integers: a tensor is
// its sizes, an int is one number, a bool is 0 or 1, an int list is itself, an absent optional is
// marked absent. A name may ask for one fact instead (enum Fact): "self#nnz". So a transcript row
// holds all that is needed to count again. Must not know torch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/keys.h"
#include "account/status.h"
#include "account/totals.h"

namespace account::count {

inline constexpr int kMaxArguments = 12;
inline constexpr int kMaxValues = 8;  // numbers in one argument; torch convolutions need 5

struct Argument {
  std::array<int64_t, kMaxValues> values;
  int8_t size = -1;  // -1: absent

  bool absent() const noexcept { return size < 0; }
  std::span<const int64_t> list() const noexcept {
    return {values.data(), size < 0 ? 0u : static_cast<size_t>(size)};
  }
  int64_t scalar() const noexcept { return values[0]; }
};

// In the order of the row's `arguments`. Plain storage: filling it allocates nothing.
struct Arguments {
  std::array<Argument, kMaxArguments> at;
  int size = 0;
  const Argument& operator[](int i) const noexcept { return at[static_cast<size_t>(i)]; }
};

// Why a formula declined. A declined call is listed as uncounted, never guessed.
enum class Decline : uint8_t { none, bad_rank, mismatched_shapes, negative, overflow, two_sparse };
ACCOUNT_API std::string_view name(Decline decline) noexcept;

struct Counted {
  Figures figures;
  Decline decline = Decline::none;
};

using Formula = Counted (*)(const Arguments&) noexcept;

// One number about an argument, where its sizes say too much or too little.
enum class Fact : uint8_t {
  sizes,     // no fact: the argument itself
  numel,     // "#numel": elements of a tensor
  last,      // "#last": its last size
  nnz,       // "#nnz": elements that a sparse tensor stores; absent for a dense one
  end,       // "#end": the last number in a vector of the host; absent for one of a device
  matrices,  // "#matrices": elements of all tensors of a list that have two dimensions or more
  products,  // "#products": sum of m*k*n over a list's [m,k] and the next argument's [k,n]
};
ACCOUNT_API std::string_view name(Fact fact) noexcept;  // "nnz"; empty for sizes

// An argument as a row spells it: "self", "self#nnz", "->", "->#last".
struct ArgumentName {
  std::string_view name;  // in the schema; "->" for the first output
  Fact fact = Fact::sizes;
};
// Takes the first argument off a row's list.
ACCOUNT_API ArgumentName take_argument(std::string_view& rest) noexcept;

struct Row {
  std::string_view op;  // qualified, without overload: "aten::addmm"; the by_op key
  // "" or "out" ...; "sparse" and "sparse.out" are those two for tensors of a sparse layout.
  std::string_view overload;
  // Schema argument names, space-separated; "->" is the first output tensor:
  // "input weight stride padding ... ->".
  std::string_view arguments;
  // The schema argument whose dtype is the call's dtype ("self", "query"; "->" for the output), or
  // a type itself ("=int8") where the arithmetic runs in another one than any tensor has.
  std::string_view dtype_from;
  Formula formula;
  bool gpu = false;  // no CPU kernel: checked from shapes here
  // The formula gives real operations whatever the type; else it counts multiply-adds of the type.
  bool real = false;
  // The op may be made of other ops that are counted; the formula holds only where it was not.
  bool composite = false;
};

ACCOUNT_API std::span<const Row> table() noexcept;
// Changes when any row does. Hex, 16 digits.
ACCOUNT_API std::string table_digest();
// nullptr where there is no such row.
ACCOUNT_API const Row* find_row(std::string_view op, std::string_view overload) noexcept;

// Arguments as lists of numbers, absent ones without; false where there are more than fit.
ACCOUNT_API bool fill(const std::vector<std::optional<std::vector<int64_t>>>& numbers,
                      Arguments& arguments);

// What a type that is not one real number an element makes of a formula's multiply-adds.
ACCOUNT_API void apply_dtype(Counted& counted, DType dtype) noexcept;

// One real number an element, by the order of keys.h: apply_dtype() has nothing to do. (Nor for
// integers, which are too rare to be told apart here.)
constexpr bool is_plain_float(DType dtype) noexcept { return dtype < DType::float4_e2m1fn_x2; }

// The operations of one call: the row's formula, then what type and phase make of them. A complex
// multiply-add is 8 real operations (4 multiplications, 4 additions) where a real one is 2; an
// element of float4_e2m1fn_x2 holds two numbers. What only repeats earlier operations (phase
// recompute) is executed, but is no part of the model (doc/counting.md).
inline Counted count_call(const Row& row, const Arguments& arguments, DType dtype,
                          Phase phase) noexcept {
  Counted counted = row.formula(arguments);
  if (!is_plain_float(dtype) && !row.real) [[unlikely]]
    apply_dtype(counted, dtype);
  if (phase == Phase::recompute) counted.figures.model = OpCount();
  return counted;
}

// Small enough for the closed form: no size is negative or reaches 2^31.
constexpr bool is_small(int64_t batch, int64_t m, int64_t k, int64_t n) noexcept {
  return static_cast<uint64_t>(batch | m | k | n) >> 31 == 0;
}

// The closed form behind the hot rows. Dense, a fused multiply-add counts 2; is_small() holds.
inline OpCount matmul_operations(int64_t batch, int64_t m, int64_t k, int64_t n) noexcept {
  const Uint128 mk = static_cast<Uint128>(static_cast<uint64_t>(m)) * static_cast<uint64_t>(k);
  const Uint128 bn = static_cast<Uint128>(static_cast<uint64_t>(batch)) * static_cast<uint64_t>(n);
  return OpCount::from_raw(2 * mk * bn);
}

}  // namespace account::count
