// Counting kernels in an op's own C++ types: no boxing. For the ops that training calls most.
#pragma once

#include <torch/library.h>

#include <string_view>

#include "torch/watch.h"

namespace account::torch {

// Registers the typed kernel of `op` if there is one; false if it must be boxed.
bool register_typed(::torch::Library& library, const WatchedOp& op, std::string_view overload);

}  // namespace account::torch
