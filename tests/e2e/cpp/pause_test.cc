// Pauses and rehearsals end to end: two nodes of two ranks each that wait for each other in every
// step, as in a collective.
#include "e2e/cpp/stop_support.h"

namespace account::e2e {
namespace {

class PauseTest : public StopTest {
 protected:
  std::vector<std::string> steps(int count, int seconds) const {
    return {"steps=" + std::to_string(count), "calls=5", "seconds=" + std::to_string(seconds),
            "couple=" + folder_ + "/couple", "exchange=" + folder_ + "/road"};
  }
  Process left(const std::vector<std::string>& words) { return job(4, words, "r", "left", 0, 2); }
  Process right(const std::vector<std::string>& words) { return job(4, words, "r", "right", 2, 2); }
  order::Order order_to(order::Action action) const {
    order::Order order = stop_order(this_job_);
    order.action = action;
    if (action == order::Action::rehearse) order.accept_until_unix = now() + 600;
    return order;
  }
  order::Order resume_of(const std::string& hash) const {
    order::Order order = stop_order({});
    order.action = order::Action::resume;
    order.lifts = {*sign::digest_from_hex(hash)};
    return order;
  }
  order::Order holding() const {
    order::Order order = stop_order(this_job_);
    order.grace = order::Grace::hold;
    return order;
  }
  order::Order lift_of(const std::string& hash) const {
    order::Order order = stop_order({});
    order.action = order::Action::lift;
    order.accept_until_unix = now() + 600;
    order.lifts = {*sign::digest_from_hex(hash)};
    return order;
  }
  // Both nodes say so of the order.
  bool answered(const std::string& hash, const std::string& state) const {
    return eventually(
        [&] {
          const auto receipts = OrderSender(authority_).receipts(hash);
          return receipts.ok() && receipts->size() == 2 &&
                 std::all_of(receipts->begin(), receipts->end(),
                             [&](const OrderReceipt& one) { return one.state == state; });
        },
        seconds(20));
  }
  void expect_one_step(const std::string& hash) const {
    const auto steps = last_steps(hash);
    ASSERT_EQ(steps.size(), 4u);
    for (const uint64_t step : steps) EXPECT_EQ(step, steps[0]);
    EXPECT_GT(steps[0], 0u);
  }
  int lines(const std::string& type) const {
    int found = 0;
    const ledger::Report report = verify();
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& event : node.events) found += *event.get_string("type") == type ? 1 : 0;
    }
    return found;
  }
};

TEST_F(PauseTest, RanksOfTwoNodesWaitAtOneStepUntilAStopKeyLetsThemGoOn) {
  const auto words = steps(400, 8);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string hash = send(order_to(order::Action::pause));
  ASSERT_TRUE(answered(hash, "waiting"));
  expect_one_step(hash);
  const uint64_t held = last_steps(hash)[0];
  EXPECT_LT(held, 400u);

  Process second = job(1, {"steps=3"}, "second", "", 0, -1, {"--model", "rank-program"});
  EXPECT_EQ(second.wait(), 0) << "another job trains";
  Process same = job(1, {"steps=3"}, "r", "third");
  EXPECT_EQ(same.wait(), 86) << "a start of the paused one is refused";
  EXPECT_THAT(same.err(), HasSubstr("account resume"));

  send(resume_of(hash));
  EXPECT_EQ(one.wait(), 0) << one.err();
  EXPECT_EQ(other.wait(), 0) << other.err();
  EXPECT_TRUE(answered(hash, "resumed"));
  EXPECT_EQ(verify().totals.steps, 400u) << "no step was lost";
  EXPECT_EQ(lines("lift"), 2) << "once on each node";
  Process again = job(1, {"steps=3"}, "r", "third");
  EXPECT_EQ(again.wait(), 0) << again.err();
}

TEST_F(PauseTest, AStopDuringAPauseStops) {
  const auto words = steps(20000, 400);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string pause = send(order_to(order::Action::pause));
  ASSERT_TRUE(answered(pause, "waiting"));
  const std::string stop = send_stop(this_job_);
  EXPECT_EQ(one.wait(), 86) << one.err();
  EXPECT_EQ(other.wait(), 86) << other.err();
  EXPECT_EQ(last_steps(stop), last_steps(pause)) << "where they waited";
  send(resume_of(pause));
  send(resume_of(stop));
  Process again = job(1, {"steps=3"}, "r", "third");
  EXPECT_EQ(again.wait(), 86) << "a resume ends no stop";
}

TEST_F(PauseTest, AStopThatHoldsKeepsRanksInMemoryUntilLiftKeysLetThemGoOn) {
  const auto words = steps(400, 8);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string hash = send(holding());
  ASSERT_TRUE(answered(hash, "waiting"));
  expect_one_step(hash);
  Process same = job(1, {"steps=3"}, "r", "third");
  EXPECT_EQ(same.wait(), 86) << "a start of the stopped one is refused";
  EXPECT_THAT(same.err(), HasSubstr("account lift"));

  send(resume_of(hash));
  drop(sealed(lift_of(hash), {&keys_.lift_a}), "one-of-two");
  EXPECT_FALSE(eventually([&] { return one.has_ended(); }, seconds(3))) << "neither is enough";
  ASSERT_TRUE(answered(hash, "waiting"));
  send_lift({hash}, 2, {&keys_.lift_a, &keys_.lift_b});
  EXPECT_EQ(one.wait(), 0) << one.err();
  EXPECT_EQ(other.wait(), 0) << other.err();
  EXPECT_TRUE(answered(hash, "resumed"));
  EXPECT_EQ(verify().totals.steps, 400u) << "no step was lost";
}

TEST_F(PauseTest, AStopAfterOneThatHeldLetsRanksSaveAndEnd) {
  const auto words = steps(20000, 400);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string held = send(holding());
  ASSERT_TRUE(answered(held, "waiting"));
  // Longer than the deadline of the first, which is over for whoever waits.
  std::this_thread::sleep_for(seconds(11));
  const std::string stop = send_stop(this_job_);
  EXPECT_EQ(one.wait(), 86) << one.err();
  EXPECT_EQ(other.wait(), 86) << other.err();
  EXPECT_THAT(one.err(), Not(HasSubstr("ended before the deadline")));
  EXPECT_EQ(last_steps(stop), last_steps(held)) << "where they waited";
}

TEST_F(PauseTest, AStopThatHoldsEndsWhoeverDoesNotCome) {
  // A rank that closes no second step.
  Process run = job(1, {"steps=2", "calls=1", "seconds=1200"}, "r", "left");
  ASSERT_TRUE(eventually(
      [&] {
        const auto status = live();
        return status && status->steps == 1;
      },
      seconds(20)));
  const std::string hash = send(holding());
  EXPECT_EQ(run.wait(), 86) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("ended before the deadline"));
}

TEST_F(PauseTest, OfTwoPausesEachIsEndedByItself) {
  const auto words = steps(400, 8);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string first = send(order_to(order::Action::pause));
  ASSERT_TRUE(answered(first, "waiting"));
  const std::string second = send(order_to(order::Action::pause));
  ASSERT_TRUE(answered(second, "waiting"));
  send(resume_of(first));
  ASSERT_TRUE(answered(first, "resumed"));
  ASSERT_TRUE(answered(second, "waiting"));
  send(resume_of(second));
  EXPECT_EQ(one.wait(), 0) << one.err();
  EXPECT_EQ(other.wait(), 0) << other.err();
  EXPECT_EQ(verify().totals.steps, 400u);
}

TEST_F(PauseTest, AStopThatComesWhenAllAreQuietFindsThemSo) {
  Process run = job(1, {"steps=20000", "calls=5", "seconds=400", "goodbye=8"}, "r", "left");
  ASSERT_TRUE(run_trains("r"));
  const auto quiet = [&](const std::string& hash) {
    return eventually(
        [&] {
          const auto receipts = OrderSender(authority_).receipts(hash);
          return receipts.ok() && receipts->size() == 1 && receipts->front().state == "quiet";
        },
        seconds(7));
  };
  const std::string first = send_stop(this_job_);
  ASSERT_TRUE(quiet(first));
  ASSERT_FALSE(run.has_ended());
  const std::string second = send_stop(everything_);
  EXPECT_TRUE(quiet(second));
  EXPECT_EQ(last_steps(second), last_steps(first));
  EXPECT_EQ(run.wait(), 86) << run.err();
}

TEST_F(PauseTest, ARehearsalShowsThatAllWouldStopAndLosesNoStep) {
  const auto words = steps(600, 12);
  Process one = left(words), other = right(words);
  ASSERT_TRUE(run_trains("r", 1));
  const std::string hash = send(order_to(order::Action::rehearse));
  ASSERT_TRUE(answered(hash, "rehearsed"));
  expect_one_step(hash);
  EXPECT_EQ(one.wait(), 0) << one.err();
  EXPECT_EQ(other.wait(), 0) << other.err();
  EXPECT_EQ(verify().totals.steps, 600u);
  EXPECT_EQ(lines("rehearsal"), 2) << "once on each node";
  EXPECT_EQ(lines("order"), 0) << "nothing that would stand";
  Process again = job(1, {"steps=40", "seconds=4"}, "r", "left");
  EXPECT_EQ(again.wait(), 0) << again.err();
  EXPECT_EQ(lines("rehearsal"), 2) << "once in a run";
}

TEST_F(PauseTest, ARehearsalWithoutARankShowsNothing) {
  auto environment = base_environment();
  environment["ACCOUNT_RUN"] = "r";
  environment["ACCOUNT_AUTHORITY"] = authority_;
  Process run = account_run({}, {"/bin/sleep", "8"}, environment);
  const std::string hash = send(order_to(order::Action::rehearse));
  const auto receipts = OrderSender(authority_).wait(hash, 60.0);
  ASSERT_TRUE(receipts.ok()) << receipts.status().to_string();
  ASSERT_EQ(receipts->size(), 1u);
  EXPECT_EQ(receipts->front().state, "not agreed");
  EXPECT_EQ(run.wait(), 0) << run.err();
}

}  // namespace
}  // namespace account::e2e
