// What a counting kernel does around one call. The kernels are in typed.cc (fast, one C++ type an
// op) and boxed.cc (any op); both use this.
//
// Note: [where we stand] The kernels are registered for the dispatch key BackendSelect, which every
// thread has by default: below autograd, autocast, functorch and Python subclasses, right above
// the device's kernel. So what arrives is what runs, once, in its executed shapes and type.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DispatchKeySet.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "account/keys.h"
#include "account/op_count.h"
#include "account/totals.h"
#include "count/formula.h"
#include "tally/tally.h"

namespace account::torch {

// How a row's arguments are read off a call, resolved against the schema that the loaded torch has.
struct Reading {
  static constexpr int kMaxSchemaArguments = 32;
  static constexpr int kMaxFacts = 4;
  static constexpr int8_t kOutput = -2, kNone = -1;

  // One number about the argument at a schema position (or the first output).
  struct FactOf {
    int8_t position, index;
    count::Fact fact;
  };

  const count::Row* row = nullptr;
  int arguments = 0;  // of the row
  // Schema position -> index in the row's arguments, or kNone where the formula does not read it.
  std::array<int8_t, kMaxSchemaArguments> index_of{};
  int8_t output_index = kNone;  // where the row wants the first output's sizes
  int facts = 0;
  std::array<FactOf, kMaxFacts> fact_of{};
  // Schema position of the row's dtype_from; kOutput: the first output; kNone: `dtype` itself.
  int8_t dtype_position = kOutput;
  DType dtype = DType::other;

  bool reads_output() const { return output_index >= 0 || dtype_position == kOutput || late_fact; }
  bool late_fact = false;  // one of them is about the output
};

// One op overload that is watched.
struct WatchedOp {
  Reading dense;
  // For tensors of a sparse layout; no row where the op has no formula for them.
  Reading sparse;
  uint16_t op_id = 0;  // tally::op_id(the op's name)
  int schema_arguments = 0;
  int schema_returns = 0;

  std::string_view name() const { return (dense.row != nullptr ? dense : sparse).row->op; }
};

// The part of a thread's state that a kernel reads. Initial-exec: one instruction to reach.
struct ThreadState {
  static constexpr int kNoOptimizer = -2;

  int depth = 0;         // watched ops on this thread's stack
  uint64_t counted = 0;  // calls counted on this thread, for ops that are made of others
  // The graph task (-1: none) in which an optimizer's step began that has not ended.
  int optimizer_task = kNoOptimizer;
  int regions = 0;      // compiled graphs on this thread's stack that count as a whole
  OpCount shadow;       // what known ops reported meanwhile
  bool canary = false;  // the self-test is calling
  bool canary_seen = false;
};
extern thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec")));

// What a counted call has to look after beside the tally: nothing, as a rule.
enum Attention : uint32_t {
  kCapturing = 1,  // a CUDA graph is being captured (capture.h)
  kModules = 2,    // counts are kept by module, too (modules.h)
};
extern std::atomic<uint32_t> attention;
inline void attend(Attention to, bool on) noexcept {
  on ? attention.fetch_or(to, std::memory_order_acq_rel)
     : attention.fetch_and(~static_cast<uint32_t>(to), std::memory_order_acq_rel);
}
// Gives it that; true if the call is not to be counted now. For `attention` that is not 0.
bool look_after(tally::Key key, const Figures& figures) noexcept;

// Keeps what one call computed, where that belongs now; true if in the tally. Inlined, so that the
// key stays in registers.
[[gnu::always_inline]] inline bool keep(tally::Key key, const Figures& figures) noexcept {
  if (thread_state.regions > 0) {
    thread_state.shadow = saturating_add(thread_state.shadow, figures.executed);
    return false;
  }
  ++thread_state.counted;
  const uint64_t word = tally::to_word(key);
  if (attention.load(std::memory_order_relaxed) != 0) [[unlikely]] {
    if (look_after(tally::to_key(word), figures)) return false;
  }
  tally::add_word(word, figures);
  return true;
}

// Where a redispatch from our kernels goes: to whatever lies below BackendSelect.
inline c10::DispatchKeySet below_us(c10::DispatchKeySet keys) {
  return keys &
         c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, c10::DispatchKey::BackendSelect);
}

// Held for the length of one watched call. Only the outermost watched op of a thread counts: some
// ops are made of others that are watched too (_grouped_mm calls mm.out). Calls on meta tensors
// (FakeTensor, tracing, shape inference) do no arithmetic and are let through untouched.
class Watch {
 public:
  explicit Watch(c10::DispatchKeySet keys)
      : meta_(keys.has_backend(c10::BackendComponent::MetaBit)) {
    if (meta_) return;
    outermost_ = thread_state.depth++ == 0;
    if (thread_state.canary) [[unlikely]] {
      thread_state.canary_seen = true;
      outermost_ = false;
    }
  }
  ~Watch() {
    if (!meta_) --thread_state.depth;
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  bool counts() const { return outermost_; }

  // Lets the watched ops that this thread's watched one is made of count for themselves, until it
  // is destroyed; says whether any did. Needs a Watch that counts().
  class Parts {
   public:
    Parts() : before_(thread_state.counted) { --thread_state.depth; }
    ~Parts() { ++thread_state.depth; }
    Parts(const Parts&) = delete;
    Parts& operator=(const Parts&) = delete;
    bool counted() const { return thread_state.counted != before_; }

   private:
    uint64_t before_;
  };

 private:
  bool meta_;
  bool outermost_ = false;
};

// Why this call cannot be counted by shapes, seen from its dispatch keys; nullptr if it can.
const char* undense(c10::DispatchKeySet keys) noexcept;
inline bool is_dense(c10::DispatchKeySet keys) {
  constexpr c10::DispatchKeySet kUndense(
      {c10::DispatchKey::Sparse, c10::DispatchKey::SparseCsr, c10::DispatchKey::NestedTensor});
  return (keys & kUndense).raw_repr() == 0;
}

// torch's scalar type in our words.
inline constexpr size_t kScalarTypes = static_cast<size_t>(c10::ScalarType::NumOptions);
extern const std::array<DType, kScalarTypes> dtypes;
inline DType to_dtype(c10::ScalarType type) noexcept {
  const auto index = static_cast<size_t>(type);
  return index < kScalarTypes ? dtypes[index] : DType::other;
}

// The row for a call with these dispatch keys; no row where there is none for its layout.
inline const Reading& reading_for(const WatchedOp& op, c10::DispatchKeySet keys) {
  return is_dense(keys) ? op.dense : op.sparse;
}

// Counts a call that has returned: formula, tally and, while a step is being recorded, transcript.
void count_call(const WatchedOp& op, const Reading& reading, const count::Arguments& arguments,
                DType dtype) noexcept;
// Lists a call that could not be counted; `bound`: count::bound_of_elements of its tensors.
void decline_call(const WatchedOp& op, const char* reason, OpCount bound) noexcept;

}  // namespace account::torch
