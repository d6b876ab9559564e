// `account may-start` says what `account run` would do, and `account order why` what it did: real
// keepers, ledgers and orders, with a command that trains nothing.
#include <filesystem>
#include <fstream>

#include "ledger/ledger.h"
#include "unit/cli/authority_support.h"

namespace account::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using MayStartTest = AuthorityTest;

class Job {
 public:
  Job(std::string run, std::string model, std::string authority)
      : words_{"--run",          std::move(run), "--model",
               std::move(model), "--authority",  std::move(authority)} {}
  std::vector<std::string> start() const { return with("run"); }
  std::vector<std::string> ask() const { return with("may-start"); }

 private:
  std::vector<std::string> with(const std::string& verb) const {
    std::vector<std::string> words = {verb};
    words.insert(words.end(), words_.begin(), words_.end());
    words.insert(words.end(), {"--", "/bin/true", words_[1]});
    return words;
  }
  std::vector<std::string> words_;
};

// As the keeper of another node of the run writes it.
void cross_a_limit(const std::string& run_folder) {
  ledger::WriterOptions options;
  options.run_folder = run_folder;
  options.run_id = std::filesystem::path(run_folder).filename();
  options.node = "1f00ba5e";
  auto writer = ledger::Writer::open(FileSystem::real(), Clock::real(), options);
  ASSERT_THAT(writer, testing::IsOk());
  (*writer)->event("limit", Json::object({{"limit", "own:stop"}, {"reason", "all of it"}}));
  ASSERT_THAT((*writer)->seal(ledger::SealReason::order), testing::IsOk());
}

TEST_F(MayStartTest, ALimitThatWasCrossedForbidsItUntilAcknowledgedAndAStopGoesBefore) {
  make_authority();
  const Job job("r7", "acme/a", authority());
  const std::string run = dir_ / "account/r7";
  cross_a_limit(run);
  const Said held = account(job.ask());
  EXPECT_EQ(held.code, 3) << held.err;
  expect_one_line(held, "own:stop");
  EXPECT_EQ(account(job.start()).code, 3) << "as a start says";

  const std::vector<std::string> acknowledge = {"policy",     "acknowledge", "r7",      "--by",
                                                "A. Officer", "--reason",    "reviewed"};
  const std::string hash = stop("r7");
  EXPECT_EQ(account(job.ask()).code, 86) << "an order goes before it";
  EXPECT_EQ(account(acknowledge).code, 0);
  EXPECT_EQ(account(job.ask()).code, 86) << "and is not lifted by that";
  ASSERT_EQ(lift({hash, "--key", key("ceo"), "--key", key("cto")}).code, 0);
  EXPECT_EQ(account(job.ask()).code, 0);
  EXPECT_EQ(account(acknowledge).code, 0) << "no keeper has written the answer down yet";
}

TEST_F(MayStartTest, NobodyAcknowledgesWhatADamagedLedgerSays) {
  const std::string run = dir_ / "account/r7";
  cross_a_limit(run);
  const std::string path = run + "/node-1f00ba5e/ledger/000001.jsonl";
  std::string bytes = testing::read_file(path);
  bytes[bytes.find("all of it")] = 'A';
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  const Said said = account({"policy", "acknowledge", run, "--by", "x", "--reason", "y"});
  EXPECT_EQ(said.code, 2) << said.err;
  expect_one_line(said, "000001.jsonl");
  EXPECT_FALSE(std::filesystem::exists(run + "/acknowledged"));
}

TEST_F(MayStartTest, SaysTheSameAsAStart) {
  make_authority();
  const Job stopped("r7", "acme/a", authority()), other("r8", "acme/b", authority());
  EXPECT_EQ(account(stopped.ask()).code, 0);
  EXPECT_EQ(account(stopped.start()).code, 0);
  const std::string hash = stop("r7");
  for (const auto& words : {stopped.ask(), stopped.start()}) {
    const Said said = account(words);
    EXPECT_EQ(said.code, 86) << words[0];
    EXPECT_EQ(said.out, "") << words[0];
    EXPECT_THAT(said.err, AllOf(HasSubstr("stop " + hash.substr(0, 16) + " stands"),
                                HasSubstr("evaluation 12 failed"), HasSubstr("account lift")))
        << words[0];
  }
  expect_one_line(account(stopped.ask()), "a stop stands");
  const Said free = account(other.ask());
  EXPECT_EQ(free.code, 0) << free.err;
  EXPECT_EQ(free.out + free.err, "");
  EXPECT_EQ(account(other.start()).code, 0);

  ASSERT_EQ(lift({hash, "--key", key("ceo"), "--key", key("cto")}).code, 0);
  const Said again = account(stopped.ask());
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out + again.err, "");
  EXPECT_EQ(account(stopped.start()).code, 0);

  const Said why = account({"order", "why", "r7", "--json"});
  ASSERT_EQ(why.code, 0) << why.err;
  const Json told = why.json();
  const auto orders = told.get_array("orders");
  ASSERT_THAT(orders, testing::IsOk());
  ASSERT_EQ((*orders)->items().size(), 1u);
  const Json& story = (*orders)->items()[0];
  EXPECT_EQ(story.get_string("order").value(), hash);
  EXPECT_EQ(story.get_integer("starts_refused").value(), 1);
  EXPECT_EQ(story.get_string("refused_because").value(), "job r7");
  EXPECT_EQ((*story.get_array("lifted_by"))->items().size(), 1u);
  EXPECT_THAT(account({"order", "why", "r8"}).out, HasSubstr("no order has stopped or refused"));
}

TEST_F(MayStartTest, WritesNothing) {
  make_authority();
  EXPECT_EQ(account(Job("r7", "acme/a", authority()).ask()).code, 0);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "account"));
  EXPECT_TRUE(files_in("receipts").empty());
}

TEST_F(MayStartTest, AStopOfAModelHoldsEveryRunOfIt) {
  make_authority();
  stop("model:acme/a");
  EXPECT_EQ(account(Job("r1", "acme/a", authority()).ask()).code, 86);
  EXPECT_EQ(account(Job("r2", "acme/a", authority()).start()).code, 86);
  EXPECT_EQ(account(Job("r2", "acme/b", authority()).ask()).code, 0);
}

TEST_F(MayStartTest, AnUnreadableAuthorityIsNoPermission) {
  make_authority();
  std::ofstream(dir_ / "file") << "no folder";
  for (const std::string& path :
       {dir_ / "none", dir_ / "file", authority() + "#" + std::string(64, 'a')}) {
    const Said said = account(Job("r1", "m", path).ask());
    EXPECT_EQ(said.code, 2) << path;
    EXPECT_EQ(said.out, "") << path;
    expect_one_line(said, path);
  }
  std::filesystem::remove_all(authority() + "/orders");
  const Said said = account(Job("r1", "m", authority()).ask());
  EXPECT_EQ(said.code, 2);
  expect_one_line(said, "an authority without its orders");
}

TEST_F(MayStartTest, WithoutAnAuthorityNobodyIsAsked) {
  EXPECT_EQ(account({"may-start"}).code, 0);
  const Said said = account({"may-start", "--run", "a b"});
  EXPECT_EQ(said.code, 1);
  expect_one_line(said, "a run id that is none");
}

// The authority that a run obeys need not be said again.
TEST_F(MayStartTest, AStopFindsTheAuthorityInTheRunsLedger) {
  make_authority();
  ASSERT_EQ(account(Job("r7", "m", authority()).start()).code, 0);
  const Said said = account({"stop", "r7", "--because", "x", "--key", key("officer"), "--no-wait"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(files_in("orders").size(), 1u);
}

TEST_F(MayStartTest, RequireRefusesWhatWouldNotBeCounted) {
  const auto ask = [&](std::vector<std::string> command, const std::string& setting = "") {
    std::vector<std::string> words = {"/usr/bin/env"};
    if (!setting.empty()) words.push_back("ACCOUNT=" + setting);
    words.insert(words.end(), {ACCOUNT_CLI, "may-start", "--require", "--run", "r7"});
    if (!command.empty()) words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return spawn(words);
  };
  for (const auto& command : {std::vector<std::string>{},
                              {"torchrun", "train.py"},
                              {"account", "verify", "r7"},
                              {"account"}}) {
    const Said said = ask(command);
    EXPECT_EQ(said.code, 1) << said.err;
    expect_one_line(said, "not wrapped");
    EXPECT_THAT(said.err, HasSubstr("account run -- COMMAND"));
  }
  EXPECT_EQ(ask({"srun", "/opt/bin/account", "run", "--", "torchrun", "train.py"}).code, 0);
  EXPECT_EQ(ask({"torchrun", "train.py"}, "on").code, 0);
  EXPECT_EQ(ask({"account", "run", "--", "train.py"}, "off").code, 1) << "ACCOUNT=off wins";
}

}  // namespace
}  // namespace account::cli
