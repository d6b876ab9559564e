// Orders end to end: the real `account run`, ranks as processes, an authority as a directory.
#include <gmock/gmock.h>
#include <signal.h>

#include <random>

#include "account/order_sender.h"
#include "base/random.h"
#include "e2e/cpp/support.h"
#include "order/authority.h"
#include "unit/order/support.h"

namespace account::e2e {
namespace {

using order::Authority;
using ::testing::HasSubstr;

class StopTest : public EndToEnd {
 protected:
  StopTest() {
    std::filesystem::create_directories(authority_ + "/orders");
    std::filesystem::create_directories(authority_ + "/receipts");
    order::Root root = keys_.root();
    root.issued_unix = now() - order::kDay;
    root.expires_unix = now() + order::kDay;
    publish(root);
  }

  static int64_t now() { return Clock::real().unix_ns() / 1'000'000'000; }
  order::AuthorityDirectory directory() const {
    return {FileSystem::real(), *order::parse_authority_spec(authority_)};
  }
  void publish(const order::Root& root) {
    std::filesystem::remove(authority_ + "/root.json");
    const Status status = directory().publish_root(keys_.signed_root(root));
    ASSERT_TRUE(status.ok()) << status.to_string();
  }

  order::Order stop_order(const order::Scope& scope) const {
    order::Order order;
    order.action = order::Action::stop;
    order.authority = "acme-cluster";
    order.root_version = 1;
    order.number = 1;
    order.issued_unix = now();
    order.nonce = to_hex(random_bytes(16));
    order.reason = "drill in the tests";
    order.scope = scope;
    return order;
  }
  static sign::Envelope sealed(const order::Order& order,
                               std::initializer_list<const sign::SecretKey*> keys) {
    const auto payload = order::write_order(order);
    EXPECT_TRUE(payload.ok()) << payload.status().to_string();
    sign::Envelope envelope{std::string(order::kOrderType), payload.ok() ? *payload : "", {}};
    for (const sign::SecretKey* key : keys) sign::add_signature(envelope, *key);
    return envelope;
  }
  // Put where a keeper looks, without asking whether it is any good.
  void drop(const sign::Envelope& envelope, const std::string& name) const {
    ASSERT_TRUE(FileSystem::real()
                    .write_atomically(authority_ + "/orders/" + name + ".json",
                                      order::order_file(envelope), 0644)
                    .ok());
  }
  std::string send_stop(const order::Scope& scope) {
    auto hash =
        OrderSender(authority_).send(order::order_file(sealed(stop_order(scope), {&keys_.stop_a})));
    EXPECT_TRUE(hash.ok()) << hash.status().to_string();
    return hash.ok() ? *hash : "";
  }
  void send_lift(const std::vector<std::string>& hashes, int64_t number,
                 std::initializer_list<const sign::SecretKey*> keys) {
    order::Order lift;
    lift.action = order::Action::lift;
    lift.authority = "acme-cluster";
    lift.root_version = 1;
    lift.number = number;
    lift.issued_unix = now();
    lift.accept_until_unix = now() + 3600;
    lift.nonce = to_hex(random_bytes(16));
    lift.reason = "drill is over";
    for (const std::string& hash : hashes) lift.lifts.push_back(*sign::digest_from_hex(hash));
    drop(sealed(lift, keys), "lift-" + std::to_string(number));
  }

  // One `account run` a node, each over a shell that starts `local` ranks.
  Process job(int world, const std::vector<std::string>& words, const std::string& run = "r",
              const std::string& node = "", int first_rank = 0, int local = -1,
              const std::vector<std::string>& options = {}) {
    if (local < 0) local = world;
    std::string script;
    for (int i = 0; i < local; ++i) {
      script += "RANK=" + std::to_string(first_rank + i) + " LOCAL_RANK=" + std::to_string(i) +
                " LOCAL_WORLD_SIZE=" + std::to_string(local) +
                " WORLD_SIZE=" + std::to_string(world) + " " + RANK_PROGRAM + " " + log() + "-" +
                std::to_string(first_rank + i);
      for (const std::string& word : words) script += " " + word;
      script += " & p" + std::to_string(i) + "=$!; ";
    }
    script += "c=0; ";
    for (int i = 0; i < local; ++i) script += "wait $p" + std::to_string(i) + " || c=$?; ";
    script += "exit $c # " + run;
    auto environment = base_environment();
    environment["ACCOUNT_RUN"] = run;
    environment["ACCOUNT_AUTHORITY"] = authority_;
    if (!node.empty()) environment["ACCOUNT_NODE"] = node;
    return account_run(options, {"/bin/sh", "-c", script}, environment);
  }
  bool trains(int rank = 0, int steps = 3) const {
    return eventually(
        [&] {
          const auto status = live();
          if (!status) return false;
          for (const auto& one : status->ranks) {
            if (one.rank == rank && one.steps >= static_cast<uint64_t>(steps)) return true;
          }
          return false;
        },
        seconds(15));
  }
  std::vector<uint64_t> last_steps(const std::string& hash) const {
    std::vector<uint64_t> steps;
    const auto receipts = OrderSender(authority_).receipts(hash);
    EXPECT_TRUE(receipts.ok());
    for (const OrderReceipt& receipt : *receipts) {
      for (const auto& rank : receipt.ranks) steps.push_back(rank.last_step);
    }
    return steps;
  }

  Authority keys_;
  const std::string authority_ = folder_ + "/authority";
  const order::Scope everything_{order::Scope::Kind::all, ""};
  const order::Scope this_job_{order::Scope::Kind::job, "r"};
};

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

  std::filesystem::remove(folder_ + "/couple");
  Process again = job(2, words);
  EXPECT_EQ(again.wait(), 86) << "a restart is refused before the command starts";
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
}

TEST_F(StopTest, TwoNodesAgreeOnTheStepOverTheirExchange) {
  const std::vector<std::string> words = {"steps=2000", "calls=5", "seconds=40",
                                          "couple=" + folder_ + "/couple",
                                          "exchange=" + folder_ + "/road"};
  Process left = job(4, words, "r", "left", 0, 2);
  Process right = job(4, words, "r", "right", 2, 2);
  ASSERT_TRUE(eventually(
      [&] {
        for (const auto& status : keeper::live_runs(FileSystem::real())) {
          if (status.run_folder == place().run_folder() && status.steps > 3 &&
              status.nodes_seen.size() == 1) {
            return true;
          }
        }
        return false;
      },
      seconds(20)));
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
  int refused = 0;
  for (const Json& event : report.nodes[0].events) {
    refused += *event.get_string("type") == "order_refused" ? 1 : 0;
  }
  EXPECT_EQ(refused, 4) << "each once: foreign, by a lift key, mangled, oversize";
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
