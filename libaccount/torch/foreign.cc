// Kernels for ops without a row, the queue of newly defined ops, and the user's formulas.
#include "torch/foreign.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "account/torch.h"
#include "count/formula.h"
#include "count/uncounted.h"
#include "tally/tally.h"
#include "torch/call_shapes.h"
#include "torch/capture.h"
#include "torch/category.h"
#include "torch/phase.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

using OpName = std::pair<std::string, std::string>;  // op, overload

// Above what a socket does (an assumption; keeper/device_rate.h): bounds calls on a CPU by time.
constexpr uint64_t kCpuOperationsPerNs = 100'000;

// One op without a row. Never destroyed: torch keeps the kernel for good.
struct ForeignOp {
  explicit ForeignOp(std::string op) : name(std::move(op)), op_id(tally::op_id(name)) {}

  std::string name;
  uint16_t op_id;
  std::atomic<const CallFormula*> formula{nullptr};  // what was set is never freed
};

// Reads a call's shapes before and after it, which is all that is known of it.
class Reader {
 public:
  Reader(const c10::FunctionSchema& schema, const ::torch::jit::Stack& stack) : schema_(schema) {
    try {
      shapes_.inputs = read_values(stack, schema.arguments());
    } catch (const std::exception&) {
      readable_ = false;
    }
  }
  void read_outputs(const ::torch::jit::Stack& stack) {
    try {
      shapes_.outputs = read_values(stack, schema_.returns());
    } catch (const std::exception&) {
      readable_ = false;
    }
  }
  bool readable() const { return readable_; }
  const CallShapes& shapes() const { return shapes_; }
  DType dtype() const {
    const DType of_input = first_dtype(shapes_.inputs);
    return of_input == DType::other ? first_dtype(shapes_.outputs) : of_input;
  }
  OpCount bound() const {
    std::vector<int64_t> elements;
    add_elements(shapes_.inputs, elements);
    add_elements(shapes_.outputs, elements);
    return count::bound_of_elements(elements);
  }

 private:
  const c10::FunctionSchema& schema_;
  CallShapes shapes_;
  bool readable_ = true;
};

// Nothing that the op runs belongs to the plan of a compiled graph around it: it counts for itself.
class OutOfRegion {
 public:
  OutOfRegion() : regions_(std::exchange(thread_state.regions, 0)) {}
  ~OutOfRegion() { thread_state.regions = regions_; }
  OutOfRegion(const OutOfRegion&) = delete;
  OutOfRegion& operator=(const OutOfRegion&) = delete;

 private:
  int regions_;
};

void count_by(const ForeignOp& op, const CallFormula& formula, const Reader& reader) {
  const auto decline = [&](const std::string& why) {
    list_uncounted(op.name, why, reader.bound());
  };
  if (!reader.readable()) return decline("arguments could not be read");
  try {
    const Result<OpCount> operations = formula(reader.shapes());
    if (!operations.ok()) return decline(std::string(operations.status().fault()));
    if (*operations > kMostOperationsOfACall) {
      return decline("its formula gave more operations than any call has");
    }
    const tally::Key key{op.op_id, reader.dtype(), current_phase(thread_state), current_category()};
    const OpCount model = key.phase == Phase::recompute ? OpCount() : *operations;
    count_without_row(key, {*operations, model, *operations});
  } catch (...) {
    decline("its formula raised an exception");
  }
}

class ForeignKernel final : public c10::OperatorKernel {
 public:
  explicit ForeignKernel(ForeignOp& op) : op_(op) {}

  void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys,
                  ::torch::jit::Stack* stack) {
    Watch watch(keys);
    if (!watch.counts()) return handle.redispatchBoxed(below_us(keys), stack);
    const OutOfRegion out_of_region;
    const CallFormula* formula = op_.formula.load(std::memory_order_acquire);
    // Made of other ops by torch: those are seen, and there is nothing else to it.
    if (formula == nullptr &&
        handle.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd)) {
      const Watch::Parts parts;
      return handle.redispatchBoxed(below_us(keys), stack);
    }
    Reader reader(handle.schema(), *stack);
    if (formula != nullptr) {
      handle.redispatchBoxed(below_us(keys), stack);
      reader.read_outputs(*stack);
      return count_by(op_, *formula, reader);
    }
    const auto began = std::chrono::steady_clock::now();
    bool counted = false;
    {
      const Watch::Parts parts;
      handle.redispatchBoxed(below_us(keys), stack);
      counted = parts.counted();
    }
    const auto took = std::chrono::steady_clock::now() - began;
    reader.read_outputs(*stack);
    list(reader, keys, took, counted);
  }

 private:
  // A CPU has computed when the call returns, so its time is a bound too.
  void list(const Reader& reader, c10::DispatchKeySet keys, std::chrono::nanoseconds took,
            bool counted) const noexcept {
    try {
      OpCount bound = reader.bound();
      if (keys.has_backend(c10::BackendComponent::CPUBit)) {
        bound = std::min(
            bound, saturating_multiply(static_cast<uint64_t>(took.count()), kCpuOperationsPerNs));
      }
      list_uncounted(
          op_.name,
          counted ? "no formula; only the ops in it that have one were counted" : "no formula",
          bound);
    } catch (const std::exception&) {
      return;  // out of memory: training goes on
    }
  }

  ForeignOp& op_;
};

// What torch itself defines beside aten. Those that do arithmetic worth counting have rows; what is
// left of them is like aten's pointwise ops, or moves data.
bool is_torchs_own(std::string_view space) {
  static const std::set<std::string_view> spaces{"aten",
                                                 "prim",
                                                 "prims",
                                                 "quantized",
                                                 "_quantized",
                                                 "quantized_decomposed",
                                                 "quantization",
                                                 "static_runtime",
                                                 "symm_mem",
                                                 "c10d",
                                                 "_c10d_functional",
                                                 "c10d_functional",
                                                 "_c10d_functional_autograd",
                                                 "onednn",
                                                 "mkldnn",
                                                 "mkldnn_prepacked",
                                                 "mkl",
                                                 "sparse",
                                                 "inductor",
                                                 "inductor_prims",
                                                 "_inductor_test",
                                                 "profiler",
                                                 "_test",
                                                 "debugprims",
                                                 "rngprims",
                                                 "_native",
                                                 "debug_mode_ops",
                                                 "export",
                                                 "_dtensor",
                                                 "dtensor",
                                                 "onnx",
                                                 "onnx_symbolic",
                                                 "streams",
                                                 "fsdp",
                                                 "flex_lib",
                                                 "higher_order",
                                                 "cuda",
                                                 "prepacked",
                                                 "xnnpack",
                                                 "_xnnpack",
                                                 "metal",
                                                 "metal_prepack",
                                                 "vulkan",
                                                 "vulkan_prepack",
                                                 "mps",
                                                 "tensorexpr",
                                                 "nnapi",
                                                 "c10",
                                                 "_caffe2",
                                                 "torch_attn",
                                                 "aten_xla",
                                                 "_nvfuser",
                                                 "nvprims",
                                                 "device_mesh"};
  return spaces.contains(space);
}

// Products of torch's own that have no row, such as those with weights packed in an object.
bool multiplies(std::string_view op) {
  if (op.starts_with("aten::") || op.find("prepack") != std::string_view::npos ||
      op.find("unpack") != std::string_view::npos) {
    return false;
  }
  for (const std::string_view word : {"conv", "linear", "matmul", "lstm", "gru", "rnn"}) {
    if (op.find(word, op.find("::")) != std::string_view::npos) return true;
  }
  return false;
}

bool is_foreign(const std::string& op) {
  const std::string_view space = std::string_view(op).substr(0, op.find("::"));
  return !is_torchs_own(space) || (space.find("quantized") != std::string_view::npos &&
                                   space != "quantized_decomposed" && multiplies(op));
}

bool has_tensors(const c10::FunctionSchema& schema) {
  const auto holds = [](const c10::Argument& argument) {
    return argument.type()->str().find("Tensor") != std::string::npos;
  };
  return std::any_of(schema.arguments().begin(), schema.arguments().end(), holds);
}

class Definitions {
 public:
  void follow(std::function<bool(const std::string&, const std::string&)> register_row) {
    register_row_ = std::move(register_row);
    static auto& registration = *new c10::RegistrationHandleRAII(
        c10::Dispatcher::singleton().addRegistrationListener(std::make_unique<Listener>(*this)));
    (void)registration;
    watch_new();
  }

  void watch_new() {
    if (!waiting_.load(std::memory_order_acquire)) return;
    std::set<OpName> names;
    {
      const std::lock_guard lock(mutex_);
      names.swap(queue_);
      waiting_.store(false, std::memory_order_release);
    }
    const std::lock_guard lock(registering_);
    for (const OpName& name : names) {
      const auto handle = c10::Dispatcher::singleton().findSchema({name.first, name.second});
      if (!handle.has_value() || watched_.contains(name)) continue;
      if (register_row_(name.first, name.second)) {
        watched_.emplace(name, nullptr);
      } else if (is_foreign(name.first) && has_tensors(handle->schema())) {
        (void)watch(name, *handle);
      }
    }
  }

  Status set_formula(const std::string& op, CallFormula formula) {
    watch_new();
    const std::lock_guard lock(registering_);
    const std::vector<OpName> overloads = overloads_of(op);
    if (overloads.empty()) {
      return {Code::not_found, "there is no op " + op + " to give a formula",
              "define it, or import what defines it, before; ops are named like mylib::fused_mlp"};
    }
    for (const OpName& name : overloads) {
      const auto known = watched_.find(name);
      const bool by_user = known != watched_.end() && known->second != nullptr &&
                           known->second->formula.load(std::memory_order_acquire) != nullptr;
      const bool by_table = known != watched_.end() && known->second == nullptr;
      if (by_user || by_table || is_in_table(name.first)) {
        return {Code::invalid_argument,
                op + (by_user ? " was given a formula before" : " has a formula of libaccount's"),
                "one formula an op: leave this one out"};
      }
    }
    const auto* shared = new CallFormula(std::move(formula));  // for ever: a call may be using it
    for (const OpName& name : overloads) {
      const auto handle = c10::Dispatcher::singleton().findSchema({name.first, name.second});
      watch(name, *handle).formula.store(shared, std::memory_order_release);
    }
    return {};
  }

 private:
  class Listener final : public c10::OpRegistrationListener {
   public:
    explicit Listener(Definitions& definitions) : definitions_(definitions) {}
    void onOperatorRegistered(const c10::OperatorHandle& op) override {
      const c10::OperatorName& name = op.operator_name();
      const std::lock_guard lock(definitions_.mutex_);
      definitions_.queue_.emplace(name.name, name.overload_name);
      definitions_.waiting_.store(true, std::memory_order_release);
    }
    // Its kernel stays with torch, and waits for a new definition of that name.
    void onOperatorDeregistered(const c10::OperatorHandle&) override {}

   private:
    Definitions& definitions_;
  };

  static bool is_in_table(const std::string& op) {
    for (const count::Row& row : count::table()) {
      if (row.op == op) return true;
    }
    return false;
  }

  // "ns::op" has all of its overloads, "ns::op.overload" is one.
  static std::vector<OpName> overloads_of(const std::string& op) {
    const size_t dot = op.find('.');
    std::vector<OpName> found;
    for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
      const bool matches = dot == std::string::npos ? name.name == op
                                                    : name.name == op.substr(0, dot) &&
                                                          name.overload_name == op.substr(dot + 1);
      if (matches && c10::Dispatcher::singleton().findSchema(name).has_value()) {
        found.emplace_back(name.name, name.overload_name);
      }
    }
    return found;
  }

  ForeignOp& watch(const OpName& name, const c10::OperatorHandle& handle) {
    const auto known = watched_.find(name);
    if (known != watched_.end()) return *known->second;
    auto& op = *new ForeignOp(name.first);
    watched_.emplace(name, &op);
    // Somebody else's kernel stands where ours would: it keeps its place.
    if (handle.hasKernelForDispatchKey(c10::DispatchKey::BackendSelect)) return op;
    const std::string space = name.first.substr(0, name.first.find("::"));
    auto library = libraries_.find(space);
    if (library == libraries_.end()) {
      library = libraries_
                    .try_emplace(space, ::torch::Library::IMPL, space,
                                 c10::DispatchKey::BackendSelect, __FILE__, __LINE__)
                    .first;
    }
    const std::string full = name.second.empty() ? name.first : name.first + "." + name.second;
    library->second.impl(full.c_str(), ::torch::CppFunction::makeFromBoxedFunctor(
                                           std::make_unique<ForeignKernel>(op)));
    return op;
  }

  std::mutex mutex_;  // of the queue; may be taken under torch's lock
  std::set<OpName> queue_;
  std::atomic<bool> waiting_{false};
  std::mutex registering_;  // of all below; torch's lock may be taken under it
  std::function<bool(const std::string&, const std::string&)> register_row_;
  std::map<OpName, ForeignOp*> watched_;  // nullptr: by its row
  std::map<std::string, ::torch::Library, std::less<>> libraries_;
};

// Never destroyed: torch calls the listener until the process is gone.
Definitions& definitions() {
  static auto& instance = *new Definitions;
  return instance;
}

}  // namespace

void follow_definitions(std::function<bool(const std::string&, const std::string&)> register_row) {
  definitions().follow(std::move(register_row));
}

void watch_new_ops() { definitions().watch_new(); }

Status register_formula(const std::string& op, CallFormula formula) {
  ACCOUNT_RETURN_IF_ERROR(install());
  try {
    return definitions().set_formula(op, std::move(formula));
  } catch (const std::exception& error) {
    return {Code::unavailable, "torch refused a counting kernel for " + op + ": " + error.what()};
  }
}

Status add(Figures operations, std::string_view op, DType dtype) {
  if (operations.executed > kMostOperationsOfACall) {
    return {Code::invalid_argument,
            operations.executed.to_short() + " operations are more than any call has",
            "give the operations of one call"};
  }
  if (operations.model > operations.executed || operations.lower > operations.executed) {
    return {Code::invalid_argument, "model and lower cannot be more than what was executed"};
  }
  const tally::Key key{tally::op_id(op), dtype, current_phase(thread_state), current_category()};
  if (key.phase == Phase::recompute) operations.model = OpCount();
  count_without_row(key, operations);
  return {};
}

}  // namespace account::torch
