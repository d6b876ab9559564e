// The typed kernels: one template, and the ops that have one.
#include "torch/typed.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward_ops.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_ops.h>
#include <ATen/ops/addmm_ops.h>
#include <ATen/ops/baddbmm_ops.h>
#include <ATen/ops/bmm_ops.h>
#include <ATen/ops/convolution_backward_ops.h>
#include <ATen/ops/convolution_ops.h>
#include <ATen/ops/mm_ops.h>

#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "count/transcript.h"
#include "count/uncounted.h"
#include "torch/arguments.h"
#include "torch/category.h"
#include "torch/phase.h"

namespace account::torch {
namespace {

// Where a product of two matrices, or of two batches of them, has its factors in the op's schema,
// and how many dimensions they have: 0 for an op that is none.
template <int kLeftAt, int kRightAt, int kDimensions>
struct FactorsAt {
  static constexpr int kLeft = kLeftAt, kRight = kRightAt, kDims = kDimensions;
};
template <class Op>
struct Factors : FactorsAt<0, 0, 0> {};

template <>
struct Factors<at::_ops::mm> : FactorsAt<0, 1, 2> {};
template <>
struct Factors<at::_ops::addmm> : FactorsAt<1, 2, 2> {};
template <>
struct Factors<at::_ops::bmm> : FactorsAt<0, 1, 3> {};
template <>
struct Factors<at::_ops::baddbmm> : FactorsAt<1, 2, 3> {};

// One instance an op of at::_ops; its two variables are filled at install, before the kernel is
// registered.
//
// Note: [one frame] The call goes on by torch's inline look-up, not by at::_ops::X::redispatch, and
// call() is inlined into torch's wrapper: so one frame of ours lies between the dispatcher and the
// device's kernel, where there would be three. One frame more costs 30 to 50 ns a call, likely
// since a product of matrices nests about as many calls as a processor has places for return
// addresses (16). GCC inlines the look-up only by the options that CMakeLists.txt gives this file.
template <class Op, class Schema = typename Op::schema>
struct TypedKernel;

template <class Op, class Out, class... In>
struct TypedKernel<Op, Out(In...)> {
  static_assert(sizeof...(In) <= Reading::kMaxSchemaArguments);
  static inline WatchedOp watched;
  static inline std::optional<c10::TypedOperatorHandle<Out(In...)>> handle;

  // NOLINTNEXTLINE(performance-unnecessary-value-param): the dispatcher passes SymInt by value
  [[gnu::always_inline]] static Out call(c10::DispatchKeySet keys, In... in) {
    const Watch watch(keys);
    if (watch.counts() && !is_dense(keys)) [[unlikely]] {
      return call_undense(keys, std::forward<In>(in)...);
    }
    Out out = handle->redispatch(below_us(keys), in...);
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
          count::recording.load(std::memory_order_relaxed) || thread_state.regions > 0)
        return false;
      const Phase phase = current_phase(thread_state);
      if (phase == Phase::recompute || attention.load(std::memory_order_relaxed) != 0) [[unlikely]]
        return false;
      ++thread_state.counted;
      tally::add_word(tally::to_word({watched.op_id, dtype, phase, current_category()}),
                      count::matmul_operations(batch, m, k, n));
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  // A layout without sizes that say all. Where there is no formula for it, the ops that this one is
  // made of may have one.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): as the dispatcher passed them
  [[gnu::noinline]] static Out call_undense(c10::DispatchKeySet keys, In... in) {
    const Reading& reading = reading_for(watched, keys);
    if (reading.row != nullptr) {
      Out out = handle->redispatch(below_us(keys), in...);
      count(reading, first_output(out), in...);
      return out;
    }
    const Watch::Parts parts;
    Out out = handle->redispatch(below_us(keys), in...);
    if (!parts.counted()) decline_call(watched, undense(keys), bound_of(in...));
    return out;
  }

  static OpCount bound_of(const In&... in) noexcept {
    const std::array<int64_t, sizeof...(In)> elements{elements_of(in)...};
    return count::bound_of_elements(elements);
  }

  // Reads the call and counts it. A call that cannot be read is listed, and the training goes on.
  [[gnu::noinline]] static void count(const Reading& reading, const at::Tensor& output,
                                      const In&... in) noexcept {
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

// What count_product() takes for granted is what the op's row says.
template <class Op>
bool reads_factors(const Reading& reading) {
  using At = Factors<Op>;
  return reading.dtype_position == At::kLeft &&
         reading.index_of[static_cast<size_t>(At::kLeft)] == 0 &&
         reading.index_of[static_cast<size_t>(At::kRight)] == 1;
}

template <class Op>
bool register_if(::torch::Library& library, const WatchedOp& op, std::string_view overload) {
  if (op.name() != Op::name || overload != Op::overload_name) return false;
  if (Factors<Op>::kDims > 0 && !reads_factors<Op>(op.dense)) return false;
  using Kernel = TypedKernel<Op>;
  Kernel::watched = op;
  Kernel::handle = c10::Dispatcher::singleton()
                       .findSchemaOrThrow(Op::name, Op::overload_name)
                       .template typed<typename Op::schema>();
  library.impl(Op::name, TORCH_FN(Kernel::call));
  return true;
}

template <class... Op>
bool register_any(::torch::Library& library, const WatchedOp& op, std::string_view overload) {
  return (register_if<Op>(library, op, overload) || ...);
}

}  // namespace

bool register_typed(::torch::Library& library, const WatchedOp& op, std::string_view overload) {
  namespace ops = at::_ops;
  return register_any<ops::mm, ops::addmm, ops::bmm, ops::baddbmm, ops::convolution,
                      ops::convolution_backward, ops::_scaled_dot_product_flash_attention_for_cpu,
                      ops::_scaled_dot_product_flash_attention_for_cpu_backward>(library, op,
                                                                                 overload);
}

}  // namespace account::torch
