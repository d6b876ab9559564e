// Reading a boxed call's shapes.
#include "torch/call_shapes.h"

#include <ATen/core/Tensor.h>

#include <limits>

#include "torch/watch.h"

namespace account::torch {
namespace {

using Kind = CallArgument::Kind;

CallArgument read_tensor(const at::Tensor& tensor) {
  CallArgument argument;
  argument.kind = Kind::absent;
  if (!tensor.defined()) return argument;
  argument.kind = Kind::tensor;
  argument.dtype = to_dtype(tensor.scalar_type());
  const auto sizes = tensor.sizes();
  argument.sizes.assign(sizes.begin(), sizes.end());
  return argument;
}

CallArgument of_numbers(Kind kind, std::vector<int64_t> values) {
  CallArgument argument;
  argument.kind = kind;
  argument.numbers = std::move(values);
  return argument;
}

CallArgument read_list(const c10::IValue& value) {
  CallArgument argument;
  argument.kind = Kind::tensors;
  for (const c10::IValue& item : value.toListRef()) {
    if (item.isTensor()) {
      argument.items.push_back(read_tensor(item.toTensor()));
    } else if (!item.isNone()) {
      argument.kind = Kind::other;
    }
  }
  if (argument.kind == Kind::other) argument.items.clear();
  return argument;
}

CallArgument read_value(const c10::IValue& value) {
  if (value.isTensor()) return read_tensor(value.toTensor());
  if (value.isInt()) return of_numbers(Kind::number, {value.toInt()});
  if (value.isBool()) return of_numbers(Kind::number, {value.toBool() ? 1 : 0});
  if (value.isIntList()) return of_numbers(Kind::numbers, value.toIntVector());
  if (value.isBoolList()) {
    const auto list = value.toBoolList();
    return of_numbers(Kind::numbers, {list.begin(), list.end()});
  }
  CallArgument argument;
  if (value.isDouble()) {
    argument.kind = Kind::real;
    argument.real = value.toDouble();
    return argument;
  }
  if (value.isNone()) {
    argument.kind = Kind::absent;
    return argument;
  }
  return value.isList() ? read_list(value) : argument;
}

int64_t elements_of(const CallArgument& tensor) {
  int64_t product = 1;
  for (const int64_t size : tensor.sizes) {
    if (__builtin_mul_overflow(product, size, &product)) return std::numeric_limits<int64_t>::max();
  }
  return product;
}

}  // namespace

std::vector<CallArgument> read_values(const ::torch::jit::Stack& stack,
                                      const std::vector<c10::Argument>& names) {
  std::vector<CallArgument> arguments;
  arguments.reserve(names.size());
  const size_t first = stack.size() - names.size();
  for (size_t i = 0; i < names.size(); ++i) {
    arguments.push_back(read_value(stack[first + i]));
    arguments.back().name = names[i].name();
  }
  return arguments;
}

void add_elements(const std::vector<CallArgument>& arguments, std::vector<int64_t>& elements) {
  for (const CallArgument& argument : arguments) {
    if (argument.kind == Kind::tensor) elements.push_back(elements_of(argument));
    add_elements(argument.items, elements);
  }
}

DType first_dtype(const std::vector<CallArgument>& arguments) {
  for (const CallArgument& argument : arguments) {
    if (argument.kind == Kind::tensor) return argument.dtype;
    if (!argument.items.empty()) return first_dtype(argument.items);
  }
  return DType::other;
}

}  // namespace account::torch
