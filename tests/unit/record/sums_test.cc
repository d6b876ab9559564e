// How lines of models add up.
#include <gtest/gtest.h>

#include "unit/record/support.h"

namespace account::record {
namespace {

using testing::IsOk;

SignedRecord declared_base(uint64_t low, uint64_t high, const std::string& model = "base") {
  Record base = record_of(Kind::declared, {}, model);
  base.claims = {claim(low, high)};
  return signed_record(base);
}

TEST(RecordSumsTest, AFineTuneOfAFineTuneAddsUp) {
  const SignedRecord base = declared_base(1000, 2000);
  const SignedRecord first =
      signed_record(derived(record_of(Kind::fine_tune, {part("a", 10, 12)}), {base}));
  const Record second = derived(record_of(Kind::fine_tune, {part("b", 5)}), {first});
  const Sums sums = sum_up(second);
  EXPECT_EQ(sums.own.low, OpCount(5));
  EXPECT_EQ(sums.derived.low, OpCount(15));
  EXPECT_EQ(sums.derived.high, OpCount(17));
  EXPECT_EQ(sums.base.low, OpCount(1000));
  EXPECT_EQ(sums.base.high, OpCount(2000));
  EXPECT_EQ(sums.least_base, OpCount(1000));
  EXPECT_FALSE(sums.unknown);
}

TEST(RecordSumsTest, WhatTwoParentsShareCountsOnce) {
  const SignedRecord base = declared_base(1000, 1000);
  Part early = part("a", 10);
  early.whole = false;
  const SignedRecord left =
      signed_record(derived(record_of(Kind::fine_tune, {early, part("l", 1)}, "l"), {base}));
  // Of the shared run the right one has a longer part.
  const SignedRecord right = signed_record(
      derived(record_of(Kind::fine_tune, {part("a", 14), part("r", 2)}, "r"), {base}));
  const Sums sums = sum_up(derived(record_of(Kind::merge, {}), {left, right}));
  EXPECT_EQ(sums.own.low, OpCount(0));
  EXPECT_EQ(sums.derived.low, OpCount(14 + 1 + 2));
  EXPECT_EQ(sums.base.low, OpCount(1000));
}

TEST(RecordSumsTest, SharesAreOfTheSmallestBase) {
  const SignedRecord small = declared_base(100, 100, "small"), large = declared_base(900, 900, "l");
  const Record merge = derived(record_of(Kind::merge, {}), {small, large});
  EXPECT_EQ(sum_up(merge).base.low, OpCount(1000));
  EXPECT_EQ(sum_up(merge).least_base, OpCount(100));
  EXPECT_EQ(facts_of(merge, true).parent_operations, OpCount(100));
  EXPECT_EQ(facts_of(merge, true).parent_sum, OpCount(1000));
}

TEST(RecordSumsTest, APretrainingsOwnLineIsTheBase) {
  const SignedRecord first = signed_record(record_of(Kind::pretraining, {part("p", 400)}, "p"));
  const SignedRecord next =
      signed_record(derived(record_of(Kind::pretraining, {part("q", 100)}, "q"), {first}));
  const Sums sums = sum_up(derived(record_of(Kind::adapter, {part("r", 3)}), {next}));
  EXPECT_EQ(sums.derived.low, OpCount(3));
  EXPECT_EQ(sums.base.low, OpCount(500));
  EXPECT_EQ(sums.least_base, OpCount(500));
}

TEST(RecordSumsTest, ATeachersOperationsAreNotTheStudents) {
  const SignedRecord teacher = declared_base(1000, 1000);
  Record student = record_of(Kind::distillation, {part("a", 10)});
  student.parents = {{teacher.id, "teacher", true}};
  student.lineage = lineage_from({teacher}, student.parents);
  EXPECT_TRUE(student.lineage.empty());
  EXPECT_EQ(sum_up(student).base.low, OpCount(0));
}

TEST(RecordSumsTest, AnUnknownParentIsNeverZero) {
  Record tuned = record_of(Kind::fine_tune, {part("a", 10)});
  tuned.parents = {{"", "", false}};
  const policy::Facts facts = facts_of(tuned, true);
  EXPECT_TRUE(facts.parent_unknown);
  EXPECT_EQ(facts.parent_operations, std::nullopt);
  // And of its child as well.
  const Record child = derived(record_of(Kind::fine_tune, {part("b", 1)}), {signed_record(tuned)});
  EXPECT_TRUE(sum_up(child).unknown);
}

TEST(RecordSumsTest, AMissingParentsRecordMakesSharesUnknownAndLeavesSums) {
  const Record tuned =
      derived(record_of(Kind::fine_tune, {part("a", 400)}), {declared_base(1000, 2000)});
  const auto relative = policy::load("us-ca-sb1047-2024-06-05");
  const auto sum = policy::load("eu-aia-51");
  ASSERT_THAT(relative, IsOk());
  ASSERT_THAT(sum, IsOk());
  policy::Facts all = facts_of(tuned, true), fewer = facts_of(tuned, false);
  all.date = fewer.date = "2027-01-01";
  EXPECT_EQ(policy::judge(*relative, all).rules[0].verdict, policy::Verdict::reached);
  EXPECT_EQ(policy::judge(*relative, fewer).rules[0].verdict, policy::Verdict::unknown);
  EXPECT_EQ(policy::judge(*sum, all).rules[0].counted, OpCount(1400));
  EXPECT_EQ(policy::judge(*sum, fewer).rules[0].counted, OpCount(1400));
  EXPECT_EQ(policy::judge(*sum, fewer).rules[0].upper, OpCount(2400));
}

TEST(RecordSumsTest, WhatIsNotDisclosedCountsUnderEveryPolicy) {
  Record hidden = record_of(Kind::pretraining, {part("a", 10)});
  hidden.parts[0].counters.clear();
  const Counters counters = sum_up(hidden).derived_counters;
  EXPECT_EQ(counters.at({Category::unassigned, Phase::forward}), OpCount(10));
}

}  // namespace
}  // namespace account::record
