// Linear layers whose weight is packed, quantised, compressed or laid out by a library, so that its
// sizes say little. Input and output say all: of `rows` inputs of length k, and `rows` outputs of
// length n, each output is a sum of k products: 2 * (rows * k) * n. Bias, scales and activations
// are pointwise work.
#include "count/formulas.h"

namespace account::count {
namespace {

// Elements of the input, last size of the output (or of the weight).
Counted count_linear(const Arguments& arguments) noexcept {
  if (arguments[0].absent() || arguments[1].absent()) return declined(Decline::bad_rank);
  return counted(Product().times(2).times(arguments[0].scalar()).times(arguments[1].scalar()));
}

// A weight of which a hardware pattern keeps half (2:4): the dense product is counted as executed,
// as for all known sparsity (doc/counting.md), and `lower` has the half that was computed.
Counted count_half_sparse(const Product& dense) noexcept {
  Counted result = counted(dense);
  result.figures.lower = OpCount::from_raw(result.figures.executed.raw() / 2);
  return result;
}
Counted count_semi_structured_linear(const Arguments& arguments) noexcept {
  if (arguments[0].absent() || arguments[1].absent()) return declined(Decline::bad_rank);
  return count_half_sparse(
      Product().times(2).times(arguments[0].scalar()).times(arguments[1].scalar()));
}
// The dense factor [k,n] and the elements of the output [m,n] or [n,m].
Counted count_semi_structured_product(const Arguments& arguments) noexcept {
  const auto dense = arguments[0].list();
  if (dense.size() != 2 || arguments[1].absent()) return declined(Decline::bad_rank);
  return count_half_sparse(Product().times(2).times(dense[0]).times(arguments[1].scalar()));
}

constexpr Row kRows[] = {
    {"aten::mkldnn_linear", "", "self#numel ->#last", "self", count_linear},
    {"aten::mkldnn_linear", "out", "self#numel ->#last", "self", count_linear},
    {"aten::mkldnn_linear_backward_input", "", "grad_output#numel ->#last", "grad_output",
     count_linear},
    {"aten::mkldnn_linear_backward_weights", "", "grad_output#numel input#last", "grad_output",
     count_linear},
    {"mkldnn::_linear_pointwise", "", "X#numel ->#last", "X", count_linear},
    {"mkldnn::_linear_pointwise", "binary", "X#numel ->#last", "X", count_linear},
    {"mkl::_mkl_linear", "", "X#numel ->#last", "X", count_linear},
    {"onednn::linear_dynamic_fp16", "", "x#numel ->#last", "x", count_linear},
    {"onednn::linear_relu_dynamic_fp16", "", "x#numel ->#last", "x", count_linear},
    {"onednn::qlinear_pointwise", "", "qx#numel ->#last", "=int8", count_linear},
    {"onednn::qlinear_pointwise", "tensor", "qx#numel ->#last", "=int8", count_linear},
    {"onednn::qlinear_pointwise", "binary", "qx#numel ->#last", "=int8", count_linear},
    {"onednn::qlinear_pointwise", "binary_tensor", "qx#numel ->#last", "=int8", count_linear},

    {"quantized::linear", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_relu", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_leaky_relu", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_tanh", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_dynamic", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_relu_dynamic", "", "X#numel ->#last", "=int8", count_linear},
    {"quantized::linear_with_input_q_dq_qweight_dq_output_fp32", "", "X#numel ->#last", "=int8",
     count_linear},
    {"quantized::linear_with_input_q_dq_qweight_dq_relu_output_fp32", "", "X#numel ->#last",
     "=int8", count_linear},
    // Weights are kept in float16 and multiplied in the input's type.
    {"quantized::linear_dynamic_fp16", "", "X#numel ->#last", "X", count_linear},
    {"quantized::linear_relu_dynamic_fp16", "", "X#numel ->#last", "X", count_linear},
    {"quantized::linear_dynamic_fp16_unpacked_weight", "", "X#numel ->#last", "X", count_linear},
    {"aten::fbgemm_linear_fp16_weight", "", "input#numel ->#last", "input", count_linear},
    {"aten::fbgemm_linear_fp16_weight_fp32_activation", "", "input#numel ->#last", "input",
     count_linear},
    {"aten::fbgemm_linear_int8_weight", "", "input#numel ->#last", "=int8", count_linear},
    {"aten::fbgemm_linear_int8_weight_fp32_activation", "", "input#numel ->#last", "=int8",
     count_linear},
    // Integer weights that are widened to the input's type and multiplied there.
    {"aten::_weight_int8pack_mm", "", "self#numel ->#last", "self", count_linear},
    {"aten::_weight_int4pack_mm", "", "self#numel ->#last", "self", count_linear, true},
    {"aten::_weight_int4pack_mm_for_cpu", "", "self#numel ->#last", "self", count_linear},
    {"aten::_weight_int4pack_mm_with_scales_and_zeros", "", "self#numel ->#last", "self",
     count_linear, true},
    {"aten::_dyn_quant_matmul_4bit", "", "inp#numel ->#last", "inp", count_linear},
    {"aten::_mixed_dtypes_linear", "", "input#numel ->#last", "input", count_linear, true},

    {"aten::_sparse_semi_structured_linear", "", "input#numel ->#last", "input",
     count_semi_structured_linear, true},
    {"aten::_sparse_semi_structured_mm", "", "mat2 ->#numel", "mat2", count_semi_structured_product,
     true},
    {"aten::_sparse_semi_structured_addmm", "", "mat2 ->#numel", "mat2",
     count_semi_structured_product, true},
    {"aten::_cslt_sparse_mm", "", "dense_B ->#numel", "dense_B", count_semi_structured_product,
     true},
};

}  // namespace

std::span<const Row> linear_rows() noexcept { return kRows; }

}  // namespace account::count
