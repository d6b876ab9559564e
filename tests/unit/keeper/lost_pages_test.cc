// Pages that are gone, unreadable or damaged: gaps, and nothing that was read before is lost.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "keeper/device_rate.h"
#include "unit/keeper/support.h"

namespace account::keeper {
namespace {

// The only gap of the run's one node; it is in `upper`.
void expect_gap_of_some_minutes(const ledger::Report& report, std::string_view kind) {
  ASSERT_EQ(report.nodes[0].gaps.size(), 1u);
  const Json& gap = report.nodes[0].gaps[0];
  EXPECT_EQ(*gap.get_string("kind"), kind);
  const OpCount bound = *gap.get_op_count("bound_operations");
  EXPECT_GE(bound, bound_for(100 * kSecond));
  EXPECT_LE(bound, bound_for(200 * kSecond));
  EXPECT_EQ(report.totals.upper, saturating_add(report.totals.executed, bound));
}

TEST_F(KeeperFixture, ANodeThatDiesLosesWhatWasNotSealedAndSaysHowMuchThatIsAtMost) {
  ASSERT_TRUE(open().ok());
  {
    TestRank rank(place_, rank_of(0, 1));
    rank.count(10);
    rank.step();
    turn_for(61 * kSecond);
    rank.count(100);
    rank.step();
    keeper_.reset();  // as if killed
    std::filesystem::remove(rank.path());
  }
  clock_.advance(100 * kSecond);
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1000);
  rank.step();
  turn_for(2 * kSecond);
  EXPECT_EQ(keeper_->status().node_operations, OpCount(1010));
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(1010));
  expect_gap_of_some_minutes(report, "page_lost");
}

TEST_F(KeeperFixture, AnUnreadablePageIsAGapAndDisturbsNobody) {
  ASSERT_TRUE(open().ok());
  std::ofstream(place_.page_folders().front() + "/0123456789abcdef.tally") << "garbage";
  TestRank rank(place_, rank_of(0, 1));
  rank.count(9);
  turn_for(kSecond);
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(9));
  ASSERT_EQ(report.nodes[0].gaps.size(), 1u);
  EXPECT_EQ(*report.nodes[0].gaps[0].get_string("kind"), "page_unreadable");
}

// What a stray pointer in the job may do to its page.
void wipe_counters(TestRank& rank) {
  for (tally::Slot& slot : rank.layout().slots) {
    for (tally::Cell& cell : slot.cells) {
      cell.key = 0, cell.calls = 0;
      cell.executed_low = 0, cell.model_low = 0, cell.lower_low = 0;
    }
  }
}

TEST_F(KeeperFixture, CountersThatFallAreAGapAndWhatWasReadStays) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(100);
  rank.step();
  turn_for(2 * kSecond);
  wipe_counters(rank);
  rank.count(7);
  turn_for(100 * kSecond);
  EXPECT_EQ(keeper_->status().node_operations, OpCount(100));
  const ledger::Report running = verify();
  EXPECT_EQ(running.totals.executed, OpCount(100));
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(100));
  expect_gap_of_some_minutes(report, "page_damaged");
}

TEST_F(KeeperFixture, CountersThatFellBetweenTwoKeepersAreAGapToo) {
  ASSERT_TRUE(open().ok());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(100);
  turn_for(61 * kSecond);
  rank.count(20);  // sealed without its op
  turn_for(61 * kSecond);
  keeper_.reset();  // as if killed
  wipe_counters(rank);
  rank.count(7);
  ASSERT_TRUE(open().ok());
  turn_for(2 * kSecond);
  keeper_.reset();
  ASSERT_TRUE(open().ok());
  turn_for(2 * kSecond);
  rank.finish();
  end();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount(120));
  ASSERT_EQ(report.nodes[0].gaps.size(), 1u);
  EXPECT_EQ(*report.nodes[0].gaps[0].get_string("kind"), "page_damaged");
}

}  // namespace
}  // namespace account::keeper
