// Watching the watcher: does torch still call the counting kernels?
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"

namespace account::torch {

// One real product of two numbers, sent to where every thread's calls arrive; counts nothing and
// takes a microsecond. Fails (unavailable) where another library took that place since, or this
// thread leaves it out.
Status check_watching();

// One call shows one op's place. Of the others torch tells who registered what is there, in some
// 20 us an op: those are named in whose place something else is now. Thread-safe.
std::vector<std::string> overridden_ops();
// Adds an op overload ("aten::addmm", "out") to those, right after its kernel was registered.
void watch_place(std::string_view op, std::string_view overload);

// Now and then while training: what is wrong becomes a gap, once, and an uncounted call of each op.
// `every_op`: also overridden_ops(), as on audit steps.
void check_watching_and_tell(bool every_op) noexcept;

}  // namespace account::torch
