// Attention as pairs of a query and a key, for the ops that have a row and for graphs that spell it
// otherwise (flex_attention).
#pragma once

#include <cstdint>

#include "count/formula.h"

namespace account::count {

struct AttentionShape {
  int64_t heads = 0;     // of the query
  Uint128 pairs = 0;     // (query, key) pairs of one head, over the batch
  Uint128 unmasked = 0;  // of these what a known mask leaves
  int64_t d = 0, dv = 0;
};

// Keys that query i may see: from i - left to i + right, both included.
struct Window {
  static constexpr int64_t kOpen = INT64_MAX;
  int64_t left = kOpen, right = kOpen;
  bool from_end = false;  // the last query stands at the last key, not the first at the first
};
ACCOUNT_API Uint128 pairs_within(const Window& window, int64_t queries, int64_t keys) noexcept;

ACCOUNT_API Counted count_attention_forward(const AttentionShape& shape) noexcept;
ACCOUNT_API Counted count_attention_backward(const AttentionShape& shape) noexcept;

}  // namespace account::count
