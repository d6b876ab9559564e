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

}  // namespace

// input, weight, transposed, groups, output.
Counted count_convolution(const Arguments& arguments) noexcept {
  const Shapes shapes{arguments[0].list(), arguments[1].list(), arguments[4].list(),
                      arguments[2].scalar() != 0, arguments[3].scalar()};
  if (const Decline why = check(shapes); why != Decline::none) return declined(why);
  return counted(operations(shapes));
}

// grad_output, input, weight, transposed, groups, output_mask (input, weight, bias).
//
// The gradient of the input is a convolution of grad_output with the weight, the gradient of the
// weight one of the input with grad_output: each pairs the same elements as the forward, and costs
// the same. (torch.utils.flop_counter conv_backward_flop overcounts the weight's by the groups: it
// leaves them out of its shapes.) Only what output_mask asks for is computed; the gradient of the
// bias is a sum and counts nothing.
Counted count_convolution_backward(const Arguments& arguments) noexcept {
  const Shapes shapes{arguments[1].list(), arguments[2].list(), arguments[0].list(),
                      arguments[3].scalar() != 0, arguments[4].scalar()};
  if (const Decline why = check(shapes); why != Decline::none) return declined(why);
  const auto wanted = arguments[5].list();
  if (wanted.size() != 3) return declined(Decline::bad_rank);
  const int gradients = (wanted[0] != 0 ? 1 : 0) + (wanted[1] != 0 ? 1 : 0);
  return counted(operations(shapes).times(static_cast<int64_t>(gradients)));
}

}  // namespace account::count
