// A job's own limits end to end: all ranks wait or stop at one step, on two nodes, and go on once
// somebody has answered for it.
#include <gmock/gmock.h>

#include <set>

#include "e2e/cpp/support.h"
#include "support/policy_file.h"

namespace account::e2e {
namespace {

using ::testing::HasSubstr;

class LimitTest : public EndToEnd {
 protected:
  // More than this many calls of rank_program, over all ranks.
  std::string policy_of(uint64_t calls) const {
    return testing::write_policy(folder_, OpCount(kOperations * calls));
  }

  // `local` ranks of a world on one node, coupled in each step.
  Process job(const std::string& policy, int world, const std::string& steps,
              const std::string& node = "", int first_rank = 0, int local = -1) {
    if (local < 0) local = world;
    std::string script;
    for (int i = 0; i < local; ++i) {
      const std::string rank = std::to_string(first_rank + i);
      script += "RANK=" + rank + " LOCAL_RANK=" + std::to_string(i) +
                " LOCAL_WORLD_SIZE=" + std::to_string(local) +
                " WORLD_SIZE=" + std::to_string(world) + " " + RANK_PROGRAM + " " + log() + "-" +
                rank + " steps=" + steps + " calls=5 seconds=12 couple=" + folder_ +
                "/couple exchange=" + folder_ + "/road & p" + std::to_string(i) + "=$!; ";
    }
    script += "c=0; ";
    for (int i = 0; i < local; ++i) script += "wait $p" + std::to_string(i) + " || c=$?; ";
    auto environment = base_environment();
    environment["ACCOUNT_RUN"] = "r";
    if (!node.empty()) environment["ACCOUNT_NODE"] = node;
    return account_run({"--policy", policy}, {"/bin/sh", "-c", script + "exit $c"}, environment);
  }
  bool waits() const {
    return eventually(
        [&] {
          for (const auto& status : keeper::live_runs(FileSystem::real())) {
            if (status.run_folder == place().run_folder() && !status.waits.empty()) return true;
          }
          return false;
        },
        seconds(30));
  }
  // What each "quiet" line says of the ranks: their last steps, all together.
  std::set<int64_t> quiet_steps() const {
    std::set<int64_t> steps;
    const ledger::Report report = verify();
    for (const auto& node : report.nodes) {
      for (const Json& event : node.events) {
        if (*event.get_string("type") != "quiet") continue;
        for (const Json& rank : (*event.get_array("ranks"))->items()) {
          steps.insert(*rank.get_integer("last_step"));
        }
      }
    }
    return steps;
  }
  int acknowledge(const std::string& limit) const {
    Process said({ACCOUNT_BINARY, "policy", "acknowledge", place().run_folder(), "--by",
                  "A. Officer", "--reason", "reviewed", "--limit", limit},
                 base_environment(), folder_ + "/acknowledged");
    return said.wait();
  }
};

TEST_F(LimitTest, AStopEndsAllRanksAtOneStepAndHoldsUntilAcknowledged) {
  const std::string policy = policy_of(100) + ":stop";
  Process run = job(policy, 2, "1000");
  EXPECT_EQ(run.wait(), 3) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("own, rule 'all'"));
  const auto steps = quiet_steps();
  ASSERT_EQ(steps.size(), 1u) << "all at one step";
  EXPECT_GT(*steps.begin(), 10) << "not before the threshold";
  EXPECT_LT(*steps.begin(), 1000);

  std::filesystem::remove(folder_ + "/couple");
  Process again = job(policy, 2, "10");
  EXPECT_EQ(again.wait(), 3) << again.err();
  EXPECT_THAT(again.err(), HasSubstr("account policy acknowledge"));
  EXPECT_EQ(verify().totals.steps, static_cast<uint64_t>(*steps.begin())) << "nothing was trained";

  EXPECT_NE(acknowledge("own:pause"), 0) << "that one does not wait";
  ASSERT_EQ(acknowledge("own:stop"), 0);
  Process resumed = job(policy, 2, "10");
  EXPECT_EQ(resumed.wait(), 0) << resumed.err();
  EXPECT_EQ(verify().totals.steps, static_cast<uint64_t>(*steps.begin()) + 10);
}

TEST_F(LimitTest, APauseHoldsTwoNodesAtOneStepAndLosesNothing) {
  const std::string policy = policy_of(400) + ":pause@0.5";
  Process left = job(policy, 4, "60", "left", 0, 2);
  Process right = job(policy, 4, "60", "right", 2, 2);
  ASSERT_TRUE(waits()) << left.err() << right.err();
  ASSERT_TRUE(eventually([&] { return quiet_steps().size() == 1; }, seconds(10)));
  const int64_t held = *quiet_steps().begin();
  EXPECT_LT(held, 60);
  std::this_thread::sleep_for(seconds(3));
  EXPECT_EQ(quiet_steps(), std::set<int64_t>{held}) << "and they stay there";
  ASSERT_EQ(acknowledge("own:pause@0.5"), 0);
  EXPECT_EQ(left.wait(), 0) << left.err();
  EXPECT_EQ(right.wait(), 0) << right.err();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.steps, 60u);
  EXPECT_EQ(report.totals.executed, OpCount(kOperations * 4 * 60 * 5));
}

}  // namespace
}  // namespace account::e2e
