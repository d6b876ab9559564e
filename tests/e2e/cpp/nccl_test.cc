// Four ranks on two nodes that meet only in a communicator: each keeper sees the total of the job.
#include <gmock/gmock.h>

#include "e2e/cpp/support.h"

namespace account::e2e {
namespace {

class OverNccl : public EndToEnd {
 protected:
  void touch(const std::string& name) const { std::ofstream(folder_ + name) << "now"; }
  std::optional<keeper::LiveStatus> live_on(const std::string& node) const {
    for (auto& status : keeper::live_runs(FileSystem::real())) {
      if (status.run_folder == place(node).run_folder() && status.node == place(node).node) {
        return status;
      }
    }
    return std::nullopt;
  }
};

TEST_F(OverNccl, FourRanksOnTwoNodesSeeTheExactTotalOfTheJob) {
  const std::vector<std::string> words = {NCCL_RANK, log(), folder_ + "/board", folder_ + "/quiet",
                                          folder_ + "/over"};
  std::vector<Process> ranks;
  for (int rank = 0; rank < 4; ++rank) {
    ranks.emplace_back(words, rank_environment(rank, 4, rank % 2, 2, rank < 2 ? "left" : "right"),
                       output());
  }
  const auto sees_all = [&](const std::string& node) {
    const auto status = live_on(node);
    return status && status->nodes_seen.size() == 1 && status->silent_ranks.empty() &&
           status->job_operations > status->node_operations;
  };
  EXPECT_TRUE(eventually([&] { return sees_all("left") && sees_all("right"); }, seconds(60)));
  // From here on nobody counts any more, and edges go on: all come to the same, exact number.
  touch("/quiet");
  EXPECT_TRUE(eventually(
      [&] {
        const OpCount total = OpCount::from_raw(Uint128{CallLog(log()).ended()} * kOperations);
        const auto left = live_on("left"), right = live_on("right");
        return left && right && left->job_operations == total && right->job_operations == total;
      },
      seconds(60)));
  touch("/over");
  for (Process& rank : ranks) EXPECT_EQ(rank.wait(), 0) << rank.err();
  for (const char* node : {"left", "right"}) EXPECT_TRUE(keeper_ends(seconds(60), node));
  const ledger::Report report = verify();
  expect_all_counted(report);
  EXPECT_EQ(report.ranks, 4u);
}

// One of the others never comes: the rest trains on, and the keepers say who is silent.
TEST_F(OverNccl, ARankThatNeverJoinsHoldsUpNobodysTraining) {
  const std::vector<std::string> words = {NCCL_RANK, log(), folder_ + "/board", folder_ + "/quiet",
                                          folder_ + "/over"};
  Process rank(words, rank_environment(0, 2, 0, 1, "left"), output());
  EXPECT_TRUE(eventually(
      [&] {
        const auto status = live_on("left");
        return status && status->steps > 100 && status->silent_ranks == std::vector<int>{1};
      },
      seconds(60)));
  touch("/over");
  EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_TRUE(keeper_ends(seconds(60), "left"));
}

}  // namespace
}  // namespace account::e2e
