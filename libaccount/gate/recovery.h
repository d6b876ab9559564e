// Recovery: who could open what a stopped rank saves. libaccount/doc/locked_format.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "sign/sign.h"

namespace account::gate {

inline constexpr size_t kMaxRecoveryKeys = 16;  // of one role, and of one locked file's header

// The keeper's word to the ranks of its node: who could open what they save, by authority. Which
// of them may is in the page's gate word (tally/layout.h), so that a stop waits for no disk.
struct Recovery {
  struct Of {
    std::string pin;  // of the authority
    std::vector<sign::PublicKey> keys;
  };
  std::vector<Of> authorities;
};
inline constexpr std::string_view kRecoveryName = "recovery.json";  // in the node's folder
inline constexpr uint64_t kRecoveryCapBytes = uint64_t{1} << 20;
std::string write_recovery(const Recovery& recovery);
Result<Recovery> parse_recovery(std::string_view bytes);

}  // namespace account::gate
