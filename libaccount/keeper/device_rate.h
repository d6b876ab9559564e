// What a process that nobody counted can have done at most, for the bound of a gap.
#pragma once

#include <cstdint>

#include "account/op_count.h"

namespace account::keeper {

// Operations a second that one rank of this machine can do at most. Assumed, not measured:
// 10^14 for each CPU socket (beyond a 128-core socket with AMX at full clock), 10^16 where an
// accelerator is present (no accelerator on sale does as many dense ones).
OpCount device_rate();

// The bound for one rank over this time; a negative time (a clock that was set back) counts as 0.
OpCount bound_for(int64_t nanoseconds);

}  // namespace account::keeper
