// The few words that rank and keeper say to each other in a page's control block, spelled in one
// place for both sides. libaccount/doc/mailbox_format.md describes them.
#pragma once

#include <cstdint>
#include <string_view>

#include "account/status.h"
#include "tally/layout.h"

namespace account::keeper {

// Values of Control::accepted.
enum class Acceptance : uint32_t {
  waiting = 0,
  accepted = 1,
  refused = 2,  // Control::reason says why
  closed = 3,   // the seal that holds the last of this page is on disk
};

Acceptance acceptance(const tally::PageLayout& page) noexcept;
void set_acceptance(tally::PageLayout& page, Acceptance acceptance) noexcept;

// Why a page was refused travels as "<code>\n<fault>\n<next step>", cut to what fits, so that the
// rank can return the very Status that the keeper met.
void write_reason(tally::PageLayout& page, const Status& status) noexcept;
Status read_reason(const tally::PageLayout& page);

// A heartbeat every kBeatNs; a keeper whose beat is older than kDeadNs is replaced.
inline constexpr int64_t kBeatNs = 500'000'000;
inline constexpr int64_t kDeadNs = 5'000'000'000;

}  // namespace account::keeper
