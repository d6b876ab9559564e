// What Control::reason begins with where ranks and keeper have to tell one reason from another.
#pragma once

#include <string_view>

namespace account::tally {

// No order is behind the command but the end of a lease: its hash is in Control::order.
inline constexpr std::string_view kLeaseEnded = "lease ended";

}  // namespace account::tally
