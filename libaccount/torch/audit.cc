// The RecordFunction callbacks.
//
// Note: [what is audited] RecordFunction is called for ops at every level: for linear, and for the
// addmm that it is made of. Ops that torch only composes (CompositeImplicitAutograd), that move
// data, and calls on tensors of a wrapping kind (FakeTensor, DTensor, functorch) are passed by:
// what they run comes by itself. The outermost of the others counts, and hides what it runs inside.
// A callback must never throw: torch would log it at each call.
#include "torch/audit.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "count/audit.h"
#include "count/cost.h"
#include "count/formula.h"
#include "torch/capture.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

thread_local int audited_depth = 0;  // audited ops on this thread's stack
std::atomic<int> users{0};           // of the watching

enum class Kind : uint8_t { passed_by, counted, audited };

// What is known of an op by its name; looked up once.
struct Op {
  Kind kind = Kind::passed_by;
  bool attention = false;
  bool bare = false;  // a product with nothing fused to it: neither bias nor scale
  count::Cost cost;
};

const Op& op_of(const c10::OperatorName& name) {
  static std::mutex mutex;
  static auto& ops = *new std::unordered_map<c10::OperatorName, Op>;
  const std::lock_guard lock(mutex);
  const auto [entry, fresh] = ops.try_emplace(name);
  Op& op = entry->second;
  if (!fresh) return op;
  const auto handle = c10::Dispatcher::singleton().findSchema(name);
  if (handle.has_value() &&
      handle->hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd)) {
    return op;
  }
  if (count::find_row(name.name, name.overload_name) != nullptr) {
    op.kind = Kind::counted;
    op.attention = name.name.find("attention") != std::string::npos;
    constexpr std::string_view kBare[] = {"aten::mm", "aten::bmm", "aten::mv", "aten::dot",
                                          "aten::vdot"};
    op.bare = std::find(std::begin(kBare), std::end(kBare), name.name) != std::end(kBare);
    return op;
  }
  if (!handle.has_value()) return op;
  op.cost = count::cost_of(name.name);
  if (!op.cost.moves_data()) op.kind = Kind::audited;
  return op;
}

bool is_wrapper(const at::Tensor& tensor) {
  constexpr c10::DispatchKeySet kWrappers(
      {c10::DispatchKey::Python, c10::DispatchKey::FuncTorchBatched,
       c10::DispatchKey::FuncTorchGradWrapper, c10::DispatchKey::Functionalize,
       c10::DispatchKey::NestedTensor});
  return tensor.is_meta() || tensor.key_set().has_any(kWrappers);
}

// The largest tensor of a call so far, a list of tensors taken together.
struct Largest {
  uint64_t elements = 0;
  bool wrapped = false;

  void add(const c10::IValue& value) {
    if (value.isTensor()) {
      elements = std::max(elements, of(value.toTensor()));
    } else if (value.isTensorList()) {
      uint64_t sum = 0;
      for (const c10::IValue& item : value.toListRef()) sum += of(item.toTensor());
      elements = std::max(elements, sum);
    }
  }
  uint64_t of(const at::Tensor& tensor) {
    if (!tensor.defined()) return 0;
    wrapped = wrapped || is_wrapper(tensor);
    return wrapped ? 0 : static_cast<uint64_t>(tensor.numel());
  }
};

struct Call final : at::ObserverContext {
  const Op* op = nullptr;
  std::string name;
  Largest largest;
  uint64_t scores = 0;  // of attention
};

// What a counted op does beside its products: scores are scaled, masked and normalised; anywhere
// else a bias, a scale or an activation is fused.
constexpr count::Cost kAttention{.arithmetic = 8, .elementary = 1}, kEpilogue{.arithmetic = 2};

// Queries times keys, over all heads, of [.., length, width]; the first two tensors of a forward.
uint64_t scores_of(c10::IntArrayRef query, c10::IntArrayRef key) {
  const auto unknown = [](int64_t size) { return size < 0; };  // only the data decides it
  if (query.size() < 3 || key.size() < 3 || std::ranges::any_of(query, unknown) ||
      std::ranges::any_of(key, unknown)) {
    return 0;
  }
  const int64_t queries = c10::multiply_integers(query.slice(0, query.size() - 1));
  const int64_t keys = std::max(key[key.size() - 2], key[key.size() - 3]);  // whichever layout
  return static_cast<uint64_t>(queries) * static_cast<uint64_t>(keys);
}
uint64_t scores_of(c10::ArrayRef<const c10::IValue> inputs) {
  if (inputs.size() < 2 || !inputs[0].isTensor() || !inputs[1].isTensor()) return 0;
  const at::Tensor& query = inputs[0].toTensor();
  const at::Tensor& key = inputs[1].toTensor();
  return query.defined() && key.defined() ? scores_of(query.sizes(), key.sizes()) : 0;
}

// Of one call. An epilogue is a bound only: most calls have none.
struct EstimateAndBound {
  OpCount estimate, bound;
};
EstimateAndBound cost_of_call(const Op& op, uint64_t elements, uint64_t scores) {
  const bool audited = op.kind == Kind::audited;
  const count::Cost cost = audited ? op.cost : scores != 0 ? kAttention : kEpilogue;
  if (!audited && scores != 0) elements = scores;
  return {audited || scores != 0 ? count::estimate_of(cost, elements) : OpCount(),
          count::bound_of(cost, elements)};
}

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  try {
    // What a compiled graph runs, its plan has noted.
    if (thread_state.regions > 0) return nullptr;
    const auto name = function.operator_name();
    if (!name.has_value() || !function.needsInputs()) return nullptr;
    const Op& op = op_of(*name);
    if (op.kind == Kind::passed_by) return nullptr;
    auto call = std::make_unique<Call>();
    call->op = &op;
    for (const c10::IValue& input : function.inputs()) call->largest.add(input);
    if (call->largest.wrapped) return nullptr;
    if (op.attention) call->scores = scores_of(function.inputs());
    call->name = name->name;
    ++audited_depth;
    return call;
  } catch (...) {
    return nullptr;
  }
}

void on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  auto* call = dynamic_cast<Call*>(context);
  if (call == nullptr || --audited_depth > 0) return;
  try {
    if (function.needsOutputs()) {
      for (const c10::IValue& output : function.outputs()) call->largest.add(output);
    }
    if (call->op->bare) return;
    const auto cost = cost_of_call(*call->op, call->largest.elements, call->scores);
    note_audited({call->name, 1, cost.estimate, cost.bound});
  } catch (...) {
    return;
  }
}

}  // namespace

void watch_every_op(bool on) {
  static std::mutex mutex;
  static at::CallbackHandle handle = 0;
  const std::lock_guard lock(mutex);
  if (on && users == 0) {
    handle = at::addGlobalCallback(at::RecordFunctionCallback(on_start, on_end)
                                       .needsInputs(true)
                                       .needsOutputs(true)
                                       .scopes({at::RecordScope::FUNCTION}));
  }
  users += on ? 1 : -1;
  if (users == 0) at::removeCallback(handle);
}

bool watching_every_op() noexcept { return users.load(std::memory_order_relaxed) > 0; }

Audited audited_calls(const std::string& op, const std::string& overload, uint64_t elements,
                      c10::IntArrayRef query, c10::IntArrayRef key, uint64_t calls) {
  const Op& known = op_of({op, overload});
  if (known.kind == Kind::passed_by || known.bare) return {};
  const auto cost = cost_of_call(known, elements, known.attention ? scores_of(query, key) : 0);
  return {op, calls, saturating_multiply(cost.estimate, calls),
          saturating_multiply(cost.bound, calls)};
}

}  // namespace account::torch
