// Whole runs: ranks, keepers and ledgers as they work together, with nothing killed.
#include <gmock/gmock.h>

#include "e2e/cpp/support.h"

namespace account::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(EndToEnd, SeveralRanksOfANodeShareAKeeperThatTheFirstOneMade) {
  std::vector<Process> ranks;
  for (int rank = 0; rank < 3; ++rank) {
    ranks.push_back(start_rank({"steps=20", "calls=500", "threads=2", "seconds=1"}, rank, 3));
  }
  for (Process& rank : ranks) EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_TRUE(keeper_ends());
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{3} * 20 * 500 * 2 * kOperations));
  EXPECT_EQ(report.ranks, 3u);
  EXPECT_EQ(report.totals.steps, 20u);
  ASSERT_EQ(report.nodes.size(), 1u);
  EXPECT_TRUE(report.nodes[0].closed);
  EXPECT_TRUE(report.gaps.empty());
}

TEST_F(EndToEnd, AccountRunHostsTheKeeperAndIsTheCommandToItsCaller) {
  Process run = account_run({}, rank_words({"steps=10", "calls=100"}), base_environment());
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("account: prove it: account prove " + place().run_folder()));
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{1000} * kOperations));
  EXPECT_TRUE(report.nodes[0].closed);
  EXPECT_FALSE(std::filesystem::exists(place().page_folders().front()));
}

TEST_F(EndToEnd, FinishSealsBeforeItReturns) {
  Process rank = start_rank({"steps=5", "calls=10"});
  EXPECT_EQ(rank.wait(), 0) << rank.err();
  // The keeper is still there, the ledger not closed yet; but all that was counted is sealed.
  EXPECT_EQ(verify().totals.executed, OpCount::from_raw(Uint128{50} * kOperations));
  EXPECT_TRUE(keeper_ends());
}

TEST_F(EndToEnd, ARankThatLeavesWithoutFinishIsCountedWhole) {
  Process run =
      account_run({}, rank_words({"steps=7", "calls=11", "finish=no"}), base_environment());
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_EQ(verify().totals.executed, OpCount::from_raw(Uint128{77} * kOperations));
}

// By which road two nodes hear of each other: a rank that carries mail, or a folder that they
// share.
class TwoNodes : public EndToEnd, public ::testing::WithParamInterface<bool> {};

TEST_P(TwoNodes, SeeTheTotalOfTheJobAndTheirLedgersAddUp) {
  std::vector<Process> ranks;
  std::vector<std::string> words = {"steps=60", "calls=10", "seconds=6"};
  if (!GetParam()) words.push_back("exchange=" + folder_ + "/road");
  for (int rank = 0; rank < 4; ++rank) {
    const std::string node = rank < 2 ? "left" : "right";
    Process::Environment environment = rank_environment(rank, 4, rank % 2, 2, node);
    if (GetParam()) environment["ACCOUNT_EXCHANGE"] = folder_ + "/road";
    ranks.emplace_back(rank_words(words), environment, output());
  }
  uint64_t most_nodes = 0;
  OpCount node_most, job_most;
  EXPECT_TRUE(eventually(
      [&] {
        const auto status = live();
        if (!status) return false;
        most_nodes = std::max<uint64_t>(most_nodes, status->nodes_seen.size());
        node_most = status->node_operations;
        job_most = status->job_operations;
        return most_nodes == 1 && job_most > node_most && status->silent_ranks.empty();
      },
      seconds(8)));
  for (Process& rank : ranks) EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_TRUE(keeper_ends(seconds(60), "left"));
  EXPECT_TRUE(keeper_ends(seconds(60), "right"));
  const ledger::Report report = verify();
  EXPECT_EQ(report.nodes.size(), 2u);
  EXPECT_EQ(report.ranks, 4u);
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{4} * 600 * kOperations));
  // A folder of an exchange holds nothing any more; the carried one is the test's own.
  EXPECT_EQ(std::filesystem::is_empty(folder_ + "/road" + (GetParam() ? "/r" : "")), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Roads, TwoNodes, ::testing::Values(false, true));

TEST_F(EndToEnd, ARunIdThatExistsResumes) {
  for (int i = 0; i < 3; ++i) {
    Process run = account_run({}, rank_words({"steps=2", "calls=10"}), base_environment());
    EXPECT_EQ(run.wait(), 0) << run.err();
  }
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{60} * kOperations));
  EXPECT_EQ(report.incarnations.size(), 3u);
  EXPECT_EQ(report.ranks, 1u);
}

TEST_F(EndToEnd, TwoAccountRunsOnANodeShareOneKeeper) {
  const auto words = rank_words({"steps=10", "calls=10", "seconds=1.5"});
  Process first = account_run({}, words, rank_environment(0, 2, 0, 2));
  Process second = account_run({}, words, rank_environment(1, 2, 1, 2));
  EXPECT_EQ(first.wait(), 0) << first.err();
  EXPECT_EQ(second.wait(), 0) << second.err();
  EXPECT_TRUE(keeper_ends());
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{200} * kOperations));
  EXPECT_EQ(report.nodes.size(), 1u);
}

TEST_F(EndToEnd, ExitCodesAndSignalsPassThrough) {
  const auto code_of = [&](const std::string& script) {
    Process run = account_run({}, {"sh", "-c", script}, base_environment());
    return run.wait();
  };
  EXPECT_EQ(code_of("exit 0"), 0);
  EXPECT_EQ(code_of("exit 42"), 42);
  EXPECT_EQ(code_of("kill -TERM $$"), 128 + SIGTERM);
  EXPECT_EQ(code_of("kill -KILL $$"), 128 + SIGKILL);
}

TEST_F(EndToEnd, SignalsAreForwardedToTheCommand) {
  const std::string ready = folder_ + "/ready";
  Process run = account_run(
      {}, {"sh", "-c", "trap 'exit 7' TERM; : > " + ready + "; while :; do sleep 0.05; done"},
      base_environment());
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(ready); }, seconds(10)));
  run.kill(SIGTERM);
  EXPECT_EQ(run.wait(), 7);
}

TEST_F(EndToEnd, QuietSaysNothing) {
  Process run = account_run({"--quiet"}, rank_words({"steps=2"}), base_environment());
  EXPECT_EQ(run.wait(), 0);
  EXPECT_EQ(run.err(), "");
  EXPECT_EQ(run.out(), "");
}

TEST_F(EndToEnd, OffIsAsIfNothingWereThere) {
  Process::Environment environment = base_environment();
  environment["ACCOUNT"] = "off";
  Process run = account_run({}, rank_words({"steps=2"}), environment);
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_EQ(run.err(), "");
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

// ---- what is refused, before the command starts ---------------------------------------------

struct Refusal {
  int code;
  std::string err;
  bool command_ran;
};

class Refusals : public EndToEnd {
 protected:
  Refusal refusal(const std::vector<std::string>& options, Process::Environment environment,
                  const std::string& command = "touch") {
    const std::string ran = folder_ + "/ran";
    Process run = account_run(options, {command, ran}, environment);
    const int code = run.wait();
    return {code, run.err(), std::filesystem::exists(ran)};
  }
  void expect_one_line(const Refusal& refused, int code, const std::string& words) {
    EXPECT_EQ(refused.code, code);
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(words));
    EXPECT_FALSE(refused.command_ran);
  }
  void make_run() {
    Process run = account_run({}, rank_words({"steps=2"}), base_environment());
    ASSERT_EQ(run.wait(), 0);
  }
  std::string node_folder() const { return place().run_folder() + "/node-" + place().node; }
};

TEST_F(Refusals, ADirectoryThatCannotBeWritten) {
  std::ofstream(folder_ + "/file") << "no folder";
  Process::Environment environment = base_environment();
  environment["ACCOUNT_DIR"] = folder_ + "/file/account";
  expect_one_line(refusal({}, environment), 1, folder_ + "/file");
}

TEST_F(Refusals, ADamagedLedger) {
  make_run();
  const std::string path = node_folder() + "/ledger/000001.jsonl";
  std::string bytes = testing::read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  expect_one_line(refusal({}, base_environment()), 2, "000001.jsonl");
}

TEST_F(Refusals, AFolderOfAnotherRun) {
  make_run();
  std::filesystem::rename(place().run_folder(), dir_ + "/other");
  const Refusal refused = refusal({"--run", "other"}, base_environment());
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(refused.err, HasSubstr("'r'"));
  EXPECT_FALSE(refused.command_ran);
}

TEST_F(Refusals, AnUnknownPolicy) {
  expect_one_line(refusal({"--policy", "no-such"}, base_environment()), 1, "no-such");
}

TEST_F(Refusals, ARunIdThatIsNoName) {
  expect_one_line(refusal({"--run", "a/b"}, base_environment()), 1, "a/b");
}

TEST_F(Refusals, ACommandThatIsNotThereLeavesNoRunBehind) {
  expect_one_line(refusal({}, base_environment(), "no-such-command"), 127, "no-such-command");
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(Refusals, StartReturnsTheKeepersReason) {
  make_run();
  const std::string path = node_folder() + "/checkpoint";
  std::ofstream(path, std::ios::binary) << "not a checkpoint\n";
  Process rank = start_rank({"steps=1"});
  EXPECT_EQ(rank.wait(), 3);
  const std::string err = rank.err();
  EXPECT_THAT(err, HasSubstr("start: corrupt: "));
  EXPECT_THAT(err, HasSubstr("checkpoint"));
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(place().page_folders().front()); },
                         seconds(2)));
}

TEST_F(Refusals, StartWithoutAKeeperToBeFoundSaysWhereItLooked) {
  Process::Environment environment = rank_environment(0, 1, 0, 1);
  environment["ACCOUNT_BIN"] = folder_ + "/nothing";
  Process rank(rank_words({"steps=1"}), environment, output());
  EXPECT_EQ(rank.wait(), 3);
  EXPECT_THAT(rank.err(), HasSubstr("start: not_found: "));
  EXPECT_THAT(rank.err(), HasSubstr("ACCOUNT_BIN"));
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

}  // namespace
}  // namespace account::e2e
