// Two hundred SIGKILLs at random moments, of ranks and keepers on two nodes, while the job goes on
// and its world changes: the ledgers hold what a plain counter beside them holds.
//
// ACCOUNT_KILLS and ACCOUNT_KILLS_SEED choose how many and which (`make soak`).
#include <gmock/gmock.h>

#include <cstdio>
#include <cstdlib>
#include <random>

#include "e2e/cpp/support.h"

namespace account::e2e {
namespace {

constexpr uint64_t kDefaultKills = 200, kDefaultSeed = 20261126;
constexpr int kThreads = 2;  // that count in each rank
constexpr auto kPatience = seconds(120);
const char* const kNodes[] = {"left", "right"};

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class ManyKills : public EndToEnd {
 protected:
  // Half of the world on each node, the odd one on the left; each rank counts at its own pace.
  void start(int rank) {
    const int left = (world_ + 1) / 2;
    const bool is_left = rank < left;
    const std::vector<std::string> words = {"steps=1000000", "threads=" + std::to_string(kThreads),
                                            "calls=" + std::to_string(8000 * (rank + 1)),
                                            "seconds=2000"};
    ranks_.emplace(
        rank, Process(rank_words(words),
                      rank_environment(rank, world_, is_left ? rank : rank - left,
                                       is_left ? left : world_ - left, kNodes[is_left ? 0 : 1]),
                      output()));
  }
  void kill_rank(int rank) {
    Process& process = ranks_.at(rank);
    if (!process.has_ended()) ++kills_;
    process.kill(SIGKILL);
    process.wait();
    ranks_.erase(rank);
  }
  // False where the node has no keeper just now.
  bool kill_keeper(const char* node) {
    const std::string id = place(node).node;
    for (const auto& status : keeper::live_runs(FileSystem::real())) {
      if (status.run_folder != place().run_folder() || status.node != id) continue;
      if (::kill(static_cast<pid_t>(status.keeper_pid), SIGKILL) != 0) return false;
      ++kills_;
      ++keeper_kills_;
      return true;
    }
    return false;
  }
  // The job in a world of this size, with so many kills; what died is started again.
  void live_through(int world, uint64_t kills, std::mt19937_64& random) {
    world_ = world;
    for (int rank = 0; rank < world; ++rank) start(rank);
    const uint64_t until = kills_ + kills;
    while (kills_ + static_cast<uint64_t>(world) < until) {
      std::this_thread::sleep_for(milliseconds(random() % 180));
      const auto choice = static_cast<int>(random() % static_cast<uint64_t>(world + 2));
      if (choice >= world) {
        kill_keeper(kNodes[choice - world]);
      } else {
        kill_rank(choice);
        start(choice);
      }
    }
    // Enough time for each to be at work, so that the end of this world costs calls as well.
    const uint64_t before = CallLog(log()).ended();
    EXPECT_TRUE(eventually([&] { return CallLog(log()).ended() > before + 5'000; }, kPatience));
    for (int rank = 0; rank < world; ++rank) kill_rank(rank);
  }
  // An orderly round on each node, so that keepers have taken up all that lay about.
  void finish() {
    for (const char* node : kNodes) {
      EXPECT_TRUE(keeper_ends(kPatience, node));
      Process last =
          account_run({"--node", node}, rank_words({"steps=1", "calls=1"}), base_environment());
      EXPECT_EQ(last.wait(), 0) << last.err();
      EXPECT_TRUE(keeper_ends(kPatience, node));
    }
  }

  std::map<int, Process> ranks_;
  int world_ = 0;
  uint64_t kills_ = 0, keeper_kills_ = 0;
};

TEST_F(ManyKills, CostAtMostTheCallInFlightOfEachThread) {
  const uint64_t wanted = number_from("ACCOUNT_KILLS", kDefaultKills);
  const uint64_t seed = number_from("ACCOUNT_KILLS_SEED", kDefaultSeed);
  std::mt19937_64 random(seed);
  for (uint64_t done = 0; done < wanted; done = kills_) {
    // Restarted with 4, then 2, then 3 ranks.
    const uint64_t part = std::min<uint64_t>((wanted - done + 2) / 3, 200);
    for (const int world : {4, 2, 3}) live_through(world, part, random);
  }
  finish();
  const ledger::Report report = verify();
  expect_all_counted(report);
  const CallLog calls(log());
  EXPECT_LE(calls.begun() - calls.ended(), kills_ * kThreads);
  EXPECT_EQ(report.nodes.size(), 2u);
  EXPECT_EQ(report.ranks, 4u);
  std::printf(
      "%lu SIGKILLs (seed %lu), %lu of them of keepers; %lu calls, %lu counted of %lu to %lu"
      " possible; %zu process starts, %zu keepers\n",
      kills_, seed, keeper_kills_, calls.begun(),
      static_cast<uint64_t>(report.totals.executed.raw() / kOperations), calls.ended(),
      calls.begun(), report.incarnations.size(),
      report.nodes[0].keys.size() + report.nodes[1].keys.size());
  EXPECT_GE(kills_, wanted);
  EXPECT_GE(keeper_kills_, wanted / 20);

  // Sweeping again, and bringing the folders together elsewhere, changes no total.
  for (const char* node : kNodes) {
    Process again = account_run({"--node", node, "--quiet"}, {"true"}, base_environment());
    EXPECT_EQ(again.wait(), 0) << again.err();
  }
  EXPECT_EQ(verify().totals.executed, report.totals.executed);
  const std::string elsewhere = folder_ + "/brought-together/r";
  std::filesystem::create_directories(elsewhere);
  for (int i = 0; i < 2; ++i) {
    std::filesystem::copy(place().run_folder(), elsewhere,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
  }
  const auto merged = ledger::verify(FileSystem::real(), elsewhere, std::nullopt, &count::recount);
  ASSERT_TRUE(merged.ok()) << merged.status().to_string();
  EXPECT_TRUE(merged->ok());
  EXPECT_EQ(merged->totals.executed, report.totals.executed);
}

}  // namespace
}  // namespace account::e2e
