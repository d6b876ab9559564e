// Scaled dot-product attention, forward and backward, with the fused kernels' arithmetic.
//
// Fewer key heads than query heads are shared by groups of query heads (Ainslie 2023, arXiv
// 2305.13245) and do not make the products fewer. Softmax, scaling and dropout are pointwise work
// and count nothing, as in torch.utils.flop_counter (sdpa_flop_count, sdpa_backward_flop_count).
#include "count/attention.h"

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

// The sum over all queries i of clamp(i + first, 0, keys): pairs with key < i + first.
Uint128 pairs_before(int64_t first, int64_t queries, int64_t keys) noexcept {
  const int64_t begin = std::clamp<int64_t>(-first, 0, queries);           // sees a key
  const int64_t full = std::clamp<int64_t>(keys - first, begin, queries);  // sees every key
  const auto rising = static_cast<Uint128>(full - begin);
  // From begin + first to full - 1 + first, evenly.
  const auto ends = static_cast<Uint128>(begin + full - 1 + 2 * first);
  const Uint128 triangle = rising == 0 ? 0 : rising * ends / 2;
  return triangle + static_cast<Uint128>(queries - full) * static_cast<Uint128>(keys);
}

bool is_negative(std::span<const int64_t> shape) noexcept {
  return std::any_of(shape.begin(), shape.end(), [](int64_t size) { return size < 0; });
}

Counted count_pairs(const AttentionShape& shape, PairCost executed, PairCost model) noexcept {
  const auto operations = [&](PairCost cost, Uint128 pairs) {
    const Uint128 row = static_cast<Uint128>(cost.d) * static_cast<Uint128>(shape.d) +
                        static_cast<Uint128>(cost.dv) * static_cast<Uint128>(shape.dv);
    return Product().times(2).times(shape.heads).times_wide(row).times_wide(pairs);
  };
  const Product dense = operations(executed, shape.pairs);
  if (dense.decline() != Decline::none) return declined(dense.decline());
  return {{dense.value(), operations(model, shape.pairs).value(),
           operations(executed, shape.unmasked).value()},
          Decline::none};
}

struct Problem {
  AttentionShape shape;
  Decline decline = Decline::none;
};
Problem problem(Decline why) noexcept { return {{}, why}; }

// Where batch, heads and sequence stand in the sizes of query, key and value.
struct Layout {
  size_t batch, heads, sequence;
};
constexpr Layout kHeadsFirst{0, 1, 2}, kSequenceFirst{0, 2, 1};

struct Sides {
  std::span<const int64_t> q, k, v;
};

// The batches of query, key and value must agree, and heads be shared evenly.
Decline check(const Sides& s, const Layout& at) noexcept {
  for (const auto side : {s.q, s.k, s.v}) {
    if (is_negative(side)) return Decline::negative;
  }
  constexpr int64_t kLongest = int64_t{1} << 48;  // so that positions and windows cannot overflow
  if (s.q[at.sequence] > kLongest || s.k[at.sequence] > kLongest) return Decline::overflow;
  const int64_t heads = s.q[at.heads], kv_heads = s.k[at.heads];
  const bool match = s.k[at.batch] == s.q[at.batch] && s.v[at.batch] == s.q[at.batch] &&
                     s.v[at.heads] == kv_heads && s.v[at.sequence] == s.k[at.sequence] &&
                     s.k[3] == s.q[3] &&
                     (heads == kv_heads || (kv_heads > 0 && heads % kv_heads == 0));
  return match ? Decline::none : Decline::mismatched_shapes;
}

Problem dense_problem(const Sides& s, const Layout& at, const Window& window) noexcept {
  if (s.q.size() != 4 || s.k.size() != 4 || s.v.size() != 4) return problem(Decline::bad_rank);
  if (const Decline why = check(s, at); why != Decline::none) return problem(why);
  const auto batch = static_cast<Uint128>(s.q[at.batch]);
  const int64_t queries = s.q[at.sequence], keys = s.k[at.sequence];
  AttentionShape shape;
  shape.heads = s.q[at.heads];
  shape.d = s.q[3];
  shape.dv = s.v[3];
  shape.pairs = batch * static_cast<Uint128>(queries) * static_cast<Uint128>(keys);
  shape.unmasked = batch * pairs_within(window, queries, keys);
  return {shape, Decline::none};
}

// Note: [sequences of several lengths] Packed one after the other, [total, heads, D], with their
// ends in a tensor of the device, which is not read: that would make the host wait. Known are the
// totals, the number of sequences and the longest. Executed counts each query against the longest
// keys (or the reverse, if that is less), which is exact where all are of one length; lower is what
// equal lengths would cost, the least that self-attention can (Cauchy-Schwarz).
Problem packed_problem(const Sides& s, int64_t ends, int64_t max_q, int64_t max_k,
                       bool causal) noexcept {
  if (s.q.size() < 3 || s.k.size() != s.q.size() || s.v.size() != s.q.size()) {
    return problem(Decline::bad_rank);
  }
  for (const auto side : {s.q, s.k, s.v}) {
    if (is_negative(side)) return problem(Decline::negative);
  }
  if (max_q < 0 || max_k < 0) return problem(Decline::negative);
  const size_t d = s.q.size() - 1, heads = d - 1, total = d - 2;
  const int64_t sequences = ends - 1;
  if (sequences < 1 || s.k[d] != s.q[d] || s.v[total] != s.k[total]) {
    return problem(Decline::mismatched_shapes);
  }
  const auto queries = static_cast<Uint128>(s.q[total]), keys = static_cast<Uint128>(s.k[total]);
  AttentionShape shape;
  shape.heads = s.q[heads];
  shape.d = s.q[d];
  shape.dv = s.v[d];
  shape.pairs = std::min(queries * static_cast<Uint128>(max_k), keys * static_cast<Uint128>(max_q));
  const Uint128 even = queries * keys / static_cast<Uint128>(sequences);
  const Uint128 least = causal ? (even + std::min(queries, keys)) / 2 : even;
  shape.unmasked = std::min(least, shape.pairs);
  return {shape, Decline::none};
}

Counted finish(const Problem& of, bool backward) noexcept {
  if (of.decline != Decline::none) return declined(of.decline);
  return backward ? count_attention_backward(of.shape) : count_attention_forward(of.shape);
}

bool flag(const Argument& argument) noexcept {
  return !argument.absent() && argument.scalar() != 0;
}
// A window's side: -1 or absent is no limit, nor is one longer than any sequence.
int64_t side(const Argument& argument) noexcept {
  constexpr int64_t kLongest = int64_t{1} << 50;
  if (argument.absent() || argument.scalar() < 0 || argument.scalar() > kLongest) {
    return Window::kOpen;
  }
  return argument.scalar();
}

// query, key, value [batch, heads, sequence, D], is_causal.
template <bool kIsBackward>
Counted count_sdpa(const Arguments& arguments) noexcept {
  // The mask's corner is at the top left, as is_causal is defined
  // (torch.nn.functional.scaled_dot_product_attention).
  const Window window = flag(arguments[3]) ? Window{.right = 0} : Window{};
  return finish(dense_problem({arguments[0].list(), arguments[1].list(), arguments[2].list()},
                              kHeadsFirst, window),
                kIsBackward);
}

// Pairs that a block mask leaves, of `all` for one head: `mask` is its blocks, a block's queries
// and keys, and the mask's own batch and heads, over which it is repeated. A block that is masked
// in part counts whole, as the kernel computes it. Without a mask, or where nobody has read how
// many blocks it has (less than none): none is known to be left.
Uint128 pairs_left(std::span<const int64_t> mask, const Sides& s, const Layout& at,
                   Uint128 all) noexcept {
  constexpr size_t kFacts = 5;
  if (mask.size() != kFacts || mask[0] < 0) return 0;
  const int64_t queries = std::min(mask[1], s.q[at.sequence]);
  const int64_t keys = std::min(mask[2], s.k[at.sequence]);
  if (queries < 0 || keys < 0 || mask[3] < 1 || mask[4] < 1) return 0;
  const auto repeated = static_cast<Uint128>(s.q[at.batch] / mask[3]);
  const Uint128 pairs = static_cast<Uint128>(queries) * static_cast<Uint128>(keys);
  constexpr int64_t kMostBlocks = int64_t{1} << 40;  // so that nothing below overflows
  if (mask[0] > kMostBlocks || pairs > (Uint128{1} << 64)) return all;
  const auto blocks = static_cast<Uint128>(mask[0]) / static_cast<Uint128>(mask[4]);
  return std::min(all, blocks * pairs * repeated);
}

// query, key, value [batch, heads, sequence, D], and a block mask: all pairs; `lower` only those of
// the blocks that the mask leaves.
template <bool kIsBackward>
Counted count_flex(const Arguments& arguments) noexcept {
  const Sides sides{arguments[0].list(), arguments[1].list(), arguments[2].list()};
  Problem all = dense_problem(sides, kHeadsFirst, Window{});
  if (all.decline == Decline::none) {
    all.shape.unmasked = pairs_left(arguments[3].list(), sides, kHeadsFirst, all.shape.pairs);
  }
  return finish(all, kIsBackward);
}

// query, key, value [batch, sequence, heads, D], or packed; ends of queries and keys, longest
// query and key, is_causal, window to the left and to the right. Flash attention lays the mask's
// corner at the bottom right (Dao 2023, arXiv 2307.08691; flash-attn 2.1).
template <bool kIsBackward>
Counted count_flash(const Arguments& arguments) noexcept {
  const Sides sides{arguments[0].list(), arguments[1].list(), arguments[2].list()};
  const bool causal = flag(arguments[7]);
  const auto ends = arguments[3].list();
  if (!ends.empty() && ends[0] > 0) {
    return finish(
        packed_problem(sides, ends[0], arguments[5].scalar(), arguments[6].scalar(), causal),
        kIsBackward);
  }
  const Window window{side(arguments[8]), causal ? 0 : side(arguments[9]), true};
  return finish(dense_problem(sides, kSequenceFirst, window), kIsBackward);
}

// q, k, v [batch, sequence, heads, D], causal, window to the left and to the right: flash-attn's
// own op, which splits dense from packed calls.
template <bool kIsBackward>
Counted count_flash_attn(const Arguments& arguments) noexcept {
  const int64_t right = flag(arguments[3]) ? 0 : side(arguments[5]);
  return finish(dense_problem({arguments[0].list(), arguments[1].list(), arguments[2].list()},
                              kSequenceFirst, Window{side(arguments[4]), right, true}),
                kIsBackward);
}

// query, key, value [batch, sequence, heads, D], packed as [1, total, heads, D] with ends; ends of
// queries and keys, longest query and key, custom_mask_type (1: causal from the top left, 2: from
// the bottom right), window_size (keys that a query sees at most).
template <bool kIsBackward>
Counted count_efficient(const Arguments& arguments) noexcept {
  const Sides sides{arguments[0].list(), arguments[1].list(), arguments[2].list()};
  const int64_t mask = arguments[7].absent() ? 0 : arguments[7].scalar();
  const auto ends = arguments[3].list();
  if (!ends.empty() && ends[0] > 0) {
    return finish(
        packed_problem(sides, ends[0], arguments[5].scalar(), arguments[6].scalar(), mask != 0),
        kIsBackward);
  }
  const int64_t width = side(arguments[8]);
  const Window window{width > 0 && width != Window::kOpen ? width - 1 : Window::kOpen,
                      mask != 0 ? 0 : Window::kOpen, mask == 2};
  return finish(dense_problem(sides, kSequenceFirst, window), kIsBackward);
}

// query, key, value [batch, heads, sequence, D] or packed; ends, longest, is_causal.
template <bool kIsBackward>
Counted count_cudnn(const Arguments& arguments) noexcept {
  const Sides sides{arguments[0].list(), arguments[1].list(), arguments[2].list()};
  const auto ends = arguments[3].list();
  if (!ends.empty() && ends[0] > 0) {
    return finish(packed_problem(sides, ends[0], arguments[5].scalar(), arguments[6].scalar(),
                                 flag(arguments[7])),
                  kIsBackward);
  }
  const Window window = flag(arguments[7]) ? Window{.right = 0} : Window{};
  return finish(dense_problem(sides, kHeadsFirst, window), kIsBackward);
}

constexpr std::string_view kSdpa = "query key value is_causal";
constexpr std::string_view kFlash =
    "query key value cum_seq_q cum_seq_k max_q max_k is_causal window_size_left window_size_right";
constexpr std::string_view kEfficient =
    "query key value cu_seqlens_q cu_seqlens_k max_seqlen_q max_seqlen_k custom_mask_type "
    "window_size";
constexpr std::string_view kCudnn = "query key value cum_seq_q cum_seq_k max_q max_k is_causal";

// flash-attn from 2.7 on (flash_attn/flash_attn_interface.py).
constexpr std::string_view kFlashAttn = "q k v causal window_size_left window_size_right";
constexpr std::string_view kFlashAttnPacked =
    "q k v cu_seqlens_q cu_seqlens_k max_seqlen_q max_seqlen_k causal window_size_left "
    "window_size_right";

constexpr bool kBack = true, kFore = false;

constexpr Row kRows[] = {
    {"aten::_scaled_dot_product_flash_attention_for_cpu", "", kSdpa, "query", count_sdpa<kFore>},
    {"aten::_scaled_dot_product_flash_attention_for_cpu_backward", "", kSdpa, "query",
     count_sdpa<kBack>},
    {"aten::_scaled_dot_product_flash_attention", "", kSdpa, "query", count_sdpa<kFore>, true},
    {"aten::_scaled_dot_product_flash_attention", "quantized", kSdpa, "query", count_sdpa<kFore>,
     true},
    {"aten::_scaled_dot_product_flash_attention_backward", "", kSdpa, "query", count_sdpa<kBack>,
     true},
    {"aten::_scaled_dot_product_efficient_attention", "", kSdpa, "query", count_sdpa<kFore>, true},
    {"aten::_scaled_dot_product_efficient_attention_backward", "", kSdpa, "query",
     count_sdpa<kBack>, true},
    {"aten::_scaled_dot_product_cudnn_attention", "", kSdpa, "query", count_sdpa<kFore>, true},
    {"aten::_scaled_dot_product_cudnn_attention_backward", "", kSdpa, "query", count_sdpa<kBack>,
     true},
    {"aten::_scaled_dot_product_fused_attention_overrideable", "", kSdpa, "query",
     count_sdpa<kFore>, true},
    {"aten::_scaled_dot_product_fused_attention_overrideable_backward", "", kSdpa, "query",
     count_sdpa<kBack>, true},
    // In compiled graphs; elsewhere it runs as products.
    {"higher_order::flex_attention", "", "query key value block_mask", "query", count_flex<kFore>},
    {"higher_order::flex_attention_backward", "", "query key value block_mask", "query",
     count_flex<kBack>},
    {"aten::_flash_attention_forward", "", kFlash, "query", count_flash<kFore>, true},
    {"aten::_flash_attention_forward", "quantized", kFlash, "query", count_flash<kFore>, true},
    {"aten::_flash_attention_forward_no_dropout_inplace", "", kFlash, "query", count_flash<kFore>,
     true},
    {"aten::_flash_attention_backward", "", kFlash, "query", count_flash<kBack>, true},
    {"aten::_efficient_attention_forward", "", kEfficient, "query", count_efficient<kFore>, true},
    {"aten::_efficient_attention_backward", "", kEfficient, "query", count_efficient<kBack>, true},
    {"aten::_cudnn_attention_forward", "", kCudnn, "query", count_cudnn<kFore>, true},
    {"aten::_cudnn_attention_backward", "", kCudnn, "query", count_cudnn<kBack>, true},
    {"flash_attn::_flash_attn_forward", "", kFlashAttn, "q", count_flash_attn<kFore>, true},
    {"flash_attn::_flash_attn_backward", "", kFlashAttn, "q", count_flash_attn<kBack>, true},
    {"flash_attn::_flash_attn_varlen_forward", "", kFlashAttnPacked, "q", count_flash<kFore>, true},
    {"flash_attn::_flash_attn_varlen_backward", "", kFlashAttnPacked, "q", count_flash<kBack>,
     true},
};

}  // namespace

Uint128 pairs_within(const Window& window, int64_t queries, int64_t keys) noexcept {
  const int64_t shift = window.from_end ? keys - queries : 0;
  const Uint128 up_to = window.right == Window::kOpen
                            ? static_cast<Uint128>(queries) * static_cast<Uint128>(keys)
                            : pairs_before(shift + window.right + 1, queries, keys);
  if (window.left == Window::kOpen) return up_to;
  return up_to - std::min(up_to, pairs_before(shift - window.left, queries, keys));
}

Counted count_attention_forward(const AttentionShape& shape) noexcept {
  return count_pairs(shape, kForward, kForward);
}

Counted count_attention_backward(const AttentionShape& shape) noexcept {
  return count_pairs(shape, kBackward, kBackwardModel);
}

std::span<const Row> attention_rows() noexcept { return kRows; }

}  // namespace account::count
