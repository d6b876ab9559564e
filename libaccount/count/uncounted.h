// Calls that were seen and could not be counted, and why. Nothing is silently 0: they are listed in
// Totals.uncounted of this process, and the keeper of each page learns of each kind once.
#pragma once

#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/totals.h"

namespace account::count {

// Notes one call. Takes a lock and may allocate: such calls are not on the hot path. Never fails.
// `op` and `reason` are this library's words, not user text.
ACCOUNT_API void note_uncounted(std::string_view op, std::string_view reason) noexcept;

// All of this process so far, sorted by op and reason.
ACCOUNT_API std::vector<Uncounted> read_uncounted();

// What came between two reads.
ACCOUNT_API std::vector<Uncounted> subtract(const std::vector<Uncounted>& later,
                                            const std::vector<Uncounted>& earlier);

}  // namespace account::count
