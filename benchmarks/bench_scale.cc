// What a large job costs its keepers: nodes of eight ranks with made-up tallies on one board in
// memory, one keeper's walk over all of them, and the bytes that move.
//
//   bench_scale [ranks=4096]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>

#include "base/clock.h"
#include "keeper/job_totals.h"

namespace account::keeper {
namespace {

constexpr int kRanksOfANode = 8;

class Board final : public Exchange {
 public:
  Status post(std::string_view key, std::string_view blob) override {
    blobs[std::string(key)] = blob;
    return Status();
  }
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t) override {
    std::vector<std::optional<std::string>> found;
    for (const std::string& member : members) {
      ++questions;
      const auto blob = blobs.find(std::string(key) + "/" + member);
      found.push_back(blob == blobs.end() ? std::nullopt : std::optional(blob->second));
    }
    return found;
  }
  std::map<std::string, std::string> blobs;
  uint64_t questions = 0;
};

NodeTotal node(int number, int world) {
  NodeTotal total;
  char name[9];
  std::snprintf(name, sizeof(name), "%08x", static_cast<unsigned>(number));
  total.node = name;
  for (int i = 0; i < kRanksOfANode; ++i) total.ranks.push_back(number * kRanksOfANode + i);
  total.world_size = world;
  total.steps = 123'456;
  for (const Phase phase : {Phase::forward, Phase::backward, Phase::recompute, Phase::optimizer}) {
    total.operations[{Category::train, phase}] =
        OpCount::from_raw(Uint128{1} << 78 | static_cast<uint64_t>(number));
  }
  return total;
}

int measure(int ranks) {
  Board board;
  const int nodes = ranks / kRanksOfANode;
  for (int i = 1; i < nodes; ++i) {
    const NodeTotal other = node(i, nodes * kRanksOfANode);
    (void)board.post("total/" + std::to_string(other.ranks.front()), to_blob(other)).ok();
  }
  FakeClock clock;
  JobTotals totals(board, clock);
  totals.set_own(node(0, nodes * kRanksOfANode));
  const std::clock_t began = std::clock();
  int rounds = 0;
  while (totals.view().others.size() + 1 < static_cast<size_t>(nodes)) {
    totals.round();
    ++rounds;
  }
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  const size_t blob_bytes = to_blob(node(1, ranks)).size();
  std::printf(
      "%d ranks on %d nodes: a walk takes %d rounds of 2 s and %.1f ms of the keeper's processor "
      "time (%.1f us a node); %zu bytes a node, %.2f MB a walk for each keeper\n",
      ranks, nodes, rounds, seconds * 1e3, seconds * 1e6 / nodes, blob_bytes,
      static_cast<double>(blob_bytes) * nodes / 1e6);
  return 0;
}

}  // namespace
}  // namespace account::keeper

int main(int argc, char** argv) {
  return account::keeper::measure(argc > 1 ? std::atoi(argv[1]) : 4096);
}
