// Words that cannot be used: one line on stderr, nothing on stdout, exit code 1.
#include "unit/cli/support.h"

namespace account::cli {
namespace {

using ::testing::HasSubstr;
using UsageTest = CliTest;

TEST_F(UsageTest, EveryVerbHasHelpWithAnExample) {
  const std::vector<std::vector<std::string>> verbs = {
      {"run"},
      {"status"},
      {"may-start"},
      {"stop"},
      {"lift"},
      {"lease"},
      {"lease", "renew"},
      {"lease", "show"},
      {"order"},
      {"order", "show"},
      {"order", "why"},
      {"order", "sign"},
      {"order", "send"},
      {"root"},
      {"root", "new"},
      {"root", "next"},
      {"root", "sign"},
      {"root", "show"},
      {"verify"},
      {"prove"},
      {"sign"},
      {"key"},
      {"key", "new"},
      {"key", "show"},
      {"policy"},
      {"policy", "judge"},
      {"policy", "list"},
      {"policy", "show"},
      {"keeper"},
  };
  for (std::vector<std::string> words : verbs) {
    words.push_back("--help");
    const Said said = account(words);
    EXPECT_EQ(said.code, 0) << words[0];
    EXPECT_THAT(said.out, HasSubstr("Example")) << words[0];
    EXPECT_THAT(said.out, HasSubstr("account " + words[0])) << words[0];
    EXPECT_EQ(said.err, "") << words[0];
  }
}

TEST_F(UsageTest, ListsItsVerbsAndItsVersion) {
  const Said help = account({"--help"});
  EXPECT_EQ(help.code, 0);
  EXPECT_THAT(help.out, HasSubstr("verify"));
  EXPECT_THAT(help.out, HasSubstr("Exit codes"));
  const Said version = account({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(version.out.starts_with("account ")) << version.out;
}

TEST_F(UsageTest, RefusesInOneLine) {
  const struct {
    std::vector<std::string> words;
    const char* says;
  } cases[] = {
      {{}, "a verb is missing"},
      {{"polcy"}, "did you mean 'account policy'?"},
      {{"verfy", "x"}, "did you mean 'account verify'?"},
      {{"frobnicate"}, "there is no verb 'frobnicate'; `account --help` lists all"},
      {{"policy"}, "a verb is missing"},
      {{"policy", "juge"}, "did you mean 'account policy judge'?"},
      {{"--frobnicate"}, "there is no option '--frobnicate'"},
      {{"verify"}, "PATH is required"},
      {{"verify", "a", "b"}, "not expected: b"},
      {{"verify", "a", "--frobnicate"}, "not expected: --frobnicate"},
      {{"run", "python", "train.py"}, "the command has no -- before it"},
      {{"run", "--frobnicate", "--", "true"}, "not expected: --frobnicate"},
      {{"sign", "a"}, "--key is required"},
      {{"prove", "a"}, "nothing to prove"},
      {{"policy", "judge", "eu-aia-51"}, "--operations is required"},
      {{"policy", "judge", "eu-aia-51", "--operations"}, "--operations"},
      {{"policy", "judge", "eu-aia-51", "--operations", "1", "--operations", "2"},
       "more than once"},
      {{"policy", "judge", "no-such", "--operations", "1"}, "'no-such' is no policy"},
      {{"policy", "show", "no-such"}, "'no-such' is no policy"},
      {{"prove", "a", "--policy", "no-such"}, "'no-such' is no policy"},
      {{"prove", "a", "--policy", ""}, "'' is no policy"},
      {{"prove", "a", "--below", "many"}, "'many' is no number"},
      {{"verify", "no-such-run"}, "there is no such run"},
      {{"verify", "line\nfeed"}, "line\\x0afeed"},
      {{"status", "no-such-run"}, "there is no run"},
      {{"key", "show", "no-such.key"}, "no-such.key"},
  };
  for (const auto& c : cases) {
    const Said said = account(c.words);
    EXPECT_EQ(said.code, 1) << c.says;
    EXPECT_EQ(said.out, "") << c.says;
    expect_one_line(said, c.says);
    EXPECT_THAT(said.err, HasSubstr(c.says));
  }
}

TEST_F(UsageTest, AnAnswerThatCannotBeWrittenIsAFailure) {
  const Said said = spawn({"/bin/sh", "-c", "'" ACCOUNT_CLI "' policy list > /dev/full"});
  EXPECT_EQ(said.code, 1);
  expect_one_line(said, "/dev/full");
}

}  // namespace
}  // namespace account::cli
