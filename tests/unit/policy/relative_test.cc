// Rules that depend on a parent: a share of its compute, or its compute on top.
#include "unit/policy/support.h"

namespace account::policy {
namespace {

// More than a third of the parent's operations; a third of 10^25 where it is unknown.
std::string third_file() {
  const std::string relative = R"("relative":{"numerator":1,"denominator":3,"operator":">",)"
                               R"("substitute":"3333333333333333333333333"},"counts")";
  return replaced(replaced(small_file(), R"("operations":"1000")", R"("operations":"0")"),
                  R"("counts")", relative);
}

Judgement judged(const Policy& policy, const char* own, const char* parent) {
  Facts facts = total(own);
  if (parent != nullptr) facts.parent_operations = ops(parent);
  return judge(policy, facts);
}

TEST(RelativeTest, OneThirdIsTestedInWholeNumbers) {
  const Policy policy = parsed(third_file());
  struct {
    const char* own;
    const char* parent;
    bool reached;
    const char* margin;
  } const cases[] = {
      {"100", "300", false, "1"},  // 3m == o
      {"100", "299", true, "0"},   // 3m == o + 1
      {"99", "299", false, "1"},
      {"100", "298", true, "0"},
      {"101", "300", true, "0"},
      {"102", "300", true, "1"},
      {"100", "301", false, "1"},
      {"0", "0", false, "1"},
      {"1", "0", true, "0"},
      // Three times the count would not fit into 128 bits: 2^127 > (2^128 - 1) / 3.
      {"170141183460469231731687303715884105728", "340282366920938463463374607431768211455", true,
       "56713727820156410577229101238628035242"},
      {"113427455640312821154458202477256070485", "340282366920938463463374607431768211455", false,
       "1"},
      {"113427455640312821154458202477256070486", "340282366920938463463374607431768211455", true,
       "0"},
  };
  for (const auto& c : cases) {
    const Judgement judgement = judged(policy, c.own, c.parent);
    EXPECT_EQ(judgement.verdict == Verdict::reached, c.reached) << c.own << " of " << c.parent;
    EXPECT_EQ(judgement.rules[0].margin.to_decimal(), c.margin) << c.own << " of " << c.parent;
  }
}

TEST(RelativeTest, AtLeastAShareIncludesEquality) {
  const Policy policy = parsed(replaced(third_file(), R"("denominator":3,"operator":">")",
                                        R"("denominator":3,"operator":">=")"));
  EXPECT_EQ(judged(policy, "100", "300").verdict, Verdict::reached);
  EXPECT_NE(judged(policy, "99", "300").verdict, Verdict::reached);
  EXPECT_NE(judged(policy, "100", "301").verdict, Verdict::reached);  // 300 >= 301 is false
  EXPECT_EQ(judged(policy, "101", "301").verdict, Verdict::reached);
}

TEST(RelativeTest, SharesOfHugeParentsDoNotOverflow) {
  const std::string file =
      replaced(third_file(), R"("numerator":1,"denominator":3)",
               R"("numerator":9007199254740991,"denominator":9007199254740990)");
  const Policy policy = parsed(file);
  const char* const largest = "340282366920938463463374607431768211455";
  // The share itself is beyond 128 bits: nothing that can be counted is more.
  EXPECT_NE(judged(policy, largest, largest).verdict, Verdict::reached);
  EXPECT_EQ(judged(policy, largest, "1e38").verdict, Verdict::reached);
}

TEST(RelativeTest, AnUnknownParentTakesTheSubstituteAndSaysSo) {
  const Policy policy = parsed(third_file());
  EXPECT_NE(judged(policy, "3333333333333333333333333", nullptr).verdict, Verdict::reached);
  const Judgement judgement = judged(policy, "3333333333333333333333334", nullptr);
  EXPECT_EQ(judgement.verdict, Verdict::reached);
  EXPECT_NE(judgement.rules[0].tests.back().because.find("substitute"), std::string::npos);
}

TEST(RelativeTest, AnUnknownParentWithoutSubstituteIsUnknown) {
  const Policy policy =
      parsed(replaced(third_file(), R"(,"substitute":"3333333333333333333333333")", ""));
  EXPECT_EQ(judged(policy, "1", nullptr).verdict, Verdict::unknown);
}

TEST(RelativeTest, ABoundThatCouldCrossTheShareIsUnknown) {
  const Policy policy = parsed(third_file());
  Facts facts = total("90");
  facts.parent_operations = 300;
  facts.gap_bound = 10;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::approaching);  // 3 x 100 == 300
  facts.gap_bound = 11;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::unknown);
}

TEST(RelativeTest, BothLinesMustBeCrossedAndTheFartherOneIsShown) {
  const Policy policy =
      parsed(replaced(third_file(), R"("operations":"0")", R"("operations":"1000")"));
  struct {
    const char* own;
    const char* parent;
    Verdict verdict;
    const char* threshold;
  } const cases[] = {
      {"500", "300", Verdict::below, "1000"},
      {"1001", "300", Verdict::reached, "1000"},
      {"1001", "30000", Verdict::below, "10000"},
      {"9000", "30000", Verdict::approaching, "10000"},
      {"10001", "30000", Verdict::reached, "10000"},
  };
  for (const auto& c : cases) {
    const Judgement judgement = judged(policy, c.own, c.parent);
    EXPECT_EQ(name(judgement.verdict), name(c.verdict)) << c.own << " of " << c.parent;
    EXPECT_EQ(judgement.rules[0].threshold.to_decimal(), c.threshold) << c.own;
  }
}

TEST(CumulativeTest, AParentsOperationsComeOnTop) {
  const Policy eu = built_in("eu-aia-51");
  EXPECT_EQ(judged(eu, "2e24", "8e24").verdict, Verdict::approaching);  // exactly 10^25
  const Judgement judgement = judged(eu, "2e24", "8000000000000000000000001");
  EXPECT_EQ(judgement.verdict, Verdict::reached);
  EXPECT_EQ(judgement.rules[0].counted.to_decimal(), "10000000000000000000000001");
}

TEST(CumulativeTest, AFineTuneIsJudgedByItsOwnOperations) {
  EXPECT_EQ(judged(built_in("us-ca-sb1047-enrolled"), "1e24", "1e27").verdict, Verdict::below);
}

TEST(CumulativeTest, AParentOfUnknownSizeIsNeverZero) {
  Facts facts = total("1e24");
  facts.parent_unknown = true;
  EXPECT_EQ(judge(built_in("eu-aia-51"), facts).verdict, Verdict::unknown);
  EXPECT_EQ(judge(built_in("us-ca-sb53"), facts).verdict, Verdict::unknown);
  EXPECT_EQ(judge(built_in("us-ca-sb1047-enrolled"), facts).verdict, Verdict::below);
  facts = total("2e25");
  facts.parent_unknown = true;
  EXPECT_EQ(judge(built_in("eu-aia-51"), facts).verdict, Verdict::reached);
}

TEST(CumulativeTest, AParentThatNobodyStatedLeavesTheRunsOwnFigure) {
  EXPECT_EQ(judge(built_in("eu-aia-51"), total("1e15")).verdict, Verdict::below);
}

}  // namespace
}  // namespace account::policy
