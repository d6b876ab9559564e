// `account verify|prove|sign|status` over a run that the real ledger writer wrote.
#include <filesystem>

#include "ledger/ledger.h"
#include "unit/cli/support.h"

namespace account::cli {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kBound = 7;

// One rank of a world of one: 600 forward and 400 backward, in category train, one bounded gap.
class EvidenceTest : public CliTest {
 protected:
  void SetUp() override { write_run(run_); }

  // It trains for so long before it ends.
  void write_run(const std::string& folder, int64_t seconds = 0) {
    FakeClock clock;
    clock.set_unix_ns(Clock::real().unix_ns() - seconds * 1'000'000'000);
    ledger::WriterOptions options;
    options.run_folder = folder;
    options.run_id = std::filesystem::path(folder).filename();
    options.node = "1f00ba5e";
    auto writer = ledger::Writer::open(FileSystem::real(), clock, options);
    ASSERT_THAT(writer, testing::IsOk());
    ledger::IncarnationLine process;
    process.id = std::string(32, 'a');
    process.rank = process.local_rank = 0;
    process.world_size = 1;
    ledger::CounterLine line;
    line.incarnation = (*writer)->incarnation(process);
    line.steps_closed = 2;
    line.rows = {row(Phase::forward, 600), row(Phase::backward, 400)};
    ledger::StepRun steps;
    steps.first = 1;
    steps.count = 2;
    steps.value = 500;
    line.steps.operations = {steps};
    (*writer)->counters(line);
    if (seconds > 0) {
      ASSERT_THAT((*writer)->seal(ledger::SealReason::time), testing::IsOk());
      clock.advance(seconds * 1'000'000'000);
    }
    (*writer)->gap(Json::object({{"kind", "page_lost"},
                                 {"detail", "a test says so"},
                                 {"bound_operations", OpCount(kBound)}}));
    (*writer)->ended(line.incarnation, "finished");
    (*writer)->closed(Json::object({{"how", "finished"}}));
    ASSERT_THAT((*writer)->seal(ledger::SealReason::end), testing::IsOk());
  }

  static ledger::CountRow row(Phase phase, uint64_t operations) {
    ledger::CountRow row;
    row.category = Category::train;
    row.phase = phase;
    row.dtype = DType::float32;
    row.op = "aten::mm";
    row.calls = 1;
    row.figures = {operations, operations, operations};
    return row;
  }

  // Changes one byte in the middle of the ledger.
  void damage() const {
    const std::string path = run_ + "/node-1f00ba5e/ledger/000001.jsonl";
    std::string bytes = testing::read_file(path);
    ASSERT_GT(bytes.size(), 100u);
    bytes[bytes.size() / 2] = bytes[bytes.size() / 2] == 'x' ? 'y' : 'x';
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  void new_key(const std::string& name) {
    ASSERT_EQ(account({"key", "new", name, "--dir", dir_.path()}).code, 0);
  }

  std::string run_ = dir_ / "account/run-1";
};

TEST_F(EvidenceTest, VerifyRecomputesTheTotal) {
  const Said said = account({"verify", run_, "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  const Json report = said.json();
  EXPECT_THAT(report.get_bool("ok"), testing::IsOkAndHolds(true));
  EXPECT_THAT(report.get_bool("trusted"), testing::IsOkAndHolds(false));
  EXPECT_THAT(report.get_string("operations"), testing::IsOkAndHolds("1000"));
  EXPECT_THAT(report.get_string("upper"), testing::IsOkAndHolds("1007"));
  EXPECT_THAT(report.get_integer("ranks"), testing::IsOkAndHolds(1));
  EXPECT_THAT(report.get_integer("steps"), testing::IsOkAndHolds(2));
  EXPECT_THAT(report.get_string("level"), testing::IsOkAndHolds("L0"));
  EXPECT_TRUE((*report.get_array("problems"))->items().empty());
  EXPECT_EQ((*report.get_array("gaps"))->items().size(), 1u);
  EXPECT_THAT(account({"verify", run_}).out, HasSubstr("verified"));
}

TEST_F(EvidenceTest, ARunIsFoundByItsIdToo) {
  EXPECT_EQ(account({"verify", "run-1"}).code, 0);
  EXPECT_EQ(account({"verify", run_ + "/node-1f00ba5e"}).code, 0);
}

TEST_F(EvidenceTest, DamageIsNamedByVerifyProveAndSign) {
  new_key("alice");
  damage();
  const std::vector<std::vector<std::string>> all = {
      {"verify", run_},
      {"verify", run_, "--json"},
      {"prove", run_, "--policy", "us-ca-sb1047-enrolled"},
      {"prove", run_, "--below", "3e25", "--json"},
      {"sign", run_, "--key", dir_ / "alice.key"},
  };
  for (const auto& words : all) {
    const Said said = account(words);
    EXPECT_EQ(said.code, 2) << words[0];
    expect_one_line(said, words[0]);
    EXPECT_THAT(said.err, HasSubstr("ledger/000001.jsonl")) << words[0];
  }
  const Said json = account({"verify", run_, "--json"});
  EXPECT_THAT(json.json().get_bool("ok"), testing::IsOkAndHolds(false));
  EXPECT_FALSE(std::filesystem::exists(run_ + "/endorsements"));
}

TEST_F(EvidenceTest, AFolderWithoutALedgerDoesNotVerify) {
  std::filesystem::create_directories(dir_ / "empty");
  const Said said = account({"verify", dir_ / "empty"});
  EXPECT_EQ(said.code, 2);
  expect_one_line(said, "empty");
}

TEST_F(EvidenceTest, ProveSaysVerdictMarginLevelAndWhatItIsNot) {
  const Said said = account({"prove", run_, "--policy", "us-ca-sb1047-enrolled"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("29999999999999999999999000 operations until it is reached"));
  EXPECT_THAT(said.out,
              HasSubstr("counted below, at level L0 counted, for the runs listed: run-1"));
  EXPECT_THAT(said.out, HasSubstr("not legal advice"));
  EXPECT_THAT(said.out, HasSubstr("a test says so"));
  const Said json = account({"prove", run_, "--policy", "us-ca-sb1047-enrolled", "--json"});
  EXPECT_EQ(json.text("verdict"), "below");
  EXPECT_EQ(json.text("margin"), "29999999999999999999999000");
  EXPECT_EQ(json.text("operations"), "1000");
  EXPECT_EQ(json.text("level"), "L0");
}

TEST_F(EvidenceTest, ProveBelowAPlainNumberMindsTheGaps) {
  const struct {
    const char* limit;
    int code;
    const char* verdict;
  } cases[] = {{"999", 3, "reached"},  {"1000", 3, "reached"}, {"1001", 5, "unknown"},
               {"1007", 5, "unknown"}, {"1008", 0, "below"},   {"3e25", 0, "below"}};
  for (const auto& c : cases) {
    const Said said = account({"prove", run_, "--below", c.limit, "--json"});
    EXPECT_EQ(said.code, c.code) << c.limit;
    EXPECT_EQ(said.text("verdict"), c.verdict) << c.limit;
  }
}

TEST_F(EvidenceTest, ProveTakesTheGraverOfPolicyAndNumber) {
  const Said said =
      account({"prove", run_, "--policy", "us-ca-sb1047-enrolled", "--below", "1000", "--json"});
  EXPECT_EQ(said.code, 3);
  EXPECT_EQ(said.text("verdict"), "reached");
  EXPECT_EQ(said.text("policy_verdict"), "below");
}

TEST_F(EvidenceTest, ProveCountsCategoriesAndPhasesOfTheRule) {
  const Said law = account({"policy", "show", "eu-aia-51", "--json"});
  std::string file = law.out;
  const std::string threshold = "\"10000000000000000000000000\"";
  file.replace(file.find(threshold), threshold.size(), "\"599\"");
  const std::string backward = "\"backward\",";
  file.erase(file.find(backward), backward.size());
  std::ofstream(dir_ / "forward-only.json") << file;
  const Said said = account({"prove", run_, "--policy", dir_ / "forward-only.json", "--json"});
  EXPECT_EQ(said.code, 3) << said.err;
  EXPECT_EQ(said.text("counted"), "600");
  EXPECT_EQ(said.text("margin"), "0");
}

TEST_F(EvidenceTest, AnEndorsementIsTrustedByItsKeyOnly) {
  new_key("alice");
  new_key("mallory");
  EXPECT_EQ(account({"verify", run_, "--key", dir_ / "alice.pub"}).code, 2);
  const Said signed_run = account({"sign", run_, "--key", dir_ / "alice.key"});
  ASSERT_EQ(signed_run.code, 0) << signed_run.err;
  const Said trusted = account({"verify", run_, "--key", dir_ / "alice.pub", "--json"});
  EXPECT_EQ(trusted.code, 0) << trusted.err;
  EXPECT_THAT(trusted.json().get_bool("trusted"), testing::IsOkAndHolds(true));
  EXPECT_EQ(trusted.text("level"), "L1");
  const Said foreign = account({"verify", run_, "--key", dir_ / "mallory.pub"});
  EXPECT_EQ(foreign.code, 2);
  expect_one_line(foreign, "mallory");
  const Said proof = account({"prove", run_, "--below", "3e25", "--key", dir_ / "alice.pub"});
  EXPECT_EQ(proof.code, 0);
  EXPECT_THAT(proof.out, HasSubstr("at level L1 endorsed"));
}

TEST_F(EvidenceTest, AKeyThatIsNoneIsRefused) {
  std::ofstream(dir_ / "text.pub") << "hello\n";
  EXPECT_EQ(account({"verify", run_, "--key", dir_ / "text.pub"}).code, 2);
  EXPECT_EQ(account({"verify", run_, "--key", dir_ / "none.pub"}).code, 1);
  EXPECT_EQ(account({"verify", run_, "--key", ""}).code, 1);
  EXPECT_EQ(account({"sign", run_, "--key", dir_ / "text.pub"}).code, 2);
}

TEST_F(EvidenceTest, StatusShowsFinishedRuns) {
  const Said all = account({"status", dir_ / "account", "--json"});
  ASSERT_EQ(all.code, 0) << all.err;
  const Json answer = all.json();
  const Json* finished = *answer.get_array("finished");
  ASSERT_EQ(finished->items().size(), 1u);
  EXPECT_THAT(account({"status", "run-1"}).out, HasSubstr("finished"));
  damage();
  const Said after = account({"status", run_});
  EXPECT_EQ(after.code, 0);
  EXPECT_THAT(after.out, HasSubstr("does not verify"));
}

TEST_F(EvidenceTest, AWitnessHoldsTheRunAgainstWhoeverHasItsKeys) {
  for (const char* name : {"ada", "customer"})
    ASSERT_EQ(account({"key", "new", name, "--dir", dir_.path()}).code, 0);
  const auto verify = [&] {
    return account({"verify", run_, "--key", dir_ / "ada.pub", "--witness", dir_ / "customer.pub",
                    "--anchors", dir_ / "kept", "--json"});
  };
  ASSERT_EQ(account({"anchor", run_, "--key", dir_ / "customer.key", "--keep", dir_ / "kept"}).code,
            0);
  const Said again =
      account({"anchor", run_, "--key", dir_ / "customer.key", "--keep", dir_ / "kept"});
  EXPECT_THAT(again.out, HasSubstr("every head was anchored by this key already"));
  ASSERT_EQ(account({"sign", run_, "--key", dir_ / "ada.key"}).code, 0);
  const Said sound = verify();
  EXPECT_EQ(sound.code, 0) << sound.err;
  // It was anchored when it had ended, and the level says so.
  EXPECT_EQ(sound.text("level"), "L1");
  EXPECT_THAT(sound.out, HasSubstr("anchored only after its end"));
  EXPECT_THAT(account({"verify", run_}).out,
              HasSubstr("anchors of node 1f00ba5e: 1 by 'customer'"));

  // Its owner writes it again and signs it again; the anchors beside it are taken away.
  std::filesystem::remove_all(run_);
  write_run(run_);
  ASSERT_EQ(account({"sign", run_, "--key", dir_ / "ada.key"}).code, 0);
  EXPECT_THAT(account({"verify", run_}).out, HasSubstr("could have rewritten it"));
  const Said rewritten = verify();
  EXPECT_EQ(rewritten.code, 2);
  EXPECT_THAT(rewritten.err, HasSubstr("was rewritten"));
  const Said refused =
      account({"anchor", run_, "--key", dir_ / "customer.key", "--keep", dir_ / "kept"});
  EXPECT_EQ(refused.code, 2);
  expect_one_line(refused, "anchor");
}

TEST_F(EvidenceTest, AnchorRefusesWordsThatMakeNoSense) {
  ASSERT_EQ(account({"key", "new", "the customer", "--dir", dir_.path()}).code, 0);
  const Said name = account({"anchor", run_, "--key", dir_ / "the customer.key"});
  EXPECT_EQ(name.code, 1);
  EXPECT_THAT(name.err, HasSubstr("give --name"));
  const Said time = account(
      {"anchor", run_, "--key", dir_ / "the customer.key", "--name", "c", "--every", "soon"});
  EXPECT_EQ(time.code, 1);
  expect_one_line(time, "--every");
  // A run that has ended is anchored once, whatever the interval.
  EXPECT_EQ(
      account({"anchor", run_, "--key", dir_ / "the customer.key", "--name", "c", "--every", "1"})
          .code,
      0);
}

TEST_F(EvidenceTest, DeviceTimeCostsWhatTheTableSaysOfTheStart) {
  const auto write = [&](const std::string& prices) {
    const std::string path = dir_ / "prices.json";
    EXPECT_THAT(FileSystem::real().write_atomically(
                    path, R"({"format":"account-prices/1","prices":[)" + prices + "]}", 0644),
                testing::IsOk());
    return path;
  };
  const auto entry = [](const char* from, const char* price) {
    return std::string(R"({"device":"H100","from":")") + from + R"(","usd_per_device_hour":")" +
           price + R"(","source":"a test"})";
  };
  // A dollar a second; the later price does not hold for training that had begun.
  const std::string table = write(entry("1970-01-01", "3600") + "," + entry("2200-01-01", "1"));
  constexpr int64_t kSeconds = 7201;
  const std::string run = dir_ / "account/long";
  write_run(run, kSeconds);
  const Said said = account({"cost", run, "--prices", table, "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(*said.json().get_integer("device_seconds"), kSeconds);
  EXPECT_EQ(*said.json().get_integer("usd"), kSeconds);
  EXPECT_EQ(said.text("micro_usd"), std::to_string(kSeconds * 1'000'000));
  int64_t shared = 0;
  const Json cost = said.json();
  for (const auto& [category, part] : (*cost.get_object("categories"))->members()) {
    shared += *part.get_integer("device_seconds");
  }
  EXPECT_EQ(shared, kSeconds) << "categories share all of it";
  EXPECT_THAT(account({"cost", run, "--prices", table}).out, HasSubstr("source: a test"));

  const Said proof = account({"prove", run, "--policy", "us-ca-sb1047-enrolled", "--prices", table,
                              "--device", "H100", "--json"});
  ASSERT_EQ(proof.code, 0) << proof.err;
  EXPECT_EQ(*(*proof.json().get_object("cost"))->get_integer("usd"), kSeconds);

  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"cost", run_},
           {"cost", run_, "--prices", dir_ / "nowhere"},
           {"cost", run_, run_, "--prices", table},
           {"cost", run_, "--prices", table, "--device", "A100"},
           {"prove", run_, "--below", "3e25", "--prices", table, "--cost", "5"},
           {"prove", run_, "--below", "3e25", "--device", "H100"}}) {
    const Said refused = account(words);
    EXPECT_EQ(refused.code, 1) << words.back();
    expect_one_line(refused, words[0]);
  }
  const Said late = account({"cost", run_, "--prices", write(entry("2200-01-01", "1"))});
  EXPECT_EQ(late.code, 1);
  EXPECT_THAT(late.err, HasSubstr("no price of H100 holds on"));
}

TEST_F(EvidenceTest, TheBillBoundsWhatWasComputedCountedOrNot) {
  const auto write = [&](const char* name, const std::string& text) {
    EXPECT_THAT(FileSystem::real().write_atomically(dir_ / name, text, 0644), testing::IsOk());
    return dir_ / name;
  };
  const std::string sacct =
      write("sacct.csv", "JobID|ElapsedRaw|AllocTRES\n7|3600|gres/gpu:h100=8\n");
  const Said bill = account({"ceiling", "--usage", sacct, "--json"});
  ASSERT_EQ(bill.code, 0) << bill.err;
  EXPECT_EQ(bill.text("at_most"), "56992320000000000000");  // 8 x 3600 x 1978.9e12
  EXPECT_EQ(bill.text("level"), "");

  ASSERT_EQ(account({"key", "new", "ada", "--dir", dir_.path()}).code, 0);
  ASSERT_EQ(account({"sign", run_, "--key", dir_ / "ada.key"}).code, 0);
  const Said both =
      account({"ceiling", run_, "--usage", sacct, "--key", dir_ / "ada.pub", "--covers",
               "acme, 2026", "--policy", "us-ca-sb1047-enrolled", "--json"});
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_EQ(both.text("counted"), "1000");
  EXPECT_EQ(both.text("level"), "L3");
  EXPECT_EQ(both.text("covers"), "acme, 2026");
  // What a rule does not count is not counted here either.
  const std::string limit = write("limit.json", R"({"format":"account-policy-1","id":"ours",
      "title":"t","jurisdiction":"j","status":"in_force","effective_from":"2020-01-01",
      "rules":[{"name":"r","applies_to":"a","operator":">=","operations":"500","cumulative":false,
      "counts":{"categories":["evaluate"],"phases":["forward"]}}],"deadlines":[],"citation":"c",
      "grade":"memory","notes":[]})");
  const Said excluded = account({"ceiling", run_, "--usage", sacct, "--policy", limit});
  EXPECT_EQ(excluded.code, 5) << excluded.out << excluded.err;  // the rest of the bill may reach it
  EXPECT_EQ(account({"ceiling", run_, "--usage", sacct, "--json"}).text("level"), "L0");
  // Enough time to reach it means that it may have been reached.
  const Said unknown = account({"ceiling", "--hours", "6000000", "--device", "H100 SXM", "--cost",
                                "20000000", "--policy", "us-ca-sb1047-enrolled"});
  EXPECT_EQ(unknown.code, 5) << unknown.out;

  // The runs counted more than that time can hold: it is not all of theirs.
  write("abacus.json",
        R"({"devices":[{"match":"abacus","device":"abacus","peaks":{"int8":"1"}}]})");
  setenv("ACCOUNT_DEVICES", (dir_ / "abacus.json").c_str(), 1);
  const Said contrary = account({"ceiling", run_, "--hours", "0.1", "--device", "abacus"});
  unsetenv("ACCOUNT_DEVICES");
  EXPECT_EQ(contrary.code, 2);
  expect_one_line(contrary, "ceiling");
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"ceiling"},
                                             {"ceiling", "--hours", "5"},
                                             {"ceiling", "--hours", "x", "--device", "A100"},
                                             {"ceiling", "--hours", "5", "--usage", sacct},
                                             {"ceiling", "--usage", dir_ / "nowhere"}}) {
    const Said refused = account(words);
    EXPECT_EQ(refused.code, 1) << words.back();
    expect_one_line(refused, words.back());
  }
}

}  // namespace
}  // namespace account::cli
