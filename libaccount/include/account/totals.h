// What has been counted, as a value: the figures, and the totals with their breakdown.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "account/op_count.h"

namespace account {

// The three figures kept for every counted call; libaccount/doc/counting.md defines them.
struct Figures {
  OpCount executed;  // dense arithmetic of the kernels that ran, recomputation included
  OpCount model;     // executed less recomputation
  OpCount lower;     // executed less what causal masks and known sparsity spare

  friend bool operator==(const Figures&, const Figures&) = default;
};

// What training has taken in, as the trainer says (Run::processed). 0: it said nothing.
struct Processed {
  uint64_t samples = 0;  // rows of batches: sequences, images
  uint64_t tokens = 0;   // positions of sequences as they were computed, padding included

  friend bool operator==(const Processed&, const Processed&) = default;
};
constexpr Processed saturating_add(const Processed& a, const Processed& b) noexcept {
  const auto sum = [](uint64_t x, uint64_t y) { return y > UINT64_MAX - x ? UINT64_MAX : x + y; };
  return {sum(a.samples, b.samples), sum(a.tokens, b.tokens)};
}

// Calls that were seen and could not be counted.
struct Uncounted {
  std::string op;
  uint64_t calls = 0;
  std::string reason;
  OpCount bound;  // what they computed at most, as far as their tensors tell; part of `upper`
};

// Calls of an op without a formula that were seen on an audit (doc/counting.md).
struct Audited {
  std::string op;
  uint64_t calls = 0;
  OpCount estimate;  // what they computed, about
  OpCount bound;     // and at most
};

// A sum over some scope (a block, a process, a run). Plain data; operations throughout.
struct Totals {
  OpCount executed;
  OpCount model;
  OpCount lower;
  OpCount upper;       // executed plus the bounds of all gaps and uncounted calls
  uint64_t calls = 0;  // counted calls
  uint64_t steps = 0;  // closed steps
  Processed processed;
  // Executed operations by qualified op name ("aten::mm") and by the words of keys.h.
  std::map<std::string, OpCount> by_op;
  std::map<std::string, OpCount> by_phase;
  std::map<std::string, OpCount> by_dtype;
  std::map<std::string, OpCount> by_category;
  std::vector<Uncounted> uncounted;
  std::vector<Audited> audited;  // of a block that was audited as a whole: count(audit=True)
};

}  // namespace account
