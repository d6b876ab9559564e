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
  EXPECT_EQ(built_in_ids(),
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
