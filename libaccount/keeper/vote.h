// Vote: how the keepers of a job agree on the edge at which all its ranks stop. Pure functions;
// docs/stop_protocol.md ties them to the checked model. Must know no page, store or clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tally/layout.h"

namespace account::keeper {

// A vote that says: these ranks cannot come to one edge.
inline constexpr uint64_t kApart = ~uint64_t{0};

// What a keeper reads of one rank once HOLD is in every page of its node.
struct RankEdge {
  uint64_t steps_closed = 0;
  uint64_t next_edge = 0;
  bool gone = false;  // dead, or never admitted
};

// The highest next_edge of the node's ranks; kApart when one is gone, or when they are further from
// each other than the one step that a collective lets them be. No ranks: edge 0, no opinion.
uint64_t vote_of(const std::vector<RankEdge>& ranks);

struct Decision {
  tally::Command command = tally::Command::stop_now;
  uint64_t stop_edge = 0;
  std::string_view how;  // for receipts: "agreed", "each at its own edge"
};

// One vote a node, nothing for a node that has not been heard. All in and none apart: the highest;
// else every rank stops at its own next edge.
Decision decide(const std::vector<std::optional<uint64_t>>& votes);

}  // namespace account::keeper
