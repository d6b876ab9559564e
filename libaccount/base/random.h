// Randomness from the kernel. Must not be used for anything that a test has to repeat.
#pragma once

#include <cstddef>
#include <string>

#include "account/export.h"

namespace account {

// `size` bytes of getrandom(2); does not fail on Linux once booted.
ACCOUNT_API std::string random_bytes(size_t size);

}  // namespace account
