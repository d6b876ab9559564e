// The boxed kernel: reads its arguments from torch's stack before the call, which consumes them.
#include "torch/boxed.h"

#include <ATen/core/stack.h>

#include <array>
#include <memory>
#include <string>

#include "count/uncounted.h"
#include "torch/arguments.h"

namespace account::torch {
namespace {

class BoxedKernel final : public c10::OperatorKernel {
 public:
  explicit BoxedKernel(const WatchedOp& op) : op_(op) {}

  void operator()(const c10::OperatorHandle& handle, c10::DispatchKeySet keys,
                  ::torch::jit::Stack* stack) {
    Watch watch(keys);
    if (!watch.counts()) return handle.redispatchBoxed(below_us(keys), stack);
    const Reading& reading = reading_for(op_, keys);
    count::Arguments arguments;
    ArgumentWriter writer(arguments);
    DType dtype = reading.dtype;
    const char* problem = undense(keys);
    if (reading.row != nullptr) problem = read_inputs(reading, *stack, writer, dtype);
    const OpCount bound = problem == nullptr ? OpCount() : bound_of(*stack);
    if (reading.row == nullptr || reading.row->composite) {
      const Watch::Parts parts;
      handle.redispatchBoxed(below_us(keys), stack);
      if (parts.counted()) return;
    } else {
      handle.redispatchBoxed(below_us(keys), stack);
    }
    if (problem == nullptr) problem = read_output(reading, *stack, writer, dtype);
    if (problem != nullptr) return decline_call(op_, problem, bound);
    count_call(op_, reading, arguments, dtype);
  }

 private:
  // Of the tensors that came in.
  OpCount bound_of(const ::torch::jit::Stack& stack) const noexcept {
    std::array<int64_t, Reading::kMaxSchemaArguments> elements{};
    const size_t first = stack.size() - static_cast<size_t>(op_.schema_arguments);
    for (size_t i = 0; first + i < stack.size(); ++i) {
      if (stack[first + i].isTensor()) elements[i] = elements_of(stack[first + i].toTensor());
    }
    return count::bound_of_elements(elements);
  }

  // Both return why the call cannot be counted, or nullptr.
  const char* read_inputs(const Reading& reading, const ::torch::jit::Stack& stack,
                          ArgumentWriter& writer, DType& dtype) const noexcept {
    try {
      const size_t first = stack.size() - static_cast<size_t>(op_.schema_arguments);
      writer.arguments().size = reading.arguments;
      for (int position = 0; position < op_.schema_arguments; ++position) {
        const c10::IValue& value = stack[first + static_cast<size_t>(position)];
        const int8_t index = reading.index_of[static_cast<size_t>(position)];
        if (index >= 0) writer.write(index, value);
        if (position == reading.dtype_position) dtype = dtype_of(value);
      }
      for (int i = 0; i < reading.facts; ++i) {
        const auto& [position, index, fact] = reading.fact_of[static_cast<size_t>(i)];
        if (position < 0) continue;
        const size_t at = first + static_cast<size_t>(position);
        if (fact == count::Fact::products) {
          writer.write_products(index, stack[at], stack[at + 1]);
        } else {
          writer.write_fact(index, fact, stack[at]);
        }
      }
    } catch (const std::exception&) {
      return kUnreadable;
    }
    return writer.problem();
  }

  const char* read_output(const Reading& reading, const ::torch::jit::Stack& stack,
                          ArgumentWriter& writer, DType& dtype) const noexcept {
    if (!reading.reads_output()) return nullptr;
    try {
      const c10::IValue& output = stack[stack.size() - static_cast<size_t>(op_.schema_returns)];
      if (reading.output_index >= 0) writer.write(reading.output_index, output);
      for (int i = 0; i < reading.facts; ++i) {
        const auto& [position, index, fact] = reading.fact_of[static_cast<size_t>(i)];
        if (position == Reading::kOutput) writer.write_fact(index, fact, output);
      }
      if (reading.dtype_position == Reading::kOutput) dtype = dtype_of(output);
    } catch (const std::exception&) {
      return kUnreadable;
    }
    return writer.problem();
  }

  // Of a list: that of its first tensor.
  static DType dtype_of(const c10::IValue& value) {
    if (value.isTensor() && value.toTensor().defined()) {
      return to_dtype(value.toTensor().scalar_type());
    }
    if (value.isTensorList() && !value.toTensorList().empty()) {
      return to_dtype(value.toTensorList().get(0).scalar_type());
    }
    return DType::other;
  }

  static constexpr const char* kUnreadable = "arguments could not be read";
  WatchedOp op_;
};

}  // namespace

void register_boxed(::torch::Library& library, const WatchedOp& op, const std::string& overload) {
  std::string name(op.name());
  if (!overload.empty()) name.append(".").append(overload);
  library.impl(name.c_str(),
               ::torch::CppFunction::makeFromBoxedFunctor(std::make_unique<BoxedKernel>(op)));
}

}  // namespace account::torch
