// From a call's C++ or boxed arguments to the plain numbers that a formula reads.
// Must not know formulas. Readers never throw on their own; torch's accessors may.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <array>
#include <cstddef>
#include <optional>
#include <tuple>

#include "count/formula.h"

namespace account::torch {

// Writes one argument. What does not fit (more numbers than a formula can hold, a symbolic size)
// is remembered as the reason why the call cannot be counted.
class ArgumentWriter {
 public:
  explicit ArgumentWriter(count::Arguments& arguments) : arguments_(arguments) {}

  const char* problem() const { return problem_; }
  count::Arguments& arguments() { return arguments_; }

  void write(int index, const at::Tensor& tensor) {
    if (tensor.defined()) write_list(index, tensor.sizes());
  }
  void write(int index, const std::optional<at::Tensor>& tensor) {
    if (tensor.has_value()) write(index, *tensor);
  }
  void write(int index, int64_t value) { write_list(index, at::IntArrayRef(value)); }
  void write(int index, bool value) { write(index, static_cast<int64_t>(value)); }
  void write(int index, const c10::SymInt& value) { write_list(index, c10::SymIntArrayRef(value)); }
  void write(int index, at::OptionalSymIntArrayRef values) {
    if (values.has_value()) write_list(index, *values);
  }
  void write(int index, c10::SymIntArrayRef values) { write_list(index, values); }
  template <size_t N>
  void write(int index, const std::array<bool, N>& values) {
    write_list(index, c10::ArrayRef<bool>(values));
  }
  // Kinds of argument that no formula reads.
  void write(int, double) {}
  void write(int, const std::optional<double>&) {}
  void write(int, const at::Scalar&) {}
  void write(int, c10::ScalarType) {}

  void write(int index, const c10::IValue& value);

  // One number about a tensor or a list of them (count::Fact), if there is one to tell.
  void write_fact(int index, count::Fact fact, const c10::IValue& value);
  void write_fact(int index, count::Fact fact, const at::Tensor& tensor);
  template <class T>
  void write_fact(int, count::Fact, const T&) {}  // kinds about which no formula asks
  // The sum of m*k*n over the pairs of two lists of matrices.
  void write_products(int index, const c10::IValue& left, const c10::IValue& right);

 private:
  static std::optional<int64_t> plain(int64_t value) { return value; }
  static std::optional<int64_t> plain(bool value) { return value ? 1 : 0; }
  static std::optional<int64_t> plain(const c10::SymInt& value) { return value.maybe_as_int(); }

  template <class List>
  void write_list(int index, const List& values) {
    if (values.size() > count::kMaxValues) {
      problem_ = "more dimensions than a formula reads";
      return;
    }
    count::Argument& argument = arguments_.at[static_cast<size_t>(index)];
    for (size_t i = 0; i < values.size(); ++i) {
      const std::optional<int64_t> value = plain(values[i]);
      if (!value.has_value()) {
        problem_ = "symbolic size";
        return;
      }
      argument.values[i] = *value;
    }
    argument.size = static_cast<int8_t>(values.size());
  }

  count::Arguments& arguments_;
  const char* problem_ = nullptr;
};

// Of a tensor, as far as it says; of anything else 0.
inline int64_t elements_of(const at::Tensor& tensor) noexcept {
  try {
    return tensor.defined() ? tensor.numel() : 0;
  } catch (const std::exception&) {
    return 0;  // a nested tensor of uneven parts
  }
}
inline int64_t elements_of(const std::optional<at::Tensor>& tensor) noexcept {
  return tensor.has_value() ? elements_of(*tensor) : 0;
}
template <class T>
int64_t elements_of(const T&) noexcept {
  return 0;
}

// The first output of a typed kernel's result.
// NOLINTNEXTLINE(bugprone-return-const-ref-from-parameter): no longer used than the result lives
inline const at::Tensor& first_output(const at::Tensor& result) { return result; }
template <class... T>
const at::Tensor& first_output(const std::tuple<T...>& result) {
  return std::get<0>(result);
}

}  // namespace account::torch
