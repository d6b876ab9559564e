// The engine against tables of hand-computed verdicts and margins.
#include "unit/policy/support.h"

namespace account::policy {
namespace {

constexpr std::string_view kSb1047 = "us-ca-sb1047-enrolled";

struct Case {
  const char* operations;
  std::optional<uint64_t> cost_usd;
  Verdict verdict;
  const char* margin;
  bool over;
};

std::string shown(const Case& c) {
  return std::string(c.operations) + " operations, cost " +
         (c.cost_usd ? std::to_string(*c.cost_usd) : "not stated");
}

// Margins by hand: fine-tune is reached first at 3 x 10^25, model at 10^26 + 1.
TEST(JudgeTest, FineTuneRuleAroundItsThreshold) {
  const Policy policy = built_in(kSb1047);
  const Case cases[] = {
      {"0", 10'000'001, Verdict::below, "30000000000000000000000000", false},
      {"1e15", std::nullopt, Verdict::below, "29999999999000000000000000", false},
      {"23999999999999999999999999", 10'000'001, Verdict::below, "6000000000000000000000001",
       false},
      {"24000000000000000000000000", 10'000'001, Verdict::approaching, "6000000000000000000000000",
       false},
      {"29999999999999999999999999", 10'000'001, Verdict::approaching, "1", false},
      {"29999999999999999999999999", std::nullopt, Verdict::approaching, "1", false},
      {"29999999999999999999999999", 10'000'000, Verdict::below, "1", false},
      {"3e25", 9'999'999, Verdict::below, "0", true},
      {"3e25", 10'000'000, Verdict::below, "0", true},
      {"3e25", 10'000'001, Verdict::reached, "0", true},
      {"3e25", std::nullopt, Verdict::unknown, "0", true},
      {"30000000000000000000000001", 10'000'001, Verdict::reached, "1", true},
      {"30000000000000000000000001", std::nullopt, Verdict::unknown, "1", true},
  };
  for (const Case& c : cases) {
    Facts facts = total(c.operations, "2025-06-01");
    facts.cost_usd = c.cost_usd;
    const RuleJudgement rule = judge(policy, facts).rules[0];
    EXPECT_EQ(rule.rule, "fine-tune");
    EXPECT_EQ(name(rule.verdict), name(c.verdict)) << shown(c);
    EXPECT_EQ(rule.margin.to_decimal(), c.margin) << shown(c);
    EXPECT_EQ(rule.over, c.over) << shown(c);
  }
}

TEST(JudgeTest, ModelRuleAroundItsThreshold) {
  const Policy policy = built_in(kSb1047);
  const Case cases[] = {
      {"3e25", 100'000'001, Verdict::below, "70000000000000000000000001", false},
      {"8e25", 100'000'001, Verdict::approaching, "20000000000000000000000001", false},
      {"1e26", 100'000'001, Verdict::approaching, "1", false},
      {"100000000000000000000000001", 100'000'001, Verdict::reached, "0", true},
      {"100000000000000000000000001", 100'000'000, Verdict::below, "0", true},
      {"100000000000000000000000001", std::nullopt, Verdict::unknown, "0", true},
      {"100000000000000000000000003", 100'000'001, Verdict::reached, "2", true},
  };
  for (const Case& c : cases) {
    Facts facts = total(c.operations, "2025-06-01");
    facts.cost_usd = c.cost_usd;
    const RuleJudgement rule = judge(policy, facts).rules[1];
    EXPECT_EQ(rule.rule, "model");
    EXPECT_EQ(name(rule.verdict), name(c.verdict)) << shown(c);
    EXPECT_EQ(rule.margin.to_decimal(), c.margin) << shown(c);
    EXPECT_EQ(rule.over, c.over) << shown(c);
  }
}

TEST(JudgeTest, ThePolicysVerdictIsThatOfItsGravestRule) {
  const Policy policy = built_in(kSb1047);
  struct {
    const char* operations;
    std::optional<uint64_t> cost;
    Verdict verdict;
    const char* rule;
  } const cases[] = {
      {"1e15", std::nullopt, Verdict::below, "fine-tune"},
      {"3e25", 20'000'000, Verdict::reached, "fine-tune"},
      {"5e25", 5'000'000, Verdict::below, "fine-tune"},
      {"9e25", 5'000'000, Verdict::below, "fine-tune"},
      // Fine-tune: reached. Model: unknown is not possible with a cost; approaching.
      {"9e25", 200'000'000, Verdict::reached, "fine-tune"},
      {"9e25", std::nullopt, Verdict::unknown, "fine-tune"},
      {"2e26", 200'000'000, Verdict::reached, "fine-tune"},
      {"2e26", 50'000'000, Verdict::reached, "fine-tune"},
  };
  for (const auto& c : cases) {
    Facts facts = total(c.operations, "2025-06-01");
    facts.cost_usd = c.cost;
    const Judgement judgement = judge(policy, facts);
    EXPECT_EQ(name(judgement.verdict), name(c.verdict)) << c.operations;
    EXPECT_EQ(judgement.rules[judgement.deciding_rule].rule, c.rule) << c.operations;
  }
}

TEST(JudgeTest, DatesOpenAndCloseAPolicy) {
  struct {
    const char* policy;
    const char* date;
    Verdict verdict;
  } const cases[] = {
      {"eu-aia-51", "2025-08-01", Verdict::not_applicable},
      {"eu-aia-51", "2025-08-02", Verdict::reached},
      {"us-ca-sb53", "2025-12-31", Verdict::not_applicable},
      {"us-ca-sb53", "2026-01-01", Verdict::reached},
      {"us-ca-sb1047-enrolled", "2024-12-31", Verdict::not_applicable},
      {"us-ca-sb1047-enrolled", "2025-01-01", Verdict::reached},
  };
  for (const auto& c : cases) {
    Facts facts = total("2e26", c.date);
    facts.cost_usd = 1'000'000'000;
    EXPECT_EQ(name(judge(built_in(c.policy), facts).verdict), name(c.verdict))
        << c.policy << " on " << c.date;
  }
}

TEST(JudgeTest, LastDayIsInTheWindow) {
  const Policy policy = parsed(small_file());
  EXPECT_EQ(judge(policy, total("1001", "2026-12-31")).verdict, Verdict::reached);
  EXPECT_EQ(judge(policy, total("1001", "2027-01-01")).verdict, Verdict::not_applicable);
}

TEST(JudgeTest, ADateThatIsNoneIsUnknownUnlessTheOperationsDecide) {
  const Policy policy = parsed(small_file());
  EXPECT_EQ(judge(policy, total("10", "2026-02-30")).verdict, Verdict::below);
  EXPECT_EQ(judge(policy, total("1001", "")).verdict, Verdict::unknown);
}

TEST(JudgeTest, WhetherItAppliesMattersOnlyAboveBelow) {
  const Policy policy = parsed(small_file());
  struct {
    Truth applies;
    const char* operations;
    Verdict verdict;
    size_t remarks;
  } const cases[] = {
      {Truth::yes, "1000", Verdict::approaching, 0},
      {Truth::yes, "1001", Verdict::reached, 0},
      {Truth::no, "1", Verdict::not_applicable, 0},
      {Truth::no, "1001", Verdict::not_applicable, 0},
      {Truth::unknown, "1", Verdict::below, 0},
      {Truth::unknown, "1001", Verdict::reached, 1},
      {Truth::unknown, "999", Verdict::approaching, 1},
  };
  for (const auto& c : cases) {
    Facts facts = total(c.operations);
    facts.applies = c.applies;
    const Judgement judgement = judge(policy, facts);
    EXPECT_EQ(name(judgement.verdict), name(c.verdict)) << c.operations;
    EXPECT_EQ(judgement.remarks.size(), c.remarks) << c.operations;
  }
}

TEST(JudgeTest, EuThresholdIsStrict) {
  const Policy policy = built_in("eu-aia-51");
  EXPECT_EQ(judge(policy, total("7999999999999999999999999")).verdict, Verdict::below);
  EXPECT_EQ(judge(policy, total("8e24")).verdict, Verdict::approaching);
  const Judgement at = judge(policy, total("1e25"));
  EXPECT_EQ(at.verdict, Verdict::approaching);
  EXPECT_EQ(at.rules[0].margin, OpCount(1));
  const Judgement beyond = judge(policy, total("10000000000000000000000001"));
  EXPECT_EQ(beyond.verdict, Verdict::reached);
  EXPECT_EQ(beyond.rules[0].margin, OpCount(0));
}

TEST(JudgeTest, OnlyTheCategoriesAndPhasesOfTheRuleCount) {
  Facts facts;
  facts.date = "2026-06-01";
  uint64_t unit = 1;  // each pair has a digit of its own
  for (int category = 0; category < kCategoryCount; ++category) {
    for (int phase = 0; phase < kPhaseCount; ++phase) {
      if (phase == 1) continue;  // backward: tested by the others
      facts.operations[{static_cast<Category>(category), static_cast<Phase>(phase)}] = unit;
      unit *= 10;
    }
  }
  // Digits from the right, three a category (forward, recompute, optimizer): unassigned, train,
  // evaluate, generate, rollout, auxiliary.
  EXPECT_EQ(judge(built_in("eu-aia-51"), facts).rules[0].counted.to_decimal(), "101101000101101");
  EXPECT_EQ(judge(built_in("us-ca-sb53"), facts).rules[0].counted.to_decimal(),
            "111111111000111111");
  EXPECT_EQ(judge(built_in("us-ca-sb1047-enrolled"), facts).rules[0].counted.to_decimal(),
            "111111111111111111");
  EXPECT_EQ(judge(parsed(small_file()), facts).rules[0].counted.to_decimal(), "101000101101");
}

TEST(JudgeTest, ABoundThatCouldCrossMakesOperationsUnknown) {
  const Policy policy = parsed(small_file());
  Facts facts = total("900");
  facts.gap_bound = 100;  // 1000 at most: not crossed
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::approaching);
  facts.gap_bound = 101;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::unknown);
  EXPECT_EQ(judge(policy, facts).rules[0].upper, OpCount(1001));
  facts = total("1001");
  facts.gap_bound = OpCount::max();
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::reached);
}

TEST(JudgeTest, ABoundThatCouldCrossDoesNotMatterWhereTheCostDecides) {
  Facts facts = total("29999999999999999999999999");
  facts.gap_bound = 1;
  facts.cost_usd = 10'000'000;
  EXPECT_EQ(judge(built_in(kSb1047), facts).verdict, Verdict::below);
}

TEST(JudgeTest, AProjectionThatCrossesIsApproaching) {
  const Policy policy = parsed(small_file());
  Facts facts = total("10");
  facts.projected = 1000;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::below);
  facts.projected = 1001;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::approaching);
}

TEST(JudgeTest, TheWarningLevelIsExact) {
  const Policy policy = parsed(small_file());
  const auto verdict_at = [&](const char* operations, double level) {
    Facts facts = total(operations);
    facts.warning_level = level;
    return judge(policy, facts).verdict;
  };
  EXPECT_EQ(verdict_at("799", 0.8), Verdict::below);
  EXPECT_EQ(verdict_at("800", 0.8), Verdict::approaching);
  EXPECT_EQ(verdict_at("100", 0.1), Verdict::approaching);
  EXPECT_EQ(verdict_at("99", 0.1), Verdict::below);
  EXPECT_EQ(verdict_at("999", 1.0), Verdict::below);
  EXPECT_EQ(verdict_at("1000", 1.0), Verdict::approaching);
  EXPECT_EQ(verdict_at("1000", std::numeric_limits<double>::quiet_NaN()), Verdict::below);
}

TEST(JudgeTest, SumsBeyond128BitsStayAtTheLargest) {
  Facts facts = total("1");
  facts.operations[{Category::train, Phase::forward}] = OpCount::max();
  facts.gap_bound = OpCount::max();
  const Judgement judgement = judge(parsed(small_file()), facts);
  EXPECT_EQ(judgement.verdict, Verdict::reached);
  EXPECT_EQ(judgement.rules[0].counted, OpCount::max());
}

TEST(JudgeTest, AVetoedPolicySaysSo) {
  const Judgement judgement = judge(built_in(kSb1047), total("1"));
  ASSERT_EQ(judgement.remarks.size(), 1u);
  EXPECT_NE(judgement.remarks[0].find("never was law"), std::string::npos);
}

TEST(JudgeTest, ExitCodesTellTheVerdict) {
  EXPECT_EQ(exit_code(Verdict::not_applicable), 0);
  EXPECT_EQ(exit_code(Verdict::below), 0);
  EXPECT_EQ(exit_code(Verdict::approaching), 0);
  EXPECT_EQ(exit_code(Verdict::reached), 3);
  EXPECT_EQ(exit_code(Verdict::unknown), 5);
}

TEST(JudgeTest, JsonKeepsOperationsAsDecimalStrings) {
  const Json json = to_json(judge(built_in("eu-aia-51"), total("1e25")));
  const auto text = Json::parse(json.dump(), 1 << 20);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text->get_string("verdict"), "approaching");
  EXPECT_EQ(*text->get_string("margin"), "1");
  EXPECT_EQ(*text->get_string("threshold"), "10000000000000000000000000");
  EXPECT_EQ((*text->get_array("rules"))->items().size(), 1u);
}

TEST(JudgeTest, ThresholdsReadAsPeopleWriteThem) {
  EXPECT_EQ(exact_text(ops("3e25")), "3e25");
  EXPECT_EQ(exact_text(ops("1.5e9")), "1.5e9");
  EXPECT_EQ(exact_text(OpCount(1000)), "1000");
  EXPECT_EQ(exact_text(OpCount(0)), "0");
  EXPECT_EQ(exact_text(ops("29999999999999999999999999")), "29999999999999999999999999");
}

}  // namespace
}  // namespace account::policy
