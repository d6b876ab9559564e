// Counting kernels in an op's own C++ types: no boxing. For the ops that training calls most.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <utility>

#include "torch/arguments.h"
#include "torch/watch.h"

namespace account::torch {

// One instance an op of at::_ops; `watched` is filled at install, before the kernel is registered.
template <class Op, class Schema = typename Op::schema>
struct TypedKernel;

template <class Op, class Out, class... In>
struct TypedKernel<Op, Out(In...)> {
  static_assert(sizeof...(In) <= WatchedOp::kMaxSchemaArguments);
  static inline WatchedOp watched;

  // NOLINTNEXTLINE(performance-unnecessary-value-param): the dispatcher passes SymInt by value
  static Out call(c10::DispatchKeySet keys, In... in) {
    const Watch watch(keys);
    Out out = Op::redispatch(below_us(keys), in...);
    if (watch.counts()) count(keys, first_output(out), in...);
    return out;
  }

 private:
  // Reads the call and counts it. A call that cannot be read is listed, and the training goes on.
  static void count(c10::DispatchKeySet keys, const at::Tensor& output, const In&... in) noexcept {
    if (!is_dense(keys)) return decline_call(watched, undense(keys));
    try {
      count::Arguments arguments;
      arguments.size = watched.arguments;
      ArgumentWriter writer(arguments);
      DType dtype = DType::other;
      int position = 0;
      (read_one(writer, dtype, position++, in), ...);
      if (watched.output_index >= 0) writer.write(watched.output_index, output);
      if (watched.dtype_position < 0) dtype = to_dtype(output.scalar_type());
      if (writer.problem() != nullptr) return decline_call(watched, writer.problem());
      count_call(watched, arguments, dtype);
    } catch (const std::exception&) {
      decline_call(watched, "arguments could not be read");
    }
  }

  template <class T>
  static void read_one(ArgumentWriter& writer, DType& dtype, int position, const T& value) {
    const int8_t index = watched.index_of[static_cast<size_t>(position)];
    if (index >= 0) writer.write(index, value);
    if constexpr (std::is_same_v<T, at::Tensor>) {
      if (position == watched.dtype_position) dtype = to_dtype(value.scalar_type());
    }
  }
};

// Registers the typed kernel of `op` if there is one; false if it must be boxed.
bool register_typed(::torch::Library& library, const WatchedOp& op);

}  // namespace account::torch
