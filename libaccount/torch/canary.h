// Watching the watcher: does torch still call the counting kernels?
#pragma once

#include "account/status.h"

namespace account::torch {

// One real product of two numbers, sent to where every thread's calls arrive; counts nothing and
// takes a microsecond. Fails (unavailable) where another library took that place since, or this
// thread leaves it out.
Status check_watching();

// The same, now and then while training: what is wrong becomes a gap, once, and an uncounted call.
void check_watching_and_tell() noexcept;

}  // namespace account::torch
