// Convolutions of any number of spatial dimensions, grouped, dilated, transposed.
//
// Every position of the sliding side (the output; of a transposed convolution the input) meets the
// whole weight once: 2 * batch * prod(positions) * numel(weight). The weight is
// [out, in/groups, k...] (transposed: [in, out/groups, k...]), so groups are in its size already.
// Source: torch.utils.flop_counter conv_flop_count; Dumoulin & Visin 2016 (arXiv 1603.07285), 2
// and 4. Padding counts as the dense kernel computes it; the bias is pointwise work and counts
// nothing.
#include "count/formulas.h"

namespace account::count {
namespace {

struct Shapes {
  std::span<const int64_t> input, weight, output;
  bool transposed;
  int64_t groups;
};

Decline check(const Shapes& shapes) noexcept {
  const size_t rank = shapes.input.size();
  if (rank < 3 || shapes.weight.size() != rank || shapes.output.size() != rank) {
    return Decline::bad_rank;
  }
  if (shapes.groups < 1) return Decline::mismatched_shapes;
  const int64_t outer = shapes.weight[0], inner = shapes.weight[1];
  if (inner < 0 || outer < 0) return Decline::negative;
  int64_t inner_all = 0;  // the weight's second dimension over all groups
  if (__builtin_mul_overflow(inner, shapes.groups, &inner_all)) return Decline::overflow;
  const int64_t in = shapes.transposed ? outer : inner_all;
  const int64_t out = shapes.transposed ? inner_all : outer;
  const bool match =
      shapes.input[1] == in && shapes.output[1] == out && shapes.input[0] == shapes.output[0];
  return match ? Decline::none : Decline::mismatched_shapes;
}

Product operations(const Shapes& shapes) noexcept {
  const auto sliding = shapes.transposed ? shapes.input : shapes.output;
  return Product().times(2).times(sliding[0]).times(sliding.subspan(2)).times(shapes.weight);
}

Counted count_shapes(const Shapes& shapes, int64_t times) noexcept {
  if (const Decline why = check(shapes); why != Decline::none) return declined(why);
  return counted(operations(shapes).times(times));
}

// How many of the gradients of input and weight a mask (input, weight, bias) asks for; -1 where it
// is none.
int64_t gradients(const Argument& mask) noexcept {
  const auto wanted = mask.list();
  if (wanted.size() != 3) return -1;
  return (wanted[0] != 0 ? 1 : 0) + (wanted[1] != 0 ? 1 : 0);
}

// input, weight, transposed, groups, output.
Counted count_convolution(const Arguments& arguments) noexcept {
  return count_shapes({arguments[0].list(), arguments[1].list(), arguments[4].list(),
                       arguments[2].scalar() != 0, arguments[3].scalar()},
                      1);
}

// input, weight, groups, output: an op of its own for each direction.
Counted count_forward_convolution(const Arguments& arguments) noexcept {
  return count_shapes(
      {arguments[0].list(), arguments[1].list(), arguments[3].list(), false, arguments[2].scalar()},
      1);
}
Counted count_transposed_convolution(const Arguments& arguments) noexcept {
  return count_shapes(
      {arguments[0].list(), arguments[1].list(), arguments[3].list(), true, arguments[2].scalar()},
      1);
}

// input, weight, output: kernels that know no groups.
Counted count_plain_convolution(const Arguments& arguments) noexcept {
  return count_shapes({arguments[0].list(), arguments[1].list(), arguments[2].list(), false, 1}, 1);
}
Counted count_plain_transposed_convolution(const Arguments& arguments) noexcept {
  return count_shapes({arguments[0].list(), arguments[1].list(), arguments[2].list(), true, 1}, 1);
}
// As many groups as channels: the weight is [out, 1, k...].
Counted count_depthwise_convolution(const Arguments& arguments) noexcept {
  const auto input = arguments[0].list();
  return count_shapes(
      {input, arguments[1].list(), arguments[2].list(), false, input.size() < 2 ? 1 : input[1]}, 1);
}

// grad_output, input, weight, transposed, groups, output_mask (input, weight, bias).
//
// The gradient of the input is a convolution of grad_output with the weight, the gradient of the
// weight one of the input with grad_output: each pairs the same elements as the forward, and costs
// the same. (torch.utils.flop_counter conv_backward_flop overcounts the weight's by the groups: it
// leaves them out of its shapes.) Only what output_mask asks for is computed; the gradient of the
// bias is a sum and counts nothing.
Counted count_convolution_backward(const Arguments& arguments) noexcept {
  const int64_t wanted = gradients(arguments[5]);
  if (wanted < 0) return declined(Decline::bad_rank);
  return count_shapes({arguments[1].list(), arguments[2].list(), arguments[0].list(),
                       arguments[3].scalar() != 0, arguments[4].scalar()},
                      wanted);
}
// grad_output, input, weight, output_mask.
Counted count_plain_convolution_backward(const Arguments& arguments) noexcept {
  const int64_t wanted = gradients(arguments[3]);
  if (wanted < 0) return declined(Decline::bad_rank);
  return count_shapes({arguments[1].list(), arguments[2].list(), arguments[0].list(), false, 1},
                      wanted);
}

// Time first: [time, batch, in], weight [k, in, out], output [time', batch, out].
Counted count_time_convolution(const Arguments& arguments, int64_t times) noexcept {
  const auto input = arguments[0].list(), weight = arguments[1].list(), out = arguments[2].list();
  if (input.size() != 3 || weight.size() != 3 || out.size() != 3) {
    return declined(Decline::bad_rank);
  }
  if (input[2] != weight[1] || out[2] != weight[2] || input[1] != out[1]) {
    return declined(Decline::mismatched_shapes);
  }
  return counted(Product().times(2).times(times).times(out[0]).times(out[1]).times(weight));
}
Counted count_conv_tbc(const Arguments& arguments) noexcept {
  return count_time_convolution(arguments, 1);
}
// input, weight, grad_output: both gradients, always.
Counted count_conv_tbc_backward(const Arguments& arguments) noexcept {
  return count_time_convolution(arguments, 2);
}

constexpr std::string_view kConvolution = "input weight transposed groups ->";
constexpr std::string_view kBackward = "grad_output input weight transposed groups output_mask";
constexpr std::string_view kGrouped = "self weight groups ->";
constexpr std::string_view kPlain = "self weight ->";
constexpr std::string_view kPointwise = "X W groups ->";
constexpr std::string_view kQuantized = "qx qw groups ->";

constexpr Row kRows[] = {
    {"aten::convolution", "", kConvolution, "input", count_convolution},
    {"aten::convolution", "out", kConvolution, "input", count_convolution},
    {"aten::_convolution", "", kConvolution, "input", count_convolution},
    {"aten::_convolution", "deprecated", kConvolution, "input", count_convolution},
    {"aten::_convolution", "out", kConvolution, "input", count_convolution},
    {"aten::convolution_overrideable", "", kConvolution, "input", count_convolution, true},
    {"aten::convolution_overrideable", "out", kConvolution, "input", count_convolution, true},
    {"aten::convolution_backward", "", kBackward, "input", count_convolution_backward},
    {"aten::convolution_backward", "out", kBackward, "input", count_convolution_backward},
    {"aten::convolution_backward_overrideable", "", kBackward, "input", count_convolution_backward,
     true},
    {"aten::convolution_backward_overrideable", "out", kBackward, "input",
     count_convolution_backward, true},

    {"aten::mkldnn_convolution", "", kGrouped, "self", count_forward_convolution},
    {"aten::mkldnn_convolution", "out", kGrouped, "self", count_forward_convolution},
    {"mkldnn::_convolution_pointwise", "", kPointwise, "X", count_forward_convolution},
    {"mkldnn::_convolution_pointwise", "binary", kPointwise, "X", count_forward_convolution},
    {"mkldnn::_convolution_pointwise_", "binary", kPointwise, "X", count_forward_convolution},
    {"mkldnn::_convolution_transpose_pointwise", "", kPointwise, "X", count_transposed_convolution},
    {"onednn::qconv1d_pointwise", "", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv2d_pointwise", "", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv2d_pointwise", "tensor", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv2d_pointwise", "binary", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv2d_pointwise", "binary_tensor", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv3d_pointwise", "", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv_pointwise", "", kQuantized, "=int8", count_forward_convolution},
    {"onednn::qconv_pointwise", "tensor", kQuantized, "=int8", count_forward_convolution},

    {"aten::cudnn_convolution", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution", "out", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution_relu", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution_relu", "out", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution_add_relu", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution_add_relu", "out", kGrouped, "self", count_forward_convolution, true},
    {"aten::cudnn_convolution_transpose", "", kGrouped, "self", count_transposed_convolution, true},
    {"aten::cudnn_convolution_transpose", "out", kGrouped, "self", count_transposed_convolution,
     true},
    {"aten::miopen_convolution", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::miopen_convolution", "out", kGrouped, "self", count_forward_convolution, true},
    {"aten::miopen_convolution_relu", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::miopen_convolution_add_relu", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::miopen_depthwise_convolution", "", kGrouped, "self", count_forward_convolution, true},
    {"aten::miopen_depthwise_convolution", "out", kGrouped, "self", count_forward_convolution,
     true},
    {"aten::miopen_convolution_transpose", "", kGrouped, "self", count_transposed_convolution,
     true},
    {"aten::miopen_convolution_transpose", "out", kGrouped, "self", count_transposed_convolution,
     true},

    {"aten::_slow_conv2d_forward", "", kPlain, "self", count_plain_convolution},
    {"aten::_slow_conv2d_forward", "output", kPlain, "self", count_plain_convolution},
    {"aten::slow_conv3d_forward", "", kPlain, "self", count_plain_convolution},
    {"aten::slow_conv3d_forward", "output", kPlain, "self", count_plain_convolution},
    {"aten::slow_conv_dilated2d", "", kPlain, "self", count_plain_convolution},
    {"aten::slow_conv_dilated3d", "", kPlain, "self", count_plain_convolution},
    {"aten::slow_conv_transpose2d", "", kPlain, "self", count_plain_transposed_convolution},
    {"aten::slow_conv_transpose2d", "out", kPlain, "self", count_plain_transposed_convolution},
    {"aten::slow_conv_transpose3d", "", kPlain, "self", count_plain_transposed_convolution},
    {"aten::slow_conv_transpose3d", "out", kPlain, "self", count_plain_transposed_convolution},
    {"aten::_nnpack_spatial_convolution", "", "input weight ->", "input", count_plain_convolution},
    {"aten::_slow_conv2d_backward", "output_mask", "grad_output self weight output_mask", "self",
     count_plain_convolution_backward},
    {"aten::_conv_depthwise2d", "", kPlain, "self", count_depthwise_convolution, true},
    {"aten::_conv_depthwise2d", "out", kPlain, "self", count_depthwise_convolution, true},
    {"aten::conv_depthwise3d", "", kPlain, "self", count_depthwise_convolution, true},
    {"aten::conv_tbc", "", kPlain, "self", count_conv_tbc},
    {"aten::conv_tbc_backward", "", "input weight self", "self", count_conv_tbc_backward},
};

}  // namespace

std::span<const Row> convolution_rows() noexcept { return kRows; }

}  // namespace account::count
