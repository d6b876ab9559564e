// Scaled dot-product attention, forward and backward, with the fused kernels' arithmetic.
//
// Shapes: query [batch, heads, Sq, D], key [batch, kv_heads, Sk, D], value [batch, kv_heads, Sk,
// Dv]; fewer kv_heads are shared by groups of query heads (Ainslie 2023, arXiv 2305.13245) and do
// not make the products fewer. Softmax, scaling and dropout are pointwise work and count nothing,
// as in torch.utils.flop_counter (sdpa_flop_count, sdpa_backward_flop_count).
#include <algorithm>

#include "count/formulas.h"

namespace account::count {
namespace {

// What one (query, key) pair costs, in elements of a row: `d` rows of length D, `dv` of length Dv.
struct PairCost {
  int64_t d, dv;
};

// Forward: scores Q K^T (D) and P V (Dv). Dao 2022 (arXiv 2205.14135), algorithm 1.
constexpr PairCost kForward{1, 1};
// Backward: Q K^T again, dQ = dS K, dK = dS^T Q (D each); dP = dO V^T, dV = P^T dO (Dv each).
// Dao 2022, algorithm 4: the scores are recomputed instead of kept.
constexpr PairCost kBackward{3, 2};
constexpr PairCost kBackwardModel{2, 2};  // less the recomputed scores

// Pairs that a causal mask leaves: query i sees keys 0..i, the mask's corner at the top left, as
// is_causal is defined (torch.nn.functional.scaled_dot_product_attention).
Uint128 causal_pairs(int64_t queries, int64_t keys) noexcept {
  const auto short_side = static_cast<Uint128>(std::min(queries, keys));
  const auto beyond = static_cast<Uint128>(queries) - short_side;  // queries that see every key
  return short_side * (short_side + 1) / 2 + beyond * static_cast<Uint128>(keys);
}

Counted count(const Arguments& arguments, PairCost executed, PairCost model) noexcept {
  const auto q = arguments[0].list(), k = arguments[1].list(), v = arguments[2].list();
  if (q.size() != 4 || k.size() != 4 || v.size() != 4) return declined(Decline::bad_rank);
  for (const auto shape : {q, k, v}) {
    if (std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size < 0; })) {
      return declined(Decline::negative);
    }
  }
  const int64_t batch = q[0], heads = q[1], queries = q[2], keys = k[2], d = q[3], dv = v[3];
  const bool match = k[0] == batch && v[0] == batch && k[1] == v[1] && v[2] == keys && k[3] == d &&
                     (heads == k[1] || (k[1] > 0 && heads % k[1] == 0));
  if (!match) return declined(Decline::mismatched_shapes);

  const auto operations = [&](PairCost cost, Uint128 pairs) {
    const Uint128 row = static_cast<Uint128>(cost.d) * static_cast<Uint128>(d) +
                        static_cast<Uint128>(cost.dv) * static_cast<Uint128>(dv);
    return Product().times(2).times(batch).times(heads).times_wide(row).times_wide(pairs);
  };
  const Uint128 all = static_cast<Uint128>(queries) * static_cast<Uint128>(keys);
  const bool causal = !arguments[3].absent() && arguments[3].scalar() != 0;
  const Product dense = operations(executed, all);
  const Product unmasked = causal ? operations(executed, causal_pairs(queries, keys)) : dense;
  if (dense.decline() != Decline::none) return declined(dense.decline());
  return {{dense.value(), operations(model, all).value(), unmasked.value()}, Decline::none};
}

}  // namespace

Counted count_attention(const Arguments& arguments) noexcept {
  return count(arguments, kForward, kForward);
}

Counted count_attention_backward(const Arguments& arguments) noexcept {
  return count(arguments, kBackward, kBackwardModel);
}

}  // namespace account::count
