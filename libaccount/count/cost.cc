// The cost table. Counted from the definitions in torch's documentation: for each op the operations
// that its formula has for one element.
#include "count/cost.h"

#include <algorithm>
#include <iterator>

namespace account::count {
namespace {

struct NamedCost {
  std::string_view op;
  uint16_t arithmetic, elementary;
};

// Sorted by name.
constexpr NamedCost kCosts[] = {
    {"_adaptive_avg_pool2d", 1, 0},
    {"_adaptive_avg_pool2d_backward", 1, 0},
    {"_embedding_bag", 1, 0},
    {"_fused_adam", 16, 0},   // two moving averages (6), their corrections (2), square root,
    {"_fused_adamw", 17, 0},  // division, epsilon, step, decay; AdamW one more
    {"_fused_rms_norm", 5, 0},
    {"_fused_rms_norm_backward", 12, 0},
    {"_fused_sgd", 6, 0},
    {"_log_softmax", 4, 1},  // maximum, difference, exp, sum, difference
    {"_log_softmax_backward_data", 3, 1},
    {"_low_memory_max_pool_with_offsets", 1, 0},
    {"_native_batch_norm_legit", 8, 0},
    {"_safe_softmax", 5, 1},
    {"_softmax", 4, 1},  // maximum, difference, exp, sum, division
    {"_softmax_backward_data", 4, 0},
    {"_unsafe_masked_index", 1, 0},
    {"_unsafe_masked_index_put_accumulate", 1, 0},
    {"abs", 1, 0},
    {"add", 1, 0},
    {"addcdiv", 3, 0},
    {"addcmul", 3, 0},
    {"all", 1, 0},
    {"amax", 1, 0},
    {"amin", 1, 0},
    {"any", 1, 0},
    {"argmax", 1, 0},
    {"argmin", 1, 0},
    {"avg_pool2d", 1, 0},
    {"avg_pool2d_backward", 1, 0},
    {"batch_norm_backward", 14, 0},
    {"bernoulli", 1, 1},
    {"binary_cross_entropy_with_logits", 5, 2},
    {"bitwise_and", 1, 0},
    {"bitwise_not", 1, 0},
    {"bitwise_or", 1, 0},
    {"clamp", 2, 0},
    {"clamp_min", 1, 0},
    {"cos", 0, 1},
    {"cudnn_batch_norm", 8, 0},
    {"cudnn_batch_norm_backward", 14, 0},
    {"cumsum", 1, 0},
    {"div", 1, 0},
    {"elu", 2, 1},
    {"embedding_dense_backward", 1, 0},
    {"eq", 1, 0},
    {"erf", 0, 1},
    {"exp", 0, 1},
    {"fma", 2, 0},
    {"ge", 1, 0},
    {"gelu", 5, 1},
    {"gelu_backward", 10, 2},
    {"gt", 1, 0},
    {"hardswish", 4, 0},
    {"hardtanh", 2, 0},
    {"hardtanh_backward", 2, 0},
    {"index_add", 1, 0},
    {"inductor_randint", 1, 1},
    {"inductor_random", 1, 1},
    {"isfinite", 1, 0},
    {"isinf", 1, 0},
    {"isnan", 1, 0},
    {"le", 1, 0},
    {"leaky_relu", 2, 0},
    {"lerp", 3, 0},
    {"linalg_vector_norm", 2, 0},
    {"log", 0, 1},
    {"log1p", 1, 1},
    {"logical_and", 1, 0},
    {"logical_not", 1, 0},
    {"logical_or", 1, 0},
    {"lt", 1, 0},
    {"masked_fill", 1, 0},
    {"max", 1, 0},
    {"max_pool2d_with_indices", 1, 0},
    {"max_pool2d_with_indices_backward", 1, 0},
    {"maximum", 1, 0},
    {"mean", 1, 0},
    {"min", 1, 0},
    {"minimum", 1, 0},
    {"mkldnn_max_pool2d", 1, 0},
    {"mse_loss", 3, 0},
    {"mse_loss_backward", 3, 0},
    {"mul", 1, 0},
    {"native_batch_norm", 8, 0},
    {"native_batch_norm_backward", 14, 0},
    {"native_dropout", 2, 1},
    {"native_dropout_backward", 2, 0},
    {"native_group_norm", 8, 0},
    {"native_group_norm_backward", 14, 0},
    {"native_layer_norm", 8, 0},  // mean (1), variance (3), normalise (2), scale and shift (2)
    {"native_layer_norm_backward", 14, 0},
    {"ne", 1, 0},
    {"neg", 1, 0},
    {"nll_loss2d_forward", 1, 0},
    {"nll_loss_backward", 1, 0},
    {"nll_loss_forward", 1, 0},
    {"norm", 2, 0},
    {"normal", 2, 1},
    {"pow", 0, 1},
    {"prod", 1, 0},
    {"random", 0, 1},
    {"reciprocal", 1, 0},
    {"relu", 1, 0},
    {"remainder", 2, 0},
    {"rsqrt", 2, 0},
    {"rsub", 1, 0},
    {"scatter_add", 1, 0},
    {"scatter_reduce", 1, 0},
    {"sigmoid", 2, 1},
    {"sigmoid_backward", 3, 0},
    {"sign", 1, 0},
    {"silu", 3, 1},
    {"silu_backward", 6, 1},
    {"sin", 0, 1},
    {"softplus", 2, 2},
    {"sqrt", 1, 0},
    {"square", 1, 0},
    {"std", 4, 0},
    {"sub", 1, 0},
    {"sum", 1, 0},
    {"tanh", 0, 1},
    {"tanh_backward", 3, 0},
    {"threshold", 1, 0},
    {"threshold_backward", 1, 0},
    {"uniform", 2, 1},
    {"upsample_bilinear2d", 8, 0},
    {"upsample_nearest2d", 0, 0},
    {"var", 4, 0},
    {"var_mean", 4, 0},
    {"where", 1, 0},
    {"xlogy", 1, 1},
};
static_assert(std::ranges::is_sorted(kCosts, {}, &NamedCost::op));

// They move, make or look up data, and do no arithmetic on it. Sorted.
constexpr std::string_view kMoves[] = {
    "_assert_async",
    "_conj",
    "_embedding_bag_dense_backward",
    "_index_put_impl",
    "_local_scalar_dense",
    "_low_memory_max_pool_offsets_to_indices",
    "_pin_memory",
    "_reshape_alias",
    "_reshape_copy",
    "_to_copy",
    "_unsafe_index",
    "_unsafe_view",
    "alias",
    "arange",
    "as_strided",
    "as_strided_scatter",
    "broadcast_in_dim",
    "cat",
    "chunk",
    "clone",
    "constant_pad_nd",
    "contiguous",
    "convert_element_type",
    "copy",
    "detach",
    "device_put",
    "diagonal",
    "diagonal_backward",
    "embedding",
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "equal",
    "expand",
    "expand_as",
    "eye",
    "fill",
    "flatten",
    "flip",
    "full",
    "full_like",
    "gather",
    "index",
    "index_copy",
    "index_fill",
    "index_put",
    "index_select",
    "inductor_force_stride_order",
    "inductor_lookup_seed",
    "inductor_reserve_rng_state",
    "inductor_seed",
    "inductor_seeds",
    "iota",
    "is_pinned",
    "is_same_size",
    "item",
    "lift",
    "lift_fresh",
    "linspace",
    "masked_scatter",
    "masked_select",
    "movedim",
    "narrow",
    "new_empty",
    "new_empty_strided",
    "new_full",
    "new_ones",
    "new_zeros",
    "nonzero",
    "one_hot",
    "ones",
    "ones_like",
    "permute",
    "pixel_shuffle",
    "randperm",
    "record_stream",
    "repeat",
    "repeat_interleave",
    "reshape",
    "resize",
    "roll",
    "scalar_tensor",
    "scatter",
    "select",
    "select_backward",
    "select_scatter",
    "set",
    "slice",
    "slice_backward",
    "slice_scatter",
    "sort",
    "split",
    "split_with_sizes",
    "squeeze",
    "stack",
    "swapaxes",
    "t",
    "take",
    "to",
    "topk",
    "transpose",
    "tril",
    "triu",
    "unbind",
    "unfold",
    "unfold_backward",
    "unsafe_split",
    "unsqueeze",
    "value_selecting_reduction_backward",
    "view",
    "view_as",
    "view_as_complex",
    "view_as_real",
    "zero",
    "zeros",
    "zeros_like",
};
static_assert(std::ranges::is_sorted(kMoves));

// "aten::_foreach_addcdiv_" is a form of "addcdiv".
std::string_view plain_name(std::string_view op) {
  const size_t space = op.find("::");
  if (space != std::string_view::npos) op.remove_prefix(space + 2);
  constexpr std::string_view kForeach = "_foreach_";
  if (op.starts_with(kForeach)) op.remove_prefix(kForeach.size());
  if (op.ends_with('_')) op.remove_suffix(1);
  return op;
}

}  // namespace

Cost cost_of(std::string_view op) noexcept {
  const std::string_view name = plain_name(op);
  if (std::ranges::binary_search(kMoves, name)) return {};
  const auto* found = std::ranges::lower_bound(kCosts, name, {}, &NamedCost::op);
  if (found != std::end(kCosts) && found->op == name) return {found->arithmetic, found->elementary};
  return {.arithmetic = 1, .elementary = 0, .known = false};
}

OpCount estimate_of(const Cost& cost, uint64_t elements) noexcept {
  return saturating_multiply(elements, static_cast<uint64_t>(cost.arithmetic + cost.elementary));
}

OpCount bound_of(const Cost& cost, uint64_t elements) noexcept {
  if (!cost.known) return saturating_multiply(elements, kUnknownBound);
  return saturating_multiply(
      elements, kArithmeticBound * cost.arithmetic + kElementaryBound * cost.elementary);
}

}  // namespace account::count
