// Counting kernels in an op's own C++ types: no boxing. For the ops that training calls most.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <string_view>
#include <tuple>
#include <utility>

#include "count/transcript.h"
#include "count/uncounted.h"
#include "torch/arguments.h"
#include "torch/category.h"
#include "torch/phase.h"
#include "torch/watch.h"

namespace account::torch {

// Where a product of two matrices, or of two batches of them, has its factors in the op's schema,
// and how many dimensions they have: 0 for an op that is none.
template <int kLeftAt, int kRightAt, int kDimensions>
struct FactorsAt {
  static constexpr int kLeft = kLeftAt, kRight = kRightAt, kDims = kDimensions;
};
template <class Op>
struct Factors : FactorsAt<0, 0, 0> {};

// One instance an op of at::_ops; `watched` is filled at install, before the kernel is registered.
template <class Op, class Schema = typename Op::schema>
struct TypedKernel;

template <class Op, class Out, class... In>
struct TypedKernel<Op, Out(In...)> {
  static_assert(sizeof...(In) <= Reading::kMaxSchemaArguments);
  static inline WatchedOp watched;

  // NOLINTNEXTLINE(performance-unnecessary-value-param): the dispatcher passes SymInt by value
  static Out call(c10::DispatchKeySet keys, In... in) {
    Watch watch(keys);
    if (watch.counts() && !is_dense(keys)) [[unlikely]] {
      return call_undense(watch, keys, std::forward<In>(in)...);
    }
    Out out = Op::redispatch(below_us(keys), in...);
    if (watch.counts()) count_dense(first_output(out), in...);
    return out;
  }

 private:
  [[gnu::always_inline]] static void count_dense(const at::Tensor& output,
                                                 const In&... in) noexcept {
    if constexpr (Factors<Op>::kDims > 0) {
      const auto all = std::tie(in...);
      if (count_product(std::get<Factors<Op>::kLeft>(all), std::get<Factors<Op>::kRight>(all)))
          [[likely]]
        return;
    }
    count(watched.dense, output, in...);
  }

  // A plain product by the closed form that its row's formula has too, with no list of arguments in
  // between. False where anything is out of the ordinary, or the call is to be recorded: count()
  // then does what is to be done, or says what is wrong.
  [[gnu::always_inline]] static bool count_product(const at::Tensor& a,
                                                   const at::Tensor& b) noexcept {
    constexpr size_t kDims = Factors<Op>::kDims;
    try {
      const at::IntArrayRef left = a.unsafeGetTensorImpl()->sizes();
      const at::IntArrayRef right = b.unsafeGetTensorImpl()->sizes();
      const DType dtype = to_dtype(a.scalar_type());
      if (left.size() != kDims || right.size() != kDims || !count::is_plain_float(dtype))
        return false;
      const int64_t batch = kDims == 3 ? left[0] : 1, other_batch = kDims == 3 ? right[0] : 1;
      const int64_t m = left[kDims - 2], k = left[kDims - 1], n = right[kDims - 1];
      if (k != right[kDims - 2] || batch != other_batch || !count::is_small(batch, m, k, n) ||
          count::recording.load(std::memory_order_relaxed))
        return false;
      const tally::Key key{watched.op_id, dtype, current_phase(thread_state), current_category()};
      Figures figures = count::matmul_figures(batch, m, k, n);
      if (key.phase == Phase::recompute) figures.model = OpCount();
      (void)keep(key, figures);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  // A layout without sizes that say all. Where there is no formula for it, the ops that this one is
  // made of may have one.
  static Out call_undense(Watch& watch, c10::DispatchKeySet keys, In... in) {
    const Reading& reading = reading_for(watched, keys);
    if (reading.row != nullptr) {
      Out out = Op::redispatch(below_us(keys), in...);
      count(reading, first_output(out), in...);
      return out;
    }
    const Watch::Parts parts(watch);
    Out out = Op::redispatch(below_us(keys), in...);
    if (!parts.counted()) decline_call(watched, undense(keys), bound_of(in...));
    return out;
  }

  static OpCount bound_of(const In&... in) noexcept {
    const std::array<int64_t, sizeof...(In)> elements{elements_of(in)...};
    return count::bound_of_elements(elements);
  }

  // Reads the call and counts it. A call that cannot be read is listed, and the training goes on.
  static void count(const Reading& reading, const at::Tensor& output, const In&... in) noexcept {
    try {
      count::Arguments arguments;
      arguments.size = reading.arguments;
      ArgumentWriter writer(arguments);
      DType dtype = reading.dtype;
      int position = 0;
      (read_one(reading, writer, dtype, position++, in), ...);
      if (reading.output_index >= 0) writer.write(reading.output_index, output);
      if (reading.dtype_position == Reading::kOutput) dtype = to_dtype(output.scalar_type());
      if (reading.facts > 0) [[unlikely]] {
        position = 0;
        (read_facts(reading, writer, position++, in), ...);
      }
      if (writer.problem() != nullptr) {
        return decline_call(watched, writer.problem(), bound_of(in...));
      }
      count_call(watched, reading, arguments, dtype);
    } catch (const std::exception&) {
      decline_call(watched, "arguments could not be read", bound_of(in...));
    }
  }

  template <class T>
  static void read_one(const Reading& reading, ArgumentWriter& writer, DType& dtype, int position,
                       const T& value) {
    const int8_t index = reading.index_of[static_cast<size_t>(position)];
    if (index >= 0) writer.write(index, value);
    if constexpr (std::is_same_v<T, at::Tensor>) {
      if (position == reading.dtype_position) dtype = to_dtype(value.scalar_type());
    }
  }

  template <class T>
  static void read_facts(const Reading& reading, ArgumentWriter& writer, int position,
                         const T& value) {
    for (int i = 0; i < reading.facts; ++i) {
      const auto& [at, index, fact] = reading.fact_of[static_cast<size_t>(i)];
      if (at == position) writer.write_fact(index, fact, value);
    }
  }
};

// Registers the typed kernel of `op` if there is one; false if it must be boxed.
bool register_typed(::torch::Library& library, const WatchedOp& op, std::string_view overload);

}  // namespace account::torch
