// The keeper's loop, turned by the test over real pages and real ledgers.
#include "keeper/keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "order/authority.h"
#include "support/temp_dir.h"
#include "unit/keeper/support.h"
#include "unit/order/support.h"

namespace account::keeper {
namespace {

using ::testing::HasSubstr;

TEST_F(KeeperFixture, WhatARankCountedStandsInTheLedger) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  for (int step = 0; step < 3; ++step) {
    rank.count(1000);
    rank.step();
  }
  EXPECT_TRUE(turn_for(kSecond));
  EXPECT_EQ(rank.acceptance(), Acceptance::accepted);
  rank.finish();
  EXPECT_TRUE(turn_for(kSecond));
  EXPECT_EQ(rank.acceptance(), Acceptance::closed);
  EXPECT_FALSE(disk_.exists(rank.path()));
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(3000));
  EXPECT_EQ(report.totals.steps, 3u);
  EXPECT_EQ(report.ranks, 1u);
  ASSERT_EQ(report.nodes.size(), 1u);
  EXPECT_TRUE(report.nodes[0].closed);
}

TEST_F(KeeperFixture, ARunningJobVerifiesAfterItsFirstSecond) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  turn_for(kSecond);
  EXPECT_EQ(verify().ranks, 1u);
}

TEST_F(KeeperFixture, SealsComeEachMinuteInTheFirstHourThenEachTenth) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  turn_for(kSecond);
  const auto sealed = [&] { return static_cast<int>(rank.layout().control.sealed.load()); };
  const int begun = sealed();
  turn_for(10 * 60 * kSecond, kSecond);
  EXPECT_NEAR(sealed() - begun, 10, 1);
  turn_for(50 * 60 * kSecond, kSecond);
  const int after_an_hour = sealed();
  turn_for(60 * 60 * kSecond, kSecond);
  EXPECT_NEAR(sealed() - after_an_hour, 6, 1);
}

TEST_F(KeeperFixture, BeatsTwiceASecond) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  for (int i = 0; i < 50; ++i) {
    turn_for(0);
    const auto beat = static_cast<int64_t>(rank.layout().control.keeper_beat_ns.load());
    EXPECT_LE(clock_.monotonic_ns() - beat, kBeatNs + 2 * Keeper::kTurnNs);
  }
}

TEST_F(KeeperFixture, ASecondKeeperOfAPlaceIsUnavailable) {
  ASSERT_TRUE(open().ok());
  KeeperOptions options;
  options.place = place_;
  const auto second = Keeper::open(options, {disk_, clock_, say(), nullptr});
  EXPECT_EQ(second.status().code(), Code::unavailable);
  EXPECT_TRUE(keeper_lives(disk_, place_));
  end();
  EXPECT_FALSE(keeper_lives(disk_, place_));
}

TEST_F(KeeperFixture, TheNextKeeperTakesUpPagesAndLedger) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(10);
  rank.step();
  turn_for(61 * kSecond);
  rank.count(100);
  rank.step();
  keeper_.reset();  // as if killed: nothing of the second step was sealed
  ASSERT_TRUE(open().ok());
  rank.count(1000);
  rank.step();
  turn_for(kSecond);
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(1110));
  EXPECT_EQ(report.totals.steps, 3u);
  EXPECT_EQ(report.incarnations.size(), 1u);
  EXPECT_EQ(report.nodes[0].keys.size(), 2u);
}

// A loader of data that computes counts as well, in a page of its own.
TEST_F(KeeperFixture, AForkedProcessIsCountedAndIsNoRankOfItsOwn) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(5);
  turn_for(kSecond);
  const pid_t child = fork();
  if (child == 0) {
    rank.count(70);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  turn_for(2 * kSecond);
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(75));
  EXPECT_EQ(report.ranks, 1u);
  EXPECT_EQ(report.incarnations.size(), 2u);
  EXPECT_TRUE(report.nodes[0].gaps.empty());
}

TEST_F(KeeperFixture, TheLiveTotalIncludesEarlierSessions) {
  ASSERT_TRUE(open().ok());
  TestRank first(place_, rank_of(0, 1));
  first.count(500);
  first.finish();
  turn_for(kSecond);
  end();
  ASSERT_TRUE(open().ok());
  TestRank second(place_, rank_of(0, 1));
  second.count(70);
  turn_for(2 * kSecond);
  EXPECT_EQ(keeper_->status().node_operations, OpCount(570));
  second.finish();
  end();
  EXPECT_EQ(verify().totals.executed, OpCount(570));
}

// A road on which the node of rank 0 has said what the whole job counted.
class SumOnTheRoad final : public Exchange {
 public:
  Status post(std::string_view, std::string_view) override { return {}; }
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>&,
                                                          int64_t) override {
    if (key != "job") return std::vector<std::optional<std::string>>{std::nullopt};
    NodeTotal sum;
    sum.node = "0000000a";
    sum.world_size = sum.covers = kWorld;
    sum.steps = 9;
    sum.sequence = ++sequence_;
    sum.operations[{Category::train, Phase::forward}] = OpCount(12'345);
    return std::vector<std::optional<std::string>>{to_blob(sum)};
  }
  static constexpr int kWorld = 2 * JobTotals::kDirectNodes;

 private:
  uint64_t sequence_ = 0;
};

TEST_F(KeeperFixture, InALargeJobTheTotalIsTheSumThatOneNodeSays) {
  SumOnTheRoad road;
  KeeperOptions options;
  options.place = place_;
  options.hosted = true;
  auto keeper = Keeper::open(options, {disk_, clock_, say(), &road});
  ASSERT_TRUE(keeper.ok()) << keeper.status().to_string();
  keeper_ = std::move(keeper).value();
  tally::Identity identity = rank_of(0, 1);
  identity.rank = 77;
  identity.world_size = SumOnTheRoad::kWorld;
  TestRank rank(place_, identity);
  rank.count(5);
  // The exchange has a thread and a pause of its own.
  for (int i = 0; i < 100 && keeper_->status().job_operations != OpCount(12'345); ++i) {
    turn_for(kSecond, kSecond);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  EXPECT_EQ(keeper_->status().job_operations, OpCount(12'345));
  EXPECT_EQ(keeper_->status().node_operations, OpCount(5));
  EXPECT_EQ(keeper_->status().steps, 9u);
  EXPECT_TRUE(keeper_->status().nodes_seen.empty()) << "a sum is of no node";
  rank.finish();
  end();
}

TEST_F(KeeperFixture, ARankThatDiesIsReadALastTime) {
  ASSERT_TRUE(open().ok());
  train_and_die([](TestRank& rank) {
    rank.count(12345);
    rank.step();
  });
  EXPECT_TRUE(said("rank 0 died after 1 step"));
  end(1);
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(12345));
  ASSERT_EQ(report.incarnations.size(), 1u);
  EXPECT_EQ(report.incarnations[0].ended, "died");
}

TEST_F(KeeperFixture, AfterEverythingWasKilledTheNextKeeperFindsThePages) {
  const pid_t child = fork();
  if (child == 0) {
    TestRank rank(place_, rank_of(0, 1));
    rank.count(777);
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(open().ok());
  turn_for(kSecond);
  end();
  EXPECT_EQ(verify().totals.executed, OpCount(777));
}

TEST_F(KeeperFixture, AFullDiskCostsNothingOnceThereIsRoomAgain) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1);
  rank.step();
  turn_for(kSecond);
  disk_.full = true;
  tally::post_event(tally::EventKind::gap, R"({"kind":"test","detail":"while the disk is full"})");
  for (int i = 0; i < 200; ++i) {
    rank.count(10);
    rank.step();
    turn_for(0, kSecond);
  }
  EXPECT_TRUE(said("cannot seal"));
  EXPECT_THAT(keeper_->status().trouble, HasSubstr("No space left"));
  EXPECT_EQ(std::count_if(lines_.begin(), lines_.end(),
                          [](const auto& line) { return line.find("cannot seal") != line.npos; }),
            1);
  disk_.full = false;
  turn_for(3 * kSecond);
  EXPECT_TRUE(said("sealing works again"));
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(2001));
  EXPECT_EQ(report.totals.steps, 201u);
  EXPECT_EQ(report.nodes[0].gaps.size(), 1u);
}

TEST_F(KeeperFixture, ADiskThatStaysFullLeavesThePageForTheNextKeeper) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(42);
  turn_for(kSecond);
  disk_.full = true;
  rank.count(4200);
  rank.finish();
  end();
  EXPECT_TRUE(said("gave up sealing"));
  EXPECT_TRUE(disk_.exists(rank.path()));
  disk_.full = false;
  ASSERT_TRUE(open().ok());
  turn_for(kSecond);
  end();
  EXPECT_EQ(verify().totals.executed, OpCount(4242));
}

TEST_F(KeeperFixture, ADirectoryThatCannotBeWrittenIsRefusedAtOnce) {
  std::ofstream(dir_ + "/file") << "no folder";
  place_ = *make_place(dir_ + "/file", "run-1", "node-a");
  const Status status = open();
  EXPECT_EQ(status.code(), Code::io);
  EXPECT_THAT(status.to_string(), HasSubstr(dir_ + "/file"));
}

TEST_F(KeeperFixture, ADamagedLedgerIsRefusedNamingThePlace) {
  ASSERT_TRUE(open().ok());
  turn_for(kSecond);
  end();
  const std::string path = place_.run_folder() + "/node-" + place_.node + "/ledger/000001.jsonl";
  std::string bytes = *disk_.read(path, 1 << 20);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(path, std::ios::binary) << bytes;
  const Status status = open();
  EXPECT_EQ(status.code(), Code::corrupt);
  EXPECT_THAT(status.to_string(), HasSubstr("000001.jsonl"));
}

TEST_F(KeeperFixture, AFolderOfAnotherRunIsRefused) {
  ASSERT_TRUE(open().ok());
  end();
  std::filesystem::rename(place_.run_folder(), dir_ + "/run-2");
  place_ = *make_place(dir_, "run-2", "node-a");
  const Status status = open();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.to_string(), HasSubstr("run-1"));
}

TEST_F(KeeperFixture, AnUnknownPolicyIsRefusedAtOnce) {
  policies_ = {"no-such-policy"};
  EXPECT_THAT(open().to_string(), HasSubstr("no-such-policy"));
}

TEST_F(KeeperFixture, ARankWithAnUnknownPolicyIsRefusedWithTheReason) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1, R"({"policies":["no-such-policy"]})"));
  turn_for(0);
  EXPECT_EQ(rank.acceptance(), Acceptance::refused);
  EXPECT_THAT(read_reason(rank.layout()).to_string(), HasSubstr("no-such-policy"));
}

TEST_F(KeeperFixture, WaitingRanksLearnWhyThereIsNoKeeper) {
  TestRank rank(place_, rank_of(0, 1));
  const Status why(Code::corrupt, "the ledger is damaged", "move it away");
  EXPECT_EQ(refuse_waiting_pages(disk_, place_, why), 1);
  EXPECT_EQ(rank.acceptance(), Acceptance::refused);
  EXPECT_EQ(read_reason(rank.layout()).to_string(), why.to_string());
}

TEST_F(KeeperFixture, AMissingLocalRankIsABoundedGap) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 2));
  rank.count(5);
  turn_for(3 * kSecond);
  rank.finish();
  turn_for(kSecond);
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(5));
  EXPECT_GT(report.totals.upper, OpCount(1'000'000'000));
  ASSERT_EQ(report.nodes[0].gaps.size(), 1u);
  EXPECT_EQ(*report.nodes[0].gaps[0].get_string("kind"), "missing_rank");
}

TEST_F(KeeperFixture, AHostWhoseCommandOpensNothingIsToldSo) {
  ASSERT_TRUE(open().ok());
  turn_for(kSecond);
  end();
  EXPECT_TRUE(said("nothing was counted"));
  EXPECT_EQ(verify().nodes[0].gaps.size(), 1u);
}

TEST_F(KeeperFixture, ACommandIsLeftOverFromTheStopOnHoweverLongNobodyCame) {
  const order::Authority keys;
  const testing::TempDir authority;
  std::filesystem::create_directories(authority / "receipts");
  const order::AuthorityDirectory directory(FileSystem::real(), {authority.path(), ""});
  ASSERT_TRUE(directory.publish_root(keys.signed_root(keys.root())).ok());
  KeeperOptions options;
  options.place = place_;
  options.hosted = true;
  options.authorities = {authority.path()};
  auto keeper = Keeper::open(options, {disk_, clock_, say(), nullptr});
  ASSERT_TRUE(keeper.ok()) << keeper.status().to_string();
  keeper_ = std::move(keeper).value();
  turn_for(300 * kSecond);
  EXPECT_EQ(keeper_->idle_under_stop_ns(), 0);
  const std::string stop =
      order::sign_order(order::make_stop({order::Scope::Kind::all, ""}), {&keys.stop_a});
  ASSERT_TRUE(directory.publish_order(*sign::parse_envelope(stop, order::kMaxOrderBytes)).ok());
  turn_for(10 * kSecond);
  EXPECT_GT(keeper_->idle_under_stop_ns(), 0);
  EXPECT_LE(keeper_->idle_under_stop_ns(), 11 * kSecond);
  turn_for(60 * kSecond);
  EXPECT_GE(keeper_->idle_under_stop_ns(), 60 * kSecond);
}

TEST_F(KeeperFixture, ALoneKeeperEndsAfterItsLastRank) {
  ASSERT_TRUE(open(false).ok());
  TestRank rank(place_, rank_of(0, 1));
  EXPECT_TRUE(turn_for(30 * kSecond));
  rank.finish();
  EXPECT_FALSE(turn_for(3 * kSecond));
  keeper_.reset();
  EXPECT_TRUE(verify().nodes[0].closed);
}

TEST_F(KeeperFixture, ALoneKeeperThatNobodyJoinsEnds) {
  ASSERT_TRUE(open(false).ok());
  EXPECT_FALSE(turn_for(16 * kSecond));
}

TEST_F(KeeperFixture, AHostThatLeavesBeforeItsRanksDoesNotCloseTheLedger) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(3);
  turn_for(kSecond);
  end();
  EXPECT_FALSE(verify().nodes[0].closed);
  EXPECT_TRUE(disk_.exists(rank.path()));
  ASSERT_TRUE(open().ok());
  rank.count(4);
  turn_for(kSecond);
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.executed, OpCount(7));
}

TEST_F(KeeperFixture, LeavesNothingInSharedMemory) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  turn_for(2 * kSecond);
  rank.finish();
  end();
  EXPECT_FALSE(disk_.exists(place_.page_folders().front()));
}

TEST_F(KeeperFixture, StepsBeyondTheRingAreKnownByNumberAndSum) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  turn_for(kSecond);
  for (int step = 0; step < 3000; ++step) {
    rank.count(2);
    rank.step();
  }
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.steps, 3000u);
  EXPECT_EQ(verify().totals.executed, OpCount(6000));
}

TEST_F(KeeperFixture, SaysLittleAndEndsWithTheCommandThatProves) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  for (int i = 0; i < 300; ++i) {
    rank.count(1'000'000);
    rank.step();
    turn_for(0, kSecond);
  }
  rank.finish();
  end();
  EXPECT_LT(lines_.size(), 16u);
  EXPECT_EQ(lines_.back(), "account: prove it: account prove " + place_.run_folder() +
                               " --policy us-ca-sb1047-enrolled");
}

}  // namespace
}  // namespace account::keeper
