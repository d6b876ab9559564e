// The verbs of the stop against a job that really runs: what an officer types, and what comes back.
#include <gmock/gmock.h>

#include "base/json.h"
#include "e2e/cpp/support.h"

namespace account::e2e {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class OfficerTest : public EndToEnd {
 protected:
  void SetUp() override {
    for (const char* holder : {"officer", "ceo", "cto"}) {
      ASSERT_EQ(account({"key", "new", holder, "--dir", folder_}).code, 0);
    }
    ASSERT_EQ(
        account({"root", "new", authority_, "--name", "acme", "--stop", pub("officer"), "--lift",
                 pub("ceo"), "--lift", pub("cto"), "--root", pub("ceo"), "--sign", key("ceo")})
            .code,
        0);
  }

  struct Said {
    int code;
    std::string out, err;
  };
  Said account(std::vector<std::string> words) {
    words.insert(words.begin(), ACCOUNT_BINARY);
    Process process(std::move(words), {{"ACCOUNT_DIR", dir_}, {"ACCOUNT_AUTHORITY", "-"}},
                    folder_ + "/said-" + std::to_string(++calls_));
    const int code = process.wait();
    return {code, process.out(), process.err()};
  }
  std::string key(const std::string& holder) const { return folder_ + "/" + holder + ".key"; }
  std::string pub(const std::string& holder) const { return folder_ + "/" + holder + ".pub"; }

  // Two ranks that wait for each other in each step.
  Process job(const std::string& run, const std::string& pace) {
    std::string script;
    for (const char* rank : {"0", "1"}) {
      script += std::string("RANK=") + rank + " LOCAL_RANK=" + rank +
                " LOCAL_WORLD_SIZE=2 WORLD_SIZE=2 " + RANK_PROGRAM + " " + folder_ + "/log-" + run +
                rank + " " + pace + " calls=5 couple=" + folder_ + "/couple-" + run + " & ";
    }
    script += "wait; exit 0";
    auto environment = base_environment();
    environment["ACCOUNT_RUN"] = run;
    return Process({ACCOUNT_BINARY, "run", "--authority", authority_, "--model", "acme/" + run,
                    "--", "/bin/sh", "-c", script},
                   environment, folder_ + "/run-" + std::to_string(++calls_));
  }
  static bool trains(const std::string& run) {
    return eventually(
        [&] {
          for (const auto& live : keeper::live_runs(FileSystem::real())) {
            if (live.run == run && live.ranks.size() == 2 && live.steps > 3) return true;
          }
          return false;
        },
        seconds(15));
  }

  static constexpr const char* kLong = "steps=2000 seconds=40";
  static constexpr const char* kShort = "steps=3";
  const std::string authority_ = folder_ + "/authority";

 private:
  int calls_ = 0;
};

TEST_F(OfficerTest, StopsAJobByItsFolderReadsWhyAndLetsItGoOn) {
  Process running = job("officer-a", kLong);
  ASSERT_TRUE(trains("officer-a"));
  const std::string folder = dir_ + "/officer-a";
  const Said stopped = account({"stop", folder, "--because", "evaluation 12 failed", "--ordered-by",
                                "the officer", "--key", key("officer")});
  EXPECT_EQ(stopped.code, 0) << stopped.err;
  EXPECT_THAT(stopped.out, AllOf(HasSubstr("rank 0: "), HasSubstr("rank 1: "),
                                 HasSubstr("(agreed); run officer-a"), HasSubstr("all are quiet")));
  EXPECT_EQ(running.wait(), 86) << running.err();

  const Said why = account({"order", "why", folder});
  EXPECT_EQ(why.code, 0) << why.err;
  EXPECT_THAT(why.out, AllOf(HasSubstr("by the officer: evaluation 12 failed"),
                             HasSubstr("(agreed): rank 0"), HasSubstr("accepted no lift")));
  EXPECT_EQ(job("officer-a", kShort).wait(), 86);

  const std::string hash = stopped.out.substr(stopped.out.find("order ") + 6, 16);
  const Said dossier = account({"order", "dossier", hash, "--authority", authority_});
  EXPECT_EQ(dossier.code, 0) << dossier.err;
  EXPECT_THAT(dossier.out, AllOf(HasSubstr("signed by 'officer'"), HasSubstr("rank 1: "),
                                 HasSubstr(" verifies: "), HasSubstr("1 start refused"),
                                 HasSubstr("not shown by this:")));
  const auto facts = Json::parse(
      account({"order", "dossier", hash, "--authority", authority_, "--json"}).out, 1 << 20);
  ASSERT_TRUE(facts.ok());
  const auto runs = facts->get_array("runs");
  ASSERT_EQ((*runs)->items().size(), 1u);
  EXPECT_EQ((*runs)->items()[0].get_string("run").value(), "officer-a");
  EXPECT_EQ((*runs)->items()[0].get_string("trouble").value(), "");

  const Said lifted = account({"lift", "--all-standing", "--authority", authority_, "--key",
                               key("ceo"), "--key", key("cto")});
  EXPECT_EQ(lifted.code, 0) << lifted.err;
  std::filesystem::remove(folder_ + "/couple-officer-a");
  Process resumed = job("officer-a", kShort);
  EXPECT_EQ(resumed.wait(), 0) << resumed.err();
  EXPECT_THAT(account({"order", "why", folder}).out, HasSubstr("lifted by"));
}

// A stop of one model waits for that model's jobs and leaves the others alone.
TEST_F(OfficerTest, WaitsForEachJobThatTheScopeCoversAndForNoOther) {
  Process first = job("officer-b", kLong), other = job("officer-c", kLong);
  ASSERT_TRUE(trains("officer-b"));
  ASSERT_TRUE(trains("officer-c"));
  const Said said = account({"stop", "model:acme/officer-b", "--because", "drill", "--authority",
                             authority_, "--key", key("officer"), "--json"});
  EXPECT_EQ(said.code, 0) << said.err;
  const auto answer = Json::parse(said.out, 1 << 20);
  ASSERT_TRUE(answer.ok()) << said.out;
  EXPECT_TRUE(answer->get_bool("quiet").value());
  const auto receipts = answer->get_array("receipts");
  ASSERT_EQ((*receipts)->items().size(), 1u);
  EXPECT_EQ((*receipts)->items()[0].get_string("run").value(), "officer-b");
  EXPECT_EQ(first.wait(), 86);
  EXPECT_FALSE(other.has_ended());
  const Said all = account(
      {"stop", "all", "--because", "drill", "--authority", authority_, "--key", key("officer")});
  EXPECT_EQ(all.code, 0) << all.err;
  EXPECT_EQ(other.wait(), 86);
}

TEST_F(OfficerTest, PausesResumesAndRehearsesAndSaysWhatCameOfIt) {
  Process running = job("officer-e", "steps=800 seconds=16");
  ASSERT_TRUE(trains("officer-e"));
  const std::string folder = dir_ + "/officer-e";
  const Said rehearsed =
      account({"rehearse", folder, "--because", "weekly drill", "--key", key("officer")});
  EXPECT_EQ(rehearsed.code, 0) << rehearsed.err;
  EXPECT_THAT(rehearsed.out,
              AllOf(HasSubstr("rehearsed at step "), HasSubstr("(agreed), all waiting "),
                    HasSubstr("all are through with it")));

  const Said paused =
      account({"pause", folder, "--because", "looking into it", "--key", key("officer"), "--json"});
  EXPECT_EQ(paused.code, 0) << paused.err;
  const auto answer = Json::parse(paused.out, 1 << 20);
  ASSERT_TRUE(answer.ok()) << paused.out;
  EXPECT_EQ(answer->get_string("action").value(), "pause");
  const std::string order = answer->get_string("order").value();
  EXPECT_EQ(account({"lift", order, "--authority", authority_, "--key", key("ceo")}).code, 2)
      << "one lift key is too few, also for a pause";
  EXPECT_EQ(
      account({"resume", order.substr(0, 12), "--authority", authority_, "--key", key("ceo")}).code,
      2)
      << "no stop key";
  const Said resumed = account({"resume", "--all-standing", "--authority", authority_, "--key",
                                key("officer"), "--because", "all is well"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.out, HasSubstr("jobs that wait go on"));
  EXPECT_EQ(running.wait(), 0) << running.err();
  const Said why = account({"order", "why", folder});
  EXPECT_THAT(why.out, AllOf(HasSubstr("pause of job officer-e: looking into it"),
                             HasSubstr("lifted by"), HasSubstr(": rehearsed at step ")))
      << why.err;
  EXPECT_THAT(
      account({"resume", "--all-standing", "--authority", authority_, "--key", key("officer")}).err,
      HasSubstr("no pause of this authority stands"));
}

// A job that would never hear of the order must not look like one that obeyed it.
TEST_F(OfficerTest, SaysThatAJobDoesNotObeyTheAuthority) {
  ASSERT_EQ(account({"root", "new", folder_ + "/other", "--name", "other", "--stop", pub("officer"),
                     "--lift", pub("ceo"), "--lift", pub("cto"), "--root", pub("ceo"), "--sign",
                     key("ceo")})
                .code,
            0);
  Process running = job("officer-d", kLong);
  ASSERT_TRUE(trains("officer-d"));
  const Said said = account({"stop", "officer-d", "--because", "drill", "--authority",
                             folder_ + "/other", "--key", key("officer"), "--wait", "1"});
  EXPECT_EQ(said.code, 5);
  EXPECT_THAT(said.err, HasSubstr("does not obey this authority"));
  EXPECT_FALSE(running.has_ended());
}

}  // namespace
}  // namespace account::e2e
