// The reader of policy files refuses, by name, whatever could be understood in two ways.
#include "sign/sign.h"
#include "unit/policy/support.h"

namespace account::policy {
namespace {

TEST(ParseTest, ReadsEveryMember) {
  const std::string file = small_file();
  const Policy policy = parsed(file);
  EXPECT_EQ(policy.id, "small");
  EXPECT_EQ(policy.status, "in_force");
  EXPECT_EQ(policy.effective_to, "2026-12-31");
  EXPECT_EQ(policy.sha256, sign::to_hex(sign::sha256(file)));
  ASSERT_EQ(policy.rules.size(), 1u);
  EXPECT_EQ(policy.rules[0].operations, OpCount(1000));
  EXPECT_EQ(policy.rules[0].op, Operator::greater);
  EXPECT_EQ(policy.rules[0].counted.categories,
            (std::vector<Category>{Category::train, Category::generate}));
  ASSERT_EQ(policy.deadlines.size(), 1u);
  EXPECT_EQ(policy.deadlines[0].hours, 72);
}

TEST(ParseTest, RefusesByName) {
  struct {
    const char* from;
    const char* to;
    const char* fault;
  } const cases[] = {
      {R"("notes":)", R"("surprise":1,"notes":)", "'surprise' is unknown"},
      {R"("cumulative":false,)", R"("cumulative":false,"extra":"x",)", "'extra' is unknown"},
      {R"("hours":72)", R"("hours":72,"days":3)", "'days' is unknown"},
      {R"("phases":)", R"("dtypes":[],"phases":)", "'dtypes' is unknown"},
      {R"("cumulative":false,)", "", "'cumulative' is missing"},
      {R"("title":"Small",)", "", "'title' is missing"},
      {R"("title":"Small")", R"("title":"")", "'title' is empty"},
      {R"("operator":">")", R"("operator":"<")", "'operator' is '<'"},
      {R"("operator":">")", R"("operator":"=>")", "'operator' is '=>'"},
      {R"("operations":"1000")", R"("operations":1000)", "'operations' is no string"},
      {R"("operations":"1000")", R"("operations":1.5)", "no whole number"},
      {R"("operations":"1000")", R"("operations":"1e3")", "is no count"},
      {R"("operations":"1000")", R"("operations":"-1")", "is no count"},
      {R"(["train","generate"])", R"(["train","train"])", "holds 'train' twice"},
      {R"(["train","generate"])", R"(["train","dream"])", "no such word 'dream'"},
      {R"(["train","generate"])", R"(["unassigned"])", "always counts"},
      {R"(["train","generate"])", R"([])", "'categories' is empty"},
      {R"(["train","generate"])", R"([1])", "holds what is no string"},
      {R"("forward","backward")", R"("forward","sideways")", "no such word 'sideways'"},
      {R"("status":"in_force")", R"("status":"maybe")", "'status' is 'maybe'"},
      {R"("grade":"memory")", R"("grade":"hearsay")", "'grade' is 'hearsay'"},
      {R"("effective_from":"2026-01-01")", R"("effective_from":"2026-02-30")", "'effective_from'"},
      {R"("effective_from":"2026-01-01")", R"("effective_from":"2026-1-1")", "'effective_from'"},
      {R"("effective_to":"2026-12-31")", R"("effective_to":"2025-12-31")", "before"},
      {R"("id":"small")", R"("id":"../small")", "'id'"},
      {R"("format":"account-policy-1")", R"("format":"account-policy-2")", "account-policy-2"},
      {R"("id":"small")", R"("id":"small","id":"large")", "duplicate key 'id'"},
      {R"("counts")", R"("cost_above_usd":"18446744073709551616","counts")", "'cost_above_usd'"},
      {R"("counts")", R"("cost_above_usd":10,"counts")", "'cost_above_usd' is no string"},
      {R"("counts")", R"("cost_limits":[],"counts")", "needs a 'cost_above_usd'"},
      {R"("counts")", R"("cost_above_usd":"1","cost_limits":[{"from":"2026-01-01"}],"counts")",
       "'above_usd' is missing"},
      {R"("counts")",
       R"("cost_above_usd":"1","cost_limits":[{"from":"2026-1-1","above_usd":"2"}],"counts")",
       "'from'"},
      {R"("counts")",
       R"("cost_above_usd":"1","cost_limits":[{"from":"2026-01-01","above_usd":"2"},)"
       R"({"from":"2026-01-01","above_usd":"3"}],"counts")",
       "does not come after"},
      {R"("counts")", R"("relative":{"numerator":1,"denominator":0,"operator":">"},"counts")",
       "denominator"},
      {R"("counts")", R"("relative":{"numerator":1,"denominator":3,"operator":">","x":1},"counts")",
       "'x' is unknown"},
      {R"("hours":72)", R"("hours":-1)", "'hours' is negative"},
      {R"(["a note"])", R"([7])", "a note is no string"},
  };
  for (const auto& c : cases) {
    const auto policy = parse(replaced(small_file(), c.from, c.to));
    ASSERT_FALSE(policy.ok()) << c.to;
    EXPECT_EQ(policy.status().code(), Code::corrupt) << c.to;
    EXPECT_NE(policy.status().fault().find(c.fault), std::string_view::npos)
        << policy.status().to_string() << " should name " << c.fault;
  }
}

TEST(ParseTest, RefusesTwoRulesOfOneNameAndNoRules) {
  const std::string file = small_file();
  const size_t begin = file.find("{\"name\""), end = file.find("],\"deadlines\"");
  const std::string rule = file.substr(begin, end - begin);
  const auto twice = parse(replaced(file, rule, rule + "," + rule));
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.status().fault().find("two rules are named 'only'"), std::string_view::npos);
  EXPECT_FALSE(parse(replaced(file, rule, "")).ok());
}

TEST(ParseTest, RefusesEveryTruncation) {
  const std::string file = small_file();
  for (size_t length = 0; length < file.size(); ++length) {
    EXPECT_FALSE(parse(std::string_view(file).substr(0, length)).ok()) << length;
  }
}

}  // namespace
}  // namespace account::policy
