// The boxed kernel: reads its arguments from torch's stack before the call, which consumes them.
#include "torch/boxed.h"

#include <ATen/core/stack.h>

#include <memory>
#include <string>

#include "torch/arguments.h"

namespace account::torch {
namespace {

class BoxedKernel final : public c10::OperatorKernel {
 public:
  explicit BoxedKernel(const WatchedOp& op) : op_(op) {}

  void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys,
                  ::torch::jit::Stack* stack) {
    const Watch watch(keys);
    if (!watch.counts()) return handle.redispatchBoxed(below_us(keys), stack);
    count::Arguments arguments;
    arguments.size = op_.arguments;
    ArgumentWriter writer(arguments);
    DType dtype = DType::other;
    const char* problem = read_inputs(keys, *stack, writer, dtype);
    handle.redispatchBoxed(below_us(keys), stack);
    if (problem == nullptr) problem = read_output(*stack, writer, dtype);
    if (problem != nullptr) return decline_call(op_, problem);
    count_call(op_, arguments, dtype);
  }

 private:
  // Both return why the call cannot be counted, or nullptr.
  const char* read_inputs(c10::DispatchKeySet keys, const ::torch::jit::Stack& stack,
                          ArgumentWriter& writer, DType& dtype) const noexcept {
    if (!is_dense(keys)) return undense(keys);
    try {
      const size_t first = stack.size() - static_cast<size_t>(op_.schema_arguments);
      for (int position = 0; position < op_.schema_arguments; ++position) {
        const c10::IValue& value = stack[first + static_cast<size_t>(position)];
        const int8_t index = op_.index_of[static_cast<size_t>(position)];
        if (index >= 0) writer.write(index, value);
        if (position == op_.dtype_position && value.isTensor()) {
          dtype = to_dtype(value.toTensor().scalar_type());
        }
      }
    } catch (const std::exception&) {
      return kUnreadable;
    }
    return writer.problem();
  }

  const char* read_output(const ::torch::jit::Stack& stack, ArgumentWriter& writer,
                          DType& dtype) const noexcept {
    if (op_.output_index < 0 && op_.dtype_position >= 0) return nullptr;
    try {
      const c10::IValue& output = stack[stack.size() - static_cast<size_t>(op_.schema_returns)];
      if (op_.output_index >= 0) writer.write(op_.output_index, output);
      if (op_.dtype_position < 0) dtype = to_dtype(output.toTensor().scalar_type());
    } catch (const std::exception&) {
      return kUnreadable;
    }
    return writer.problem();
  }

  static constexpr const char* kUnreadable = "arguments could not be read";
  WatchedOp op_;
};

}  // namespace

void register_boxed(::torch::Library& library, const WatchedOp& op) {
  std::string name(op.row->op);
  if (!op.row->overload.empty()) name.append(".").append(op.row->overload);
  library.impl(name.c_str(),
               ::torch::CppFunction::makeFromBoxedFunctor(std::make_unique<BoxedKernel>(op)));
}

}  // namespace account::torch
