// What rank_program and the tests that run it agree on.
#pragma once

#include <cstdint>

namespace account::e2e {

// Of one call. Prime, and such that a torn 64-bit sum would show.
inline constexpr uint64_t kOperations = 1'000'000'007;

}  // namespace account::e2e
