// The cost table, and what audited steps say of a run.
#include "count/audit.h"

#include <gtest/gtest.h>

#include "count/cost.h"
#include "count/formula.h"

namespace account::count {
namespace {

TEST(CostTest, FormsOfAnOpCostWhatItCosts) {
  for (const char* op : {"aten::addcdiv", "aten::addcdiv_", "aten::_foreach_addcdiv",
                         "aten::_foreach_addcdiv_", "addcdiv"}) {
    EXPECT_EQ(estimate_of(cost_of(op), 10), OpCount(30)) << op;
    EXPECT_EQ(bound_of(cost_of(op), 10), OpCount(60)) << op;
  }
}

TEST(CostTest, ElementaryFunctionsAreOneInTheEstimateAndManyInTheBound) {
  EXPECT_EQ(estimate_of(cost_of("aten::_softmax"), 100), OpCount(500));
  EXPECT_EQ(bound_of(cost_of("aten::_softmax"), 100), OpCount(100 * (2 * 4 + 24)));
}

TEST(CostTest, MovingDataIsNothingAndTheUnknownHasAWideBound) {
  EXPECT_TRUE(cost_of("aten::view").moves_data());
  EXPECT_TRUE(cost_of("aten::copy_").moves_data());
  EXPECT_EQ(estimate_of(cost_of("aten::never_heard_of"), 5), OpCount(5));
  EXPECT_EQ(bound_of(cost_of("aten::never_heard_of"), 5), OpCount(5 * 64));
}

TEST(CostTest, NothingWithAFormulaMovesData) {
  for (const Row& row : table()) EXPECT_FALSE(cost_of(row.op).moves_data()) << row.op;
}

TEST(AuditTest, TheWorstStepStandsForAll) {
  const std::vector<AuditedStep> steps = {{1000, 1, 10}, {500, 1, 40}, {2000, 1, 100}};
  // 40 for each 500 is the worst of them.
  EXPECT_EQ(bound_by_audits(steps, 10'000), OpCount(21 * 40));
  EXPECT_EQ(bound_by_audits(steps, 0), OpCount(100));
  EXPECT_EQ(bound_by_audits({}, 10'000), OpCount(0));
}

TEST(AuditTest, AStepWithoutCountedWorkBoundsItselfOnly) {
  EXPECT_EQ(bound_by_audits({{0, 5, 70}}, 1'000'000), OpCount(70));
}

TEST(AuditTest, LargeRunsDoNotOverflow) {
  const OpCount run = OpCount::from_text("3e25").value();
  const OpCount bound = bound_by_audits({{1'000'000'000'000, 1, 20'000'000'000}}, run);
  EXPECT_EQ(bound, OpCount::from_text("600000000000020000000000").value());
  EXPECT_EQ(bound_by_audits({{1, 1, OpCount::max()}}, run), OpCount::max());
}

TEST(AuditTest, NotedCallsAddUpAndSubtract) {
  const auto before = read_audited();
  note_audited("test::exp", 3, 30);
  note_audited("test::exp", 4, 40);
  Totals totals;
  totals.upper = 100;
  add_audited(totals, subtract(read_audited(), before));
  ASSERT_EQ(totals.audited.size(), 1u);
  EXPECT_EQ(totals.audited[0].calls, 2u);
  EXPECT_EQ(totals.audited[0].estimate, OpCount(7));
  EXPECT_EQ(totals.audited[0].bound, OpCount(70));
  EXPECT_EQ(totals.upper, OpCount(170));
}

}  // namespace
}  // namespace account::count
