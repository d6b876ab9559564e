// What a large job costs its keepers and its store: a keeper for each node of eight ranks, with
// made-up tallies, all on one board in memory; rounds as they run every 2 s, and every tenth of a
// second while the job brakes.
//
//   bench_scale [ranks=4096]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "keeper/job_totals.h"

namespace account::keeper {
namespace {

constexpr int kRanksOfANode = 8;

class Board final : public Exchange {
 public:
  Status post(std::string_view key, std::string_view blob) override {
    ++posts;
    bytes += blob.size();
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
      if (found.back()) bytes += found.back()->size();
    }
    return found;
  }
  void reset() { posts = questions = bytes = 0; }

  std::map<std::string, std::string> blobs;
  uint64_t posts = 0, questions = 0, bytes = 0;
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

// Whether this node knows of all ranks, or has all of their votes.
bool knows_all(const JobTotals& keeper, const NodeTotal& own) {
  int covered = static_cast<int>(own.ranks.size());
  const auto view = keeper.view();
  for (const NodeTotal& other : view->others) {
    if (own.stop.has_value() && !other.stop) continue;
    covered = other.covers > 0 ? std::max(covered, other.covers)
                               : covered + static_cast<int>(other.ranks.size());
  }
  return covered >= own.world_size;
}

int rounds_until_all_know(std::vector<std::unique_ptr<JobTotals>>& keepers,
                          const std::vector<NodeTotal>& own) {
  constexpr int kMostRounds = 500;
  for (int round = 1; round <= kMostRounds; ++round) {
    for (auto& keeper : keepers) keeper->round();
    bool all = true;
    for (size_t i = 0; i < keepers.size() && all; ++i) all = knows_all(*keepers[i], own[i]);
    if (all) return round;
  }
  return kMostRounds;
}

int measure(int ranks) {
  Board board;
  FakeClock clock;
  const int nodes = ranks / kRanksOfANode;
  std::vector<NodeTotal> own;
  std::vector<std::unique_ptr<JobTotals>> keepers;
  for (int i = 0; i < nodes; ++i) {
    own.push_back(node(i, nodes * kRanksOfANode));
    keepers.push_back(std::make_unique<JobTotals>(board, clock));
    keepers.back()->set_own(own.back());
  }
  const int begun = rounds_until_all_know(keepers, own);
  board.reset();
  const std::clock_t started = std::clock();
  for (auto& keeper : keepers) keeper->round();
  const double seconds = static_cast<double>(std::clock() - started) / CLOCKS_PER_SEC;
  std::printf(
      "%d ranks on %d nodes: all know the total after %d rounds of 2 s; then the job's store "
      "answers %.0f questions and takes %.0f blobs a second, %.2f MB/s; %.1f us of processor time "
      "a "
      "round for each keeper, store and all\n",
      ranks, nodes, begun, static_cast<double>(board.questions) / 2,
      static_cast<double>(board.posts) / 2, static_cast<double>(board.bytes) / 2e6,
      seconds * 1e6 / nodes);

  for (int i = 0; i < nodes; ++i) {
    own[static_cast<size_t>(i)].stop = NodeStop{0, static_cast<uint64_t>(1000 + i), "", {}, {}};
    keepers[static_cast<size_t>(i)]->set_own(own[static_cast<size_t>(i)]);
    keepers[static_cast<size_t>(i)]->hurry(true);
  }
  board.reset();
  const int rounds = rounds_until_all_know(keepers, own);
  std::printf("  a stop: all have all votes after %d rounds of 0.1 s and %.0f questions\n", rounds,
              static_cast<double>(board.questions));
  return 0;
}

}  // namespace
}  // namespace account::keeper

int main(int argc, char** argv) {
  return account::keeper::measure(argc > 1 ? std::atoi(argv[1]) : 4096);
}
