// One counting kernel for any op overload, at the price of boxed arguments.
#pragma once

#include <torch/library.h>

#include <string>

#include "torch/watch.h"

namespace account::torch {

void register_boxed(::torch::Library& library, const WatchedOp& op, const std::string& overload);

}  // namespace account::torch
