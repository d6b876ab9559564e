// The ops that have a typed kernel.
#include "torch/typed.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward_ops.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_ops.h>
#include <ATen/ops/addmm_ops.h>
#include <ATen/ops/baddbmm_ops.h>
#include <ATen/ops/bmm_ops.h>
#include <ATen/ops/convolution_backward_ops.h>
#include <ATen/ops/convolution_ops.h>
#include <ATen/ops/mm_ops.h>

#include <string_view>

namespace account::torch {

template <>
struct Factors<at::_ops::mm> : FactorsAt<0, 1, 2> {};
template <>
struct Factors<at::_ops::addmm> : FactorsAt<1, 2, 2> {};
template <>
struct Factors<at::_ops::bmm> : FactorsAt<0, 1, 3> {};
template <>
struct Factors<at::_ops::baddbmm> : FactorsAt<1, 2, 3> {};

namespace {

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
