// Orders end to end: the real `account run`, ranks as processes, an authority as a directory.
#include <signal.h>

#include <random>
#include <set>

#include "e2e/cpp/stop_support.h"
#include "gate/locked.h"

namespace account::e2e {
namespace {

TEST_F(StopTest, StopsAllRanksAtTheSameStepRefusesARestartAndResumesAfterALift) {
  const std::vector<std::string> words = {"steps=2000", "calls=5", "seconds=40",
                                          "couple=" + folder_ + "/couple"};
  Process run = job(2, words);
  ASSERT_TRUE(trains());
  const std::string hash = send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("drill in the tests"));
  const auto steps = last_steps(hash);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0], steps[1]);
  EXPECT_GT(steps[0], 0u);
  const std::string quiet = stop_file();
  EXPECT_THAT(quiet, HasSubstr(R"("format":"account-stop/1")"));
  EXPECT_THAT(quiet, HasSubstr("\"order\":\"" + hash));
  EXPECT_THAT(quiet, HasSubstr(R"("state":"quiet")"));
  EXPECT_THAT(quiet, HasSubstr(R"("exit_code":86)"));
  EXPECT_THAT(quiet, HasSubstr("\"last_step\":" + std::to_string(steps[0])));

  std::filesystem::remove(folder_ + "/couple");
  Process again = job(2, words);
  EXPECT_EQ(again.wait(), 86) << "a restart is refused before the command starts";
  EXPECT_THAT(stop_file(), HasSubstr(R"("state":"refused")"));
  EXPECT_THAT(again.err(), HasSubstr("drill in the tests"));

  send_lift({hash}, 1, {&keys_.lift_a});
  Process one_key = job(2, words);
  EXPECT_EQ(one_key.wait(), 86) << "one of two keys lifts nothing";

  send_lift({hash}, 2, {&keys_.lift_a, &keys_.lift_c});
  std::filesystem::remove(folder_ + "/couple");
  Process resumed = job(2, {"steps=10", "calls=5", "couple=" + folder_ + "/couple"});
  EXPECT_EQ(resumed.wait(), 0) << resumed.err();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.steps, steps[0] + 10);
  EXPECT_EQ(stop_file(), "") << "nothing holds it any more";
}

TEST_F(StopTest, ACommandThatOutlivesItsRanksIsEndedToo) {
  auto environment = base_environment();
  environment["ACCOUNT_RUN"] = "r";
  environment["ACCOUNT_AUTHORITY"] = authority_;
  const std::string rank =
      std::string(RANK_PROGRAM) + " " + log() + " steps=2000 calls=1 seconds=40";
  Process run = account_run({}, {"/bin/sh", "-c", rank + "; exec sleep 600"}, environment);
  ASSERT_TRUE(run_trains("r"));
  send_stop(this_job_);
  EXPECT_TRUE(eventually([&] { return run.has_ended(); }, seconds(120)));
  EXPECT_EQ(run.wait(), 86) << run.err();
}

TEST_F(StopTest, LocksTheStateOfARankBeforeItLocksTheProcessAndGivesItBackAfterTheLift) {
  order::Root root = root_of_now(1);
  root.recovery = order::Role{{keys_.lift_b.public_key()}, 1};
  publish(root);
  Process run = job(2,
                    {"steps=2000", "calls=5", "seconds=40", "state=in-plain-words",
                     "couple=" + folder_ + "/couple"},
                    "r", "", 0, -1, {}, {{"ACCOUNT_SETTING", "lock"}});
  ASSERT_TRUE(trains());
  const std::string hash = send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();

  const std::filesystem::path saved = dir_ + "/r/locked";
  ASSERT_TRUE(std::filesystem::exists(saved)) << run.err();
  const std::filesystem::path folder = std::filesystem::directory_iterator(saved)->path();
  for (const char* name : {"rank-0.locked", "rank-1.locked"}) {
    const std::string path = folder / name;
    const std::string bytes = FileSystem::real().read(path, 1 << 20).value();
    EXPECT_EQ(bytes.find("in-plain-words"), std::string::npos);
    const auto header = gate::read_locked_header(path);
    ASSERT_TRUE(header.ok()) << header.status().to_string();
    EXPECT_EQ(sign::to_hex(header->order), hash);
    const auto key = gate::unseal_key(*header, keys_.lift_b);
    ASSERT_TRUE(key.ok()) << key.status().to_string();
    ASSERT_TRUE(gate::write_opened_key(path, *header, *key).ok());
  }
  send_lift({hash}, 2, {&keys_.lift_a, &keys_.lift_c});
  std::filesystem::remove(folder_ + "/couple");
  Process resumed = job(2, {"steps=10", "calls=5", "restore=yes", "couple=" + folder_ + "/couple"});
  EXPECT_EQ(resumed.wait(), 0) << resumed.err();
  const size_t first = resumed.err().find("restored: in-plain-words");
  ASSERT_NE(first, std::string::npos) << resumed.err();
  EXPECT_NE(resumed.err().find("restored: in-plain-words", first + 1), std::string::npos);

  Process alone = job(1, {"steps=10", "calls=5", "restore=yes"});
  EXPECT_EQ(alone.wait(), 0) << alone.err();
  EXPECT_THAT(alone.err(), HasSubstr("saved by 2 ranks; this job has 1"));
}

TEST_F(StopTest, ASecondStopThatLetsNothingBeSavedEndsASaveThatIsUnderWay) {
  order::Root root = root_of_now(1);
  root.recovery = order::Role{{keys_.lift_b.public_key()}, 1};
  publish(root);
  Process run = job(2, {"steps=2000", "calls=5", "seconds=40", "state=in-plain-words",
                        "pieces=100000", "couple=" + folder_ + "/couple"});
  ASSERT_TRUE(trains());
  send_stop(this_job_);
  const auto files = [&] {
    std::set<std::string> names;
    std::error_code none;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(dir_ + "/r/locked", none))
      if (entry.is_regular_file()) names.insert(entry.path().filename());
    return names;
  };
  const std::set<std::string> partial = {"rank-0.locked.partial", "rank-1.locked.partial"};
  ASSERT_TRUE(eventually([&] { return files() == partial; }, seconds(60)));
  order::Order second = stop_order(this_job_);
  second.grace = order::Grace::none;
  send(second);
  EXPECT_EQ(run.wait(), 86) << run.err();
  EXPECT_EQ(files(), (std::set<std::string>{"rank-0.locked.given-up", "rank-1.locked.given-up"}));
  int not_saved = 0;
  for (const ledger::NodeReport& node : verify().nodes) {
    for (const Json& event : node.events) {
      const auto kind = event.get_string("kind");
      const auto detail = event.get_string("detail");
      if (!kind.ok() || *kind != "state_not_saved" || !detail.ok()) continue;
      EXPECT_THAT(*detail, HasSubstr("a second stop lets nothing be saved any more"));
      ++not_saved;
    }
  }
  EXPECT_EQ(not_saved, 2);
}

TEST_F(StopTest, TwoNodesAgreeOnTheStepOverTheirExchange) {
  const std::vector<std::string> words = {"steps=2000", "calls=5", "seconds=40",
                                          "couple=" + folder_ + "/couple",
                                          "exchange=" + folder_ + "/road"};
  Process left = job(4, words, "r", "left", 0, 2);
  Process right = job(4, words, "r", "right", 2, 2);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string hash = send_stop(this_job_);
  EXPECT_EQ(left.wait(), 86) << left.err();
  EXPECT_EQ(right.wait(), 86) << right.err();
  const auto steps = last_steps(hash);
  ASSERT_EQ(steps.size(), 4u);
  for (const uint64_t step : steps) EXPECT_EQ(step, steps[0]);
}

TEST_F(StopTest, ForeignMangledAndOtherJobsOrdersChangeNothing) {
  Process run = job(1, {"steps=60", "calls=5", "seconds=6"});
  ASSERT_TRUE(trains());
  drop(sealed(stop_order(everything_), {&keys_.foreign}), "foreign");
  drop(sealed(stop_order(everything_), {&keys_.lift_a}), "by-a-lift-key");
  drop(sealed(stop_order({order::Scope::Kind::job, "another"}), {&keys_.stop_a}), "other");
  std::string mangled = order::order_file(sealed(stop_order(everything_), {&keys_.stop_a}));
  mangled[mangled.size() / 2] ^= 1;
  std::ofstream(authority_ + "/orders/mangled.json") << mangled;
  std::ofstream(authority_ + "/orders/oversize.json") << std::string(200'000, 'x');
  EXPECT_EQ(run.wait(), 0) << run.err();
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.steps, 60u);
  EXPECT_EQ(refusals(), 4) << "each once: foreign, by a lift key, mangled, oversize";
}

TEST_F(StopTest, TwoStopsAtOnceBothStandAndALiftLiftsOnlyWhatItNames) {
  Process run = job(1, {"steps=2000", "calls=5", "seconds=40"});
  ASSERT_TRUE(trains());
  const std::string first = send_stop(this_job_);
  const std::string second = send_stop(everything_);
  EXPECT_EQ(run.wait(), 86) << run.err();
  send_lift({first}, 1, {&keys_.lift_a, &keys_.lift_b});
  Process still = job(1, {"steps=3"});
  EXPECT_EQ(still.wait(), 86);
  EXPECT_THAT(still.err(), HasSubstr(second.substr(0, 16)));
  send_lift({second}, 2, {&keys_.lift_a, &keys_.lift_b});
  Process free = job(1, {"steps=3"});
  EXPECT_EQ(free.wait(), 0) << free.err();
}

TEST_F(StopTest, AnOldLiftCopiedBackLiftsNothing) {
  Process run = job(1, {"steps=2000", "seconds=40"});
  ASSERT_TRUE(trains());
  const std::string first = send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();
  send_lift({first}, 1, {&keys_.lift_a, &keys_.lift_b});
  Process resumed = job(1, {"steps=2000", "seconds=40"});
  ASSERT_TRUE(trains());
  const std::string second = send_stop(this_job_);
  EXPECT_EQ(resumed.wait(), 86) << resumed.err();
  std::filesystem::copy_file(authority_ + "/orders/lift-1.json",
                             authority_ + "/orders/lift-again.json");
  Process refused = job(1, {"steps=3"});
  EXPECT_EQ(refused.wait(), 86) << refused.err();
  EXPECT_THAT(refused.err(), HasSubstr(second.substr(0, 16)));
}

TEST_F(StopTest, AStopWithAnOldNumberUnderAWrongClockAndAnExpiredRootIsObeyed) {
  order::Root root = keys_.root();
  root.issued_unix = now() - 10 * order::kDay;
  root.expires_unix = now() - order::kDay;
  publish(root);
  Process run = job(1, {"steps=2000", "seconds=40"});
  ASSERT_TRUE(trains());
  order::Order old = stop_order(this_job_);
  old.number = -7;
  old.issued_unix = now() - 400 * order::kDay;
  drop(sealed(old, {&keys_.stop_b}), "old");
  EXPECT_EQ(run.wait(), 86) << run.err();
}

TEST_F(StopTest, ARunningJobTakesUpANewRootAndAStolenStopKeyStopsNothingAnyMore) {
  Process run = job(1, {"steps=4000", "calls=5", "seconds=80"});
  ASSERT_TRUE(trains());
  order::Root next = root_of_now(2);
  next.keys.push_back({"new officer", keys_.foreign.public_key()});
  next.stop.keys = {keys_.stop_a.public_key(), keys_.foreign.public_key()};
  next.revoked = {keys_.stop_b.public_key().id()};
  ASSERT_TRUE(directory().publish_root(keys_.signed_root(next)).ok());
  drop(sealed(stop_order(this_job_), {&keys_.stop_b}), "stolen");
  // By a key that was revoked meanwhile.
  const auto refused = [&] { return run.err().find("not obeyed") != std::string::npos; };
  ASSERT_TRUE(eventually(refused, std::chrono::seconds(30))) << run.err();
  EXPECT_TRUE(run_trains("r"));
  drop(sealed(stop_order(this_job_), {&keys_.foreign}), "new");
  EXPECT_EQ(run.wait(), 86) << run.err();
}

TEST_F(StopTest, ARootThatExpiresUnderARunningJobStillStopsItAndLiftsNothingUntilTheNextOne) {
  order::Root brief = root_of_now(1);
  brief.expires_unix = now() + 4;
  publish(brief);
  Process run = job(1, {"steps=2000", "calls=5", "seconds=40"});
  ASSERT_TRUE(trains());
  ASSERT_TRUE(eventually([&] { return now() > brief.expires_unix; }, std::chrono::seconds(30)));
  EXPECT_TRUE(run_trains("r"));
  const std::string hash = send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();

  send_lift({hash}, 1, {&keys_.lift_a, &keys_.lift_b});
  Process refused = job(1, {"steps=3"});
  EXPECT_EQ(refused.wait(), 86) << "under an expired root nothing is lifted";
  ASSERT_TRUE(directory().publish_root(keys_.signed_root(root_of_now(2))).ok());
  Process old = job(1, {"steps=3"});
  EXPECT_EQ(old.wait(), 86) << "and a lift under the one before stays void";
  send_lift({hash}, 2, {&keys_.lift_b, &keys_.lift_c}, 2);
  Process free = job(1, {"steps=3"});
  EXPECT_EQ(free.wait(), 0) << free.err();
}

TEST_F(StopTest, ARankUnderSigstopIsEndedWithinTheDeadline) {
  Process run = job(2, {"steps=2000", "seconds=40"});
  ASSERT_TRUE(trains());
  pid_t frozen = 0;
  const auto status = live();
  ASSERT_TRUE(status.has_value());
  for (const auto& rank : status->ranks) {
    if (rank.rank == 1) frozen = static_cast<pid_t>(rank.pid);
  }
  ASSERT_GT(frozen, 0);
  ASSERT_EQ(kill(frozen, SIGSTOP), 0);
  order::Order order = stop_order(this_job_);
  order.quiet_seconds = 6;
  const auto hash = OrderSender(authority_).send(order::order_file(sealed(order, {&keys_.stop_a})));
  ASSERT_TRUE(hash.ok());
  EXPECT_EQ(run.wait(), 86) << run.err();
  const auto receipts = OrderSender(authority_).receipts(*hash);
  ASSERT_EQ(receipts->size(), 1u);
  EXPECT_EQ(receipts->front().state, "quiet");
  const ledger::Report report = verify();
  for (const Json& event : report.nodes[0].events) {
    if (*event.get_string("type") != "quiet") continue;
    EXPECT_THAT(*event.get_string("how"), ::testing::AnyOf("deadline", "each at its own edge"));
  }
}

TEST_F(StopTest, AnotherNameForTheSameJobIsRefusedAndAnUnrelatedJobTrains) {
  Process run = job(1, {"steps=2000", "seconds=40"}, "r", "", 0, -1, {"--model", "acme/chat"});
  ASSERT_TRUE(trains());
  send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();
  Process renamed = job(1, {"steps=3"}, "other-name", "", 0, -1, {"--model", "acme/chat"});
  EXPECT_EQ(renamed.wait(), 86) << renamed.err();
  EXPECT_THAT(renamed.err(), HasSubstr("acme/chat"));
  Process unrelated = job(1, {"steps=3"}, "unrelated", "", 0, -1, {"--model", "acme/vision"});
  EXPECT_EQ(unrelated.wait(), 0) << unrelated.err();
}

TEST_F(StopTest, OfEveryScopeTheJobInsideStopsAndTheOneOutsideGoesOn) {
  using Kind = order::Scope::Kind;
  const struct {
    const char* name;
    order::Scope scope;
    std::vector<std::string> options;  // of the job inside
    Process::Environment environment;
  } cases[] = {
      {"by-run", {Kind::job, "by-run-in"}, {}, {}},
      {"by-scheduler", {Kind::job, "lab/4711"}, {}, {{"ACCOUNT_SCHEDULER_ID", "lab/4711"}}},
      {"by-model", {Kind::model, "acme/chat"}, {"--model", "acme/chat"}, {}},
      {"by-developer", {Kind::developer, "acme"}, {"--developer", "acme"}, {}},
      {"by-customer", {Kind::customer, "bank"}, {}, {{"ACCOUNT_CUSTOMER", "bank"}}},
      {"by-cluster", {Kind::cluster, "alps"}, {}, {{"ACCOUNT_CLUSTER", "alps"}}},
  };
  for (const auto& c : cases) {
    const std::string inside = std::string(c.name) + "-in", outside = std::string(c.name) + "-out";
    const std::vector<std::string> words = {"steps=4000", "seconds=80"};
    Process stops = job(1, words, inside, "", 0, -1, c.options, c.environment);
    Process goes_on = job(1, words, outside);
    ASSERT_TRUE(run_trains(inside) && run_trains(outside)) << c.name;
    send_stop(c.scope);
    EXPECT_EQ(stops.wait(), 86) << c.name;
    EXPECT_FALSE(goes_on.has_ended()) << c.name;
  }
}

TEST_F(StopTest, ADamagedLedgerOfAnotherNodeAllowsNoStartForItMayHaveHeldAStop) {
  Process run = job(1, {"steps=5"}, "r", "left");
  EXPECT_EQ(run.wait(), 0) << run.err();
  const std::string segment =
      place("left").run_folder() + "/node-" + place("left").node + "/ledger/000001.jsonl";
  std::string bytes = testing::read_file(segment);
  ASSERT_FALSE(bytes.empty());
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(segment) << bytes;
  Process other = job(1, {"steps=5"}, "r", "right");
  EXPECT_EQ(other.wait(), 2) << other.err();
  EXPECT_THAT(other.err(), HasSubstr("what stands against this run cannot be told: node-"));
}

TEST_F(StopTest, AnAuthorityThatCannotBeReadAllowsNoStart) {
  std::filesystem::remove(authority_ + "/root.json");
  Process run = job(1, {"steps=3"});
  EXPECT_NE(run.wait(), 0);
  EXPECT_THAT(run.err(), HasSubstr(authority_));
  EXPECT_FALSE(std::filesystem::exists(log() + "-0")) << "the command was not started";
}

TEST_F(StopTest, TwentyStopsAtRandomMomentsEndAtTheSameStep) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 20; ++trial) {
    std::filesystem::remove(folder_ + "/couple");
    const std::string run_id = "trial-" + std::to_string(trial);
    Process run =
        job(2, {"steps=20000", "calls=3", "seconds=60", "couple=" + folder_ + "/couple"}, run_id);
    ASSERT_TRUE(eventually(
        [&] {
          for (const auto& status : keeper::live_runs(FileSystem::real())) {
            if (status.run == run_id && status.ranks.size() == 2) return true;
          }
          return false;
        },
        seconds(15)));
    std::this_thread::sleep_for(milliseconds(random() % 200));
    const std::string hash = send_stop({order::Scope::Kind::job, run_id});
    EXPECT_EQ(run.wait(), 86) << run.err();
    const auto steps = last_steps(hash);
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(steps[0], steps[1]) << "in trial " << trial;
  }
}

}  // namespace
}  // namespace account::e2e
