// Halt: what a rank does at a step edge when its keeper says so. It waits, comes up to the agreed
// edge, or stops; it decides nothing. docs/stop_protocol.md ties each function to the checked
// model.
//
// Thread safety: one thread at a time per page, the one that closes steps. Only obey() blocks, and
// only while the keeper holds the edge. Must know neither orders nor torch.
#pragma once

#include <cstdint>

#include "account/status.h"
#include "base/clock.h"
#include "tally/layout.h"

namespace account::halt {

// Held at an edge by a keeper that then falls silent for this long, a rank stops where it is: it
// fails towards stopping (docs/stop_protocol.md).
inline constexpr int64_t kKeeperSilenceNs = 30'000'000'000;

// After an edge was closed: true when there is nothing to obey. One fence and one load.
bool pass_edge(const tally::PageLayout& page) noexcept;

// Whether a rank that has closed `closed` steps stops under this command. Pure. `stop_now` is stop
// edge 0, which every rank has reached.
bool must_stop(tally::Command command, uint64_t stop_edge, uint64_t closed) noexcept;

// Obeys until the rank may go on (ok) or has to stop (shutdown_ordered; the fault carries the
// keeper's reason). Every later call says the same.
Status obey(tally::PageLayout& page, const Clock& clock);

}  // namespace account::halt
