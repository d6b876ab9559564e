// `account policy` from outside: verdicts, margins, exit codes.
#include "unit/cli/support.h"

namespace account::cli {
namespace {

using ::testing::HasSubstr;
using PolicyTest = CliTest;

TEST_F(PolicyTest, ExitCodesAndMarginsFollowTheVerdict) {
  const struct {
    std::vector<std::string> words;
    int code;
    const char* verdict;
    const char* margin;
  } cases[] = {
      {{"us-ca-sb1047-enrolled", "--operations", "29999999999999999999999999", "--cost", "2e7"},
       0,
       "approaching",
       "1"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25", "--cost", "2e7"}, 3, "reached", "0"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25", "--cost", "10000000"}, 0, "below", "0"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25", "--cost", "10000000.01", "--date",
        "2025-12-31"},
       3,
       "reached",
       "0"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25"}, 5, "unknown", "0"},
      {{"us-ca-sb1047-enrolled", "--operations", "1e15"}, 0, "below", "29999999999000000000000000"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25", "--cost", "2e7", "--applies", "no"},
       0,
       "not_applicable",
       "0"},
      {{"us-ca-sb1047-enrolled", "--operations", "3e25", "--cost", "2e7", "--date", "2024-12-31"},
       0,
       "not_applicable",
       "0"},
      {{"eu-aia-51", "--operations", "1e25", "--date", "2025-08-02"}, 0, "approaching", "1"},
      {{"eu-aia-51", "--operations", "10000000000000000000000001", "--date", "2025-08-02"},
       3,
       "reached",
       "0"},
      {{"eu-aia-51", "--operations", "1e24", "--parent-operations", "unknown"},
       5,
       "unknown",
       "9000000000000000000000001"},
      {{"eu-aia-51", "--operations", "1e24", "--parent-operations", "1e25"},
       3,
       "reached",
       "999999999999999999999999"},
      {{"eu-aia-51", "--operations", "1e24", "--projected", "2e25"},
       0,
       "approaching",
       "9000000000000000000000001"},
      {{"us-ca-sb53", "--operations", "1e27", "--date", "2025-12-31"},
       0,
       "not_applicable",
       "899999999999999999999999999"},
      {{"us-ca-sb53", "--operations", "1e27", "--date", "2026-01-01"},
       3,
       "reached",
       "899999999999999999999999999"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> words = {"policy", "judge", "--json"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Said said = account(words);
    const std::string what = ::testing::PrintToString(c.words);
    EXPECT_EQ(said.code, c.code) << what;
    EXPECT_EQ(said.text("verdict"), c.verdict) << what;
    EXPECT_EQ(said.text("margin"), c.margin) << what;
    EXPECT_EQ(said.err, "") << what;
  }
}

TEST_F(PolicyTest, RefusesWhatIsNoFact) {
  const struct {
    std::vector<std::string> words;
    const char* says;
  } cases[] = {
      {{"--operations", "banana"}, "'banana' is no number"},
      {{"--operations", ""}, "'' is no number"},
      {{"--operations", "-5"}, "'-5' is no number"},
      {{"--operations", "1.5"}, "is not whole"},
      {{"--operations", "1e39"}, "does not fit"},
      {{"--operations", "nan"}, "is no number"},
      {{"--operations", "1", "--cost", "cheap"}, "--cost: 'cheap' is no amount"},
      {{"--operations", "1", "--cost", ""}, "--cost"},
      {{"--operations", "1", "--cost", "-1"}, "--cost"},
      {{"--operations", "1", "--cost", "1e30"}, "--cost"},
      {{"--operations", "1", "--cost", "1.001"}, "--cost"},
      {{"--operations", "1", "--date", "2026-02-30"}, "--date: '2026-02-30' is no date"},
      {{"--operations", "1", "--date", "tomorrow"}, "--date"},
      {{"--operations", "1", "--date", ""}, "--date"},
      {{"--operations", "1", "--applies", "maybe"}, "--applies: 'maybe'"},
      {{"--operations", "1", "--parent-operations", "some"}, "--parent-operations"},
      {{"--operations", "1", "--projected", "lots"}, "--projected"},
  };
  for (const auto& c : cases) {
    std::vector<std::string> words = {"policy", "judge", "eu-aia-51"};
    words.insert(words.end(), c.words.begin(), c.words.end());
    const Said said = account(words);
    EXPECT_EQ(said.code, 1) << c.says;
    EXPECT_EQ(said.out, "") << c.says;
    expect_one_line(said, c.says);
    EXPECT_THAT(said.err, HasSubstr(c.says));
  }
}

TEST_F(PolicyTest, JudgesByAFileAndNamesItsFaults) {
  const std::string path = dir_ / "own.json";
  const Said shown = account({"policy", "show", "eu-aia-51", "--json"});
  ASSERT_EQ(shown.code, 0);
  std::ofstream(path) << shown.out;
  EXPECT_EQ(account({"policy", "judge", path, "--operations", "2e25"}).code, 3);
  std::ofstream(path) << "{\"format\":";
  const Said broken = account({"policy", "judge", path, "--operations", "2e25"});
  EXPECT_EQ(broken.code, 2);
  EXPECT_THAT(broken.err, HasSubstr(path));
  expect_one_line(broken, path);
}

TEST_F(PolicyTest, ListsWhatIsBuiltIn) {
  const Said said = account({"policy", "list", "--json"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(said.json().items().size(), 14u);
  EXPECT_THAT(account({"policy", "list"}).out, HasSubstr("us-ca-sb1047-enrolled"));
}

TEST_F(PolicyTest, LintSaysWhatIsWrongAndWhatIsOdd) {
  const std::string path = dir_ / "limit.json";
  const Said shown = account({"policy", "show", "us-eo14110", "--json"});
  std::ofstream(path) << shown.out;
  const Said odd = account({"policy", "lint", path});
  EXPECT_EQ(odd.code, 0);
  EXPECT_THAT(odd.out, HasSubstr("same id and says something else"));  // other bytes
  std::string recalled = shown.out;
  recalled.replace(recalled.find("\"secondary\""), 11, "\"memory\"");
  std::ofstream(path) << recalled;
  EXPECT_THAT(account({"policy", "lint", path}).out, HasSubstr("from memory"));
  EXPECT_THAT(account({"policy", "lint", "us-ca-sb1047-2024-06-05"}).out,
              HasSubstr("rule fine-tune: without the parent's operations"));
  EXPECT_EQ(account({"policy", "lint", "eu-aia-51"}).out.find("remark"), std::string::npos);
  std::ofstream(path) << "{}";
  const Said broken = account({"policy", "lint", path});
  EXPECT_EQ(broken.code, 2);
  EXPECT_THAT(broken.err, HasSubstr(path));
  expect_one_line(broken, path);
  EXPECT_EQ(account({"policy", "lint", "us-ca-sb53", "--json"}).text("id"), "us-ca-sb53");
}

}  // namespace
}  // namespace account::cli
