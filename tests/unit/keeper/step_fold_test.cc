// Folding of step values.
#include "keeper/step_fold.h"

#include <gtest/gtest.h>

namespace account::keeper {
namespace {

TEST(StepFoldTest, EqualNeighboursBecomeOneRun) {
  StepFold fold;
  for (uint64_t step = 1; step <= 1000; ++step) fold.add(step, 7);
  fold.add(1001, 9);
  ASSERT_EQ(fold.runs().size(), 2u);
  EXPECT_EQ(fold.runs()[0].first, 1u);
  EXPECT_EQ(fold.runs()[0].count, 1000u);
  EXPECT_EQ(fold.runs()[0].value, OpCount(7));
  EXPECT_TRUE(fold.runs()[0].exact);
  EXPECT_EQ(fold.runs()[1].first, 1001u);
}

TEST(StepFoldTest, EqualStepsThatAreNoNeighboursStayApart) {
  StepFold fold;
  fold.add(1, 7);
  fold.add(3, 7);
  EXPECT_EQ(fold.runs().size(), 2u);
}

TEST(StepFoldTest, SixtyFourRunsAreExact) {
  StepFold fold;
  for (uint64_t step = 1; step <= StepFold::kMaxRuns; ++step) fold.add(step, step);
  EXPECT_EQ(fold.runs().size(), StepFold::kMaxRuns);
}

TEST(StepFoldTest, TheSixtyFifthRunLeavesCountSumLeastAndGreatest) {
  StepFold fold;
  for (uint64_t step = 1; step <= 65; ++step) fold.add(step, 100 + step);
  ASSERT_EQ(fold.runs().size(), 1u);
  const ledger::StepRun& whole = fold.runs()[0];
  EXPECT_FALSE(whole.exact);
  EXPECT_EQ(whole.first, 1u);
  EXPECT_EQ(whole.count, 65u);
  EXPECT_EQ(whole.sum, OpCount(65 * 100 + 65 * 66 / 2));
  EXPECT_EQ(whole.least, OpCount(101));
  EXPECT_EQ(whole.greatest, OpCount(165));
  fold.add(66, 1);
  ASSERT_EQ(fold.runs().size(), 1u);
  EXPECT_EQ(fold.runs()[0].count, 66u);
  EXPECT_EQ(fold.runs()[0].least, OpCount(1));
}

TEST(StepFoldTest, MissedStepsAreKnownByNumberAndSum) {
  StepFold fold;
  fold.add_missed(1, 10, 1000);
  fold.add(11, 5);
  ASSERT_EQ(fold.runs().size(), 2u);
  EXPECT_FALSE(fold.runs()[0].exact);
  EXPECT_EQ(fold.runs()[0].count, 10u);
  EXPECT_EQ(fold.runs()[0].sum, OpCount(1000));
  EXPECT_EQ(fold.runs()[0].least, OpCount(0));
  EXPECT_EQ(fold.runs()[0].greatest, OpCount(1000));
}

TEST(StepFoldTest, AfterASealItBeginsAnew) {
  StepFold fold;
  fold.add(1, 7);
  fold.clear();
  fold.add(2, 7);
  ASSERT_EQ(fold.runs().size(), 1u);
  EXPECT_EQ(fold.runs()[0].first, 2u);
}

}  // namespace
}  // namespace account::keeper
