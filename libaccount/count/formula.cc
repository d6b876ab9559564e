// The table of formulas: every overload that torch 2.13's schemas have of the ops counted so far.
#include <algorithm>

#include "count/formulas.h"

namespace account::count {
namespace {

constexpr std::string_view kConvolution = "input weight transposed groups ->";
constexpr std::string_view kConvolutionBackward =
    "grad_output input weight transposed groups output_mask";
constexpr std::string_view kAttention = "query key value is_causal";

// The .dtype overloads give the result another type than the factors; only CUDA has kernels.
constexpr Row kTable[] = {
    {"aten::mm", "", "self mat2", "self", count_matrix_product, false},
    {"aten::mm", "out", "self mat2", "self", count_matrix_product, false},
    {"aten::mm", "dtype", "self mat2", "self", count_matrix_product, true},
    {"aten::mm", "dtype_out", "self mat2", "self", count_matrix_product, true},
    {"aten::addmm", "", "mat1 mat2", "mat1", count_matrix_product, false},
    {"aten::addmm", "out", "mat1 mat2", "mat1", count_matrix_product, false},
    {"aten::addmm", "dtype", "mat1 mat2", "mat1", count_matrix_product, true},
    {"aten::addmm", "dtype_out", "mat1 mat2", "mat1", count_matrix_product, true},
    {"aten::addmm_", "", "mat1 mat2", "mat1", count_matrix_product, false},
    {"aten::bmm", "", "self mat2", "self", count_batched_matrix_product, false},
    {"aten::bmm", "out", "self mat2", "self", count_batched_matrix_product, false},
    {"aten::bmm", "dtype", "self mat2", "self", count_batched_matrix_product, true},
    {"aten::bmm", "dtype_out", "self mat2", "self", count_batched_matrix_product, true},
    {"aten::baddbmm", "", "batch1 batch2", "batch1", count_batched_matrix_product, false},
    {"aten::baddbmm", "out", "batch1 batch2", "batch1", count_batched_matrix_product, false},
    {"aten::baddbmm", "dtype", "batch1 batch2", "batch1", count_batched_matrix_product, true},
    {"aten::baddbmm", "dtype_out", "batch1 batch2", "batch1", count_batched_matrix_product, true},
    {"aten::baddbmm_", "", "batch1 batch2", "batch1", count_batched_matrix_product, false},

    {"aten::convolution", "", kConvolution, "input", count_convolution, false},
    {"aten::convolution", "out", kConvolution, "input", count_convolution, false},
    {"aten::convolution_overrideable", "", kConvolution, "input", count_convolution, true},
    {"aten::convolution_overrideable", "out", kConvolution, "input", count_convolution, true},
    {"aten::convolution_backward", "", kConvolutionBackward, "input", count_convolution_backward,
     false},
    {"aten::convolution_backward", "out", kConvolutionBackward, "input", count_convolution_backward,
     false},
    {"aten::convolution_backward_overrideable", "", kConvolutionBackward, "input",
     count_convolution_backward, true},
    {"aten::convolution_backward_overrideable", "out", kConvolutionBackward, "input",
     count_convolution_backward, true},

    {"aten::_scaled_dot_product_flash_attention_for_cpu", "", kAttention, "query", count_attention,
     false},
    {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", "", kAttention, "query",
     count_attention_backward, false},
    {"aten::_scaled_dot_product_flash_attention", "", kAttention, "query", count_attention, true},
    {"aten::_scaled_dot_product_flash_attention", "quantized", kAttention, "query", count_attention,
     true},
    {"aten::_scaled_dot_product_flash_attention_backward", "", kAttention, "query",
     count_attention_backward, true},
    {"aten::_scaled_dot_product_efficient_attention", "", kAttention, "query", count_attention,
     true},
    {"aten::_scaled_dot_product_efficient_attention_backward", "", kAttention, "query",
     count_attention_backward, true},
    {"aten::_scaled_dot_product_cudnn_attention", "", kAttention, "query", count_attention, true},
    {"aten::_scaled_dot_product_cudnn_attention_backward", "", kAttention, "query",
     count_attention_backward, true},
    {"aten::_scaled_dot_product_fused_attention_overrideable", "", kAttention, "query",
     count_attention, true},
    {"aten::_scaled_dot_product_fused_attention_overrideable_backward", "", kAttention, "query",
     count_attention_backward, true},
};

}  // namespace

std::string_view name(Decline decline) noexcept {
  switch (decline) {
    case Decline::none:
      return "counted";
    case Decline::bad_rank:
      return "unexpected number of dimensions";
    case Decline::mismatched_shapes:
      return "shapes that do not fit together";
    case Decline::negative:
      return "negative size";
    case Decline::overflow:
      return "more operations than 128 bits hold";
  }
  return "unknown";
}

std::span<const Row> table() noexcept { return kTable; }

const Row* find_row(std::string_view op, std::string_view overload) noexcept {
  const auto* row = std::find_if(std::begin(kTable), std::end(kTable), [&](const Row& candidate) {
    return candidate.op == op && candidate.overload == overload;
  });
  return row == std::end(kTable) ? nullptr : row;
}

}  // namespace account::count
