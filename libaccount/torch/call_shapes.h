// A boxed call as its shapes alone, for formulas of the user and for bounds.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/stack.h>

#include "account/formula.h"

namespace account::torch {

// The last `names.size()` values of the stack. May throw what torch's accessors do.
std::vector<CallArgument> read_values(const ::torch::jit::Stack& stack,
                                      const std::vector<c10::Argument>& names);

// Elements of all tensors in there, for count::bound_of_elements.
void add_elements(const std::vector<CallArgument>& arguments, std::vector<int64_t>& elements);

// The dtype of the first tensor; other if there is none.
DType first_dtype(const std::vector<CallArgument>& arguments);

}  // namespace account::torch
