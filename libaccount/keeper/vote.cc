// Votes and the decision.
#include "keeper/vote.h"

#include <algorithm>

namespace account::keeper {

uint64_t vote_of(const std::vector<RankEdge>& ranks) {
  if (ranks.empty()) return 0;
  uint64_t highest = 0;
  uint64_t most = 0, least = kApart;
  for (const RankEdge& rank : ranks) {
    if (rank.gone) return kApart;
    highest = std::max(highest, rank.next_edge);
    most = std::max(most, rank.steps_closed);
    least = std::min(least, rank.steps_closed);
  }
  return most - least > 1 ? kApart : highest;
}

Decision decide(const std::vector<std::optional<uint64_t>>& votes) {
  uint64_t highest = 0;
  for (const auto& vote : votes) {
    if (!vote.has_value() || *vote == kApart) {
      return {tally::Command::stop_now, 0, "each at its own edge"};
    }
    highest = std::max(highest, *vote);
  }
  return {tally::Command::stop_at_edge, highest, "agreed"};
}

}  // namespace account::keeper
