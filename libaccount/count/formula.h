// Formulas: from the shapes of one call to its operations. One table, one row an op overload.
//
// A row names the arguments that its formula reads, by their names in the op's schema; whoever has
// a call (the torch adapter, a transcript, a test) fills them in as lists of integers: a tensor is
// its sizes, an int is one number, a bool is 0 or 1, an int list is itself, an absent optional is
// marked absent. So a transcript row holds all that is needed to count again. Must not know torch.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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
enum class Decline : uint8_t { none, bad_rank, mismatched_shapes, negative, overflow };
ACCOUNT_API std::string_view name(Decline decline) noexcept;

struct Counted {
  Figures figures;
  Decline decline = Decline::none;
};

using Formula = Counted (*)(const Arguments&) noexcept;

struct Row {
  std::string_view op;        // qualified, without overload: "aten::addmm"; the by_op key
  std::string_view overload;  // "" or "out" ...
  // Schema argument names, space-separated; a trailing "->" argument is the first output tensor:
  // "input weight stride padding ... ->". "dtype_from" below picks the dtype.
  std::string_view arguments;
  // The schema argument whose dtype is the call's dtype ("self", "query"; "->" for the output).
  std::string_view dtype_from;
  Formula formula;
  bool gpu;  // only CUDA builds have a kernel; checked from shapes here
};

ACCOUNT_API std::span<const Row> table() noexcept;
// nullptr where there is no such row.
ACCOUNT_API const Row* find_row(std::string_view op, std::string_view overload) noexcept;

// What a call adds in its phase: operations that only repeat earlier ones are executed, but are no
// part of the model (doc/counting.md). The one place where that rule is applied.
inline Figures for_phase(Figures figures, Phase phase) noexcept {
  if (phase == Phase::recompute) figures.model = OpCount();
  return figures;
}

// The closed forms behind the hot rows, for typed kernels that have m, k, n at hand. All are
// dense, a fused multiply-add counts 2; no size may be negative or reach 2^31.
inline Figures matmul_figures(int64_t batch, int64_t m, int64_t k, int64_t n) noexcept {
  const Uint128 mk = static_cast<Uint128>(static_cast<uint64_t>(m)) * static_cast<uint64_t>(k);
  const Uint128 bn = static_cast<Uint128>(static_cast<uint64_t>(batch)) * static_cast<uint64_t>(n);
  const OpCount operations = OpCount::from_raw(2 * mk * bn);
  return {operations, operations, operations};
}

}  // namespace account::count
