// The policies that ship: the bytes are those of policy/data, and they say what the law says.
#include <fstream>
#include <iterator>

#include "unit/policy/support.h"

namespace account::policy {
namespace {

TEST(BuiltInTest, HoldsTheExactBytesOfTheDataFiles) {
  for (const std::string& id : built_in_ids()) {
    const std::string path =
        std::string(ACCOUNT_TESTS_DIR) + "/../libaccount/policy/data/" + id + ".json";
    std::ifstream file(path, std::ios::binary);
    ASSERT_TRUE(file) << path;
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(built_in_bytes(id), bytes) << id;
  }
}

TEST(BuiltInTest, EachLoadsUnderItsOwnId) {
  EXPECT_EQ(built_in_ids().size(), 14u);
  EXPECT_EQ(default_ids(),
            (std::vector<std::string>{"us-ca-sb1047-enrolled", "eu-aia-51", "us-ca-sb53"}));
  for (const std::string& id : built_in_ids()) EXPECT_EQ(built_in(id).id, id);
}

TEST(BuiltInTest, SaysWhatTheLawSays) {
  const Policy sb1047 = built_in("us-ca-sb1047-enrolled");
  EXPECT_EQ(sb1047.status, "vetoed");
  ASSERT_EQ(sb1047.rules.size(), 2u);
  EXPECT_EQ(sb1047.rules[0].op, Operator::greater_or_equal);
  EXPECT_EQ(sb1047.rules[0].operations, ops("3e25"));
  EXPECT_EQ(sb1047.rules[0].cost_above_usd, 10'000'000u);
  EXPECT_EQ(sb1047.rules[1].op, Operator::greater);
  EXPECT_EQ(sb1047.rules[1].operations, ops("1e26"));
  EXPECT_EQ(sb1047.rules[1].cost_above_usd, 100'000'000u);

  const Policy eu = built_in("eu-aia-51");
  EXPECT_EQ(eu.status, "in_force");
  EXPECT_EQ(eu.effective_from, "2025-08-02");
  EXPECT_EQ(eu.rules[0].operations, ops("1e25"));
  EXPECT_EQ(eu.rules[0].cost_above_usd, std::nullopt);

  const Policy sb53 = built_in("us-ca-sb53");
  EXPECT_EQ(sb53.effective_from, "2026-01-01");
  EXPECT_EQ(sb53.rules[0].operations, ops("1e26"));
  EXPECT_EQ(sb53.rules[0].cost_above_usd, std::nullopt);
}

TEST(BuiltInTest, TheOtherRegimes) {
  struct {
    const char *id, *from, *last_below, *reached, *date;
  } const cases[] = {
      {"us-ca-sb1047-2024-06-18", "2025-01-01", "29999999999999999999999999", "3e25", "2026-06-01"},
      {"us-eo14110", "2023-10-30", "1e26", "100000000000000000000000001", "2024-06-01"},
      {"us-eo14110-biological", "2023-10-30", "1e23", "100000000000000000000001", "2024-06-01"},
      {"us-bis-4e091", "2025-01-13", "99999999999999999999999999", "1e26", "2026-06-01"},
      {"eu-gpai-indicative", "2025-08-02", "1e23", "100000000000000000000001", "2026-06-01"},
      {"us-ny-raise-2026", "2027-01-01", "1e26", "100000000000000000000000001", "2027-01-01"},
      {"us-il-sb315", "2027-01-01", "1e26", "100000000000000000000000001", "2027-01-01"},
      {"us-ct-sb5", "2026-10-01", "1e26", "100000000000000000000000001", "2026-10-01"},
      {"kr-aibasic", "2026-01-22", "99999999999999999999999999", "1e26", "2026-06-01"},
  };
  for (const auto& one : cases) {
    const Policy policy = built_in(one.id);
    EXPECT_EQ(policy.effective_from, one.from) << one.id;
    EXPECT_EQ(judge(policy, total(one.last_below, one.date)).verdict, Verdict::approaching)
        << one.id;
    EXPECT_EQ(judge(policy, total(one.reached, one.date)).verdict, Verdict::reached) << one.id;
    EXPECT_EQ(judge(policy, total(one.reached, "2023-01-01")).verdict, Verdict::not_applicable)
        << one.id;
  }
  EXPECT_EQ(judge(built_in("us-eo14110"), total("1e27", "2025-01-21")).verdict,
            Verdict::not_applicable);  // rescinded the day before
}

TEST(BuiltInTest, AThirdOfTheOriginalToTheLastOperation) {
  const Policy policy = built_in("eu-gpai-mod");
  const auto with_parent = [&](const char* operations, const char* parent) {
    Facts facts = total(operations);
    if (parent != nullptr) facts.parent_operations = ops(parent);
    facts.parent_unknown = parent == nullptr;
    return judge(policy, facts);
  };
  EXPECT_EQ(with_parent("1e24", "3e24").verdict, Verdict::approaching);
  EXPECT_EQ(with_parent("1000000000000000000000001", "3e24").verdict, Verdict::reached);
  // Unknown: a third of 10^23, and of 10^25 for an original with systemic risk.
  EXPECT_EQ(with_parent("33333333333333333333333", nullptr).verdict, Verdict::approaching);
  const Judgement modified = with_parent("33333333333333333333334", nullptr);
  EXPECT_EQ(modified.rules[0].verdict, Verdict::reached);
  EXPECT_EQ(modified.rules[1].verdict, Verdict::below);
  EXPECT_EQ(with_parent("3333333333333333333333334", nullptr).rules[1].verdict, Verdict::reached);
  EXPECT_EQ(with_parent("0", nullptr).verdict, Verdict::below);
}

TEST(BuiltInTest, AQuarterOfTheOriginalAndNoSubstitute) {
  const Policy policy = built_in("us-ca-sb1047-2024-06-05");
  Facts facts = total("250000000000000000000001");
  facts.parent_operations = ops("1e24");
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::reached);
  facts = total("2.5e23");
  facts.parent_operations = ops("1e24");
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::approaching);
  facts.parent_operations.reset();
  facts.parent_unknown = true;
  EXPECT_EQ(judge(policy, facts).verdict, Verdict::unknown);
}

TEST(BuiltInTest, DollarsAreThoseOfTheDate) {
  const Policy policy = built_in("us-ca-sb1047-enrolled");
  const auto at = [&](const char* operations, uint64_t cost, const char* date) {
    Facts facts = total(operations, date);
    facts.cost_usd = cost;
    return judge(policy, facts).verdict;
  };
  EXPECT_EQ(at("3e25", 10'000'000, "2025-12-31"), Verdict::below);
  EXPECT_EQ(at("3e25", 10'000'001, "2025-12-31"), Verdict::reached);
  EXPECT_EQ(at("3e25", 10'320'000, "2026-01-01"), Verdict::below);
  EXPECT_EQ(at("3e25", 10'320'001, "2026-01-01"), Verdict::reached);
  const auto model_rule = [&](const char* operations, uint64_t cost) {
    Facts facts = total(operations, "2026-06-01");
    facts.cost_usd = cost;
    return judge(policy, facts).rules[1].verdict;
  };
  EXPECT_EQ(model_rule("1e26", 103'200'001), Verdict::approaching);
  EXPECT_EQ(model_rule("100000000000000000000000001", 103'200'001), Verdict::reached);
  EXPECT_EQ(model_rule("100000000000000000000000001", 103'200'000), Verdict::below);
  EXPECT_EQ(cost_limit_on(policy.rules[0], ""), 10'000'000u);
}

TEST(LoadTest, AnUnknownPolicyIsNotFoundAndTheKnownOnesAreNamed) {
  const auto policy = load("us-ca-sb9999");
  ASSERT_FALSE(policy.ok());
  EXPECT_EQ(policy.status().code(), Code::not_found);
  EXPECT_NE(policy.status().next_step().find("eu-aia-51"), std::string_view::npos);
}

TEST(LoadTest, ReadsAFileAndNamesItInFaults) {
  const std::string path = testing::TempDir() + "account_policy_test.json";
  std::ofstream(path, std::ios::binary) << small_file();
  ASSERT_TRUE(load(path).ok());
  EXPECT_EQ(load(path)->id, "small");
  std::ofstream(path, std::ios::binary) << "{}";
  const auto broken = load(path);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.status().fault().find(path), std::string_view::npos);
}

}  // namespace
}  // namespace account::policy
