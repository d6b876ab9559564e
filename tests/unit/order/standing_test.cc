// Which stops stand: the rules of docs/stop_protocol.md, one test each.
#include "order/standing.h"

#include <algorithm>

#include "unit/order/support.h"

namespace account::order {
namespace {

class StandingTest : public testing::Test {
 protected:
  StandingTest() {
    job_.run = "r7", job_.model = "acme/chat-7b", job_.scheduler_id = "4711";
    job_.lineage = {"acme/base"}, job_.developer = "acme", job_.customer = "bank";
    job_.cluster = "alps";
  }

  std::string stop(const Order& order) const { return sign_order(order, {&a_.stop_a}); }
  std::string lift(const Order& order) const { return sign_order(order, {&a_.lift_a, &a_.lift_b}); }

  StandingInput input(std::vector<std::string> found,
                      std::vector<std::string> accepted = {}) const {
    AuthorityOrders orders{a_.chain(), {}, {}};
    for (std::string& bytes : found) orders.found.push_back({"orders/x.json", std::move(bytes)});
    for (std::string& bytes : accepted) orders.accepted.push_back({"ledger", std::move(bytes)});
    StandingInput in;
    in.authorities.push_back(std::move(orders));
    in.job = job_;
    in.now_unix = kNow;
    return in;
  }
  static bool may_train(const StandingInput& in) { return judge_standing(in).permission().ok(); }

  const Authority a_;
  Traits job_;
};

TEST_F(StandingTest, PermitsAJobThatNobodyStopped) {
  EXPECT_TRUE(may_train(input({})));
  EXPECT_TRUE(may_train(StandingInput{}));
}

TEST_F(StandingTest, HoldsWhomTheScopeCovers) {
  const struct {
    Scope scope;
    bool covered;
  } cases[] = {
      {{Scope::Kind::job, "r7"}, true},
      {{Scope::Kind::job, "4711"}, true},
      {{Scope::Kind::job, "r8"}, false},
      {{Scope::Kind::job, "acme/chat-7b"}, false},
      {{Scope::Kind::model, "acme/chat-7b"}, true},
      {{Scope::Kind::model, "acme/chat-70b"}, false},
      {{Scope::Kind::model, "acme/base"}, true},  // what it was made from
      {{Scope::Kind::developer, "acme"}, true},
      {{Scope::Kind::developer, "r7"}, false},
      {{Scope::Kind::customer, "bank"}, true},
      {{Scope::Kind::customer, "acme"}, false},
      {{Scope::Kind::cluster, "alps"}, true},
      {{Scope::Kind::cluster, "alp"}, false},
      {{Scope::Kind::all, ""}, true},
  };
  for (const auto& c : cases) {
    const Standing standing = judge_standing(input({stop(make_stop(c.scope))}));
    EXPECT_EQ(standing.permission().ok(), !c.covered) << to_string(c.scope);
    EXPECT_EQ(standing.stops.size(), 1u);
    EXPECT_TRUE(standing.refused.empty());
  }
}

TEST_F(StandingTest, SaysWhichOrderByWhomAndWhatToDo) {
  const Status status = judge_standing(input({stop(make_stop())})).permission();
  EXPECT_EQ(status.code(), Code::shutdown_ordered);
  const std::string said = status.to_string();
  for (const char* part : {"job r7", "safety officer", "evaluation 12 failed", "account lift"}) {
    EXPECT_NE(said.find(part), std::string::npos) << said;
  }
}

TEST_F(StandingTest, ObeysAStopOfAnyNumberAgeAndClock) {
  Order old = make_stop();
  old.number = 0;
  old.issued_unix = 0;
  Order ahead = make_stop();
  ahead.issued_unix = kNow + 400 * kDay;
  for (const Order& order : {old, ahead}) {
    for (const int64_t now : {int64_t{0}, kNow - kDay, kNow, kNow + kDay, kNow + 1000 * kDay}) {
      StandingInput in = input({stop(order)});
      in.now_unix = now;
      EXPECT_FALSE(may_train(in));
    }
  }
}

TEST_F(StandingTest, LetsAnExpiredRootStopAndNotLift) {
  const Order order = make_stop();
  StandingInput in = input({stop(order), lift(make_lift({hash_of(order)}))});
  EXPECT_TRUE(may_train(in));
  in.authorities[0].chain = [&] {
    Root root = a_.root();
    root.expires_unix = kNow - kDay;
    return RootChain::verify({a_.signed_root(root)}, "").value();
  }();
  const Standing standing = judge_standing(in);
  EXPECT_FALSE(standing.permission().ok());
  ASSERT_EQ(standing.refused.size(), 1u);
  EXPECT_EQ(standing.refused[0].why.code(), Code::expired);
}

TEST_F(StandingTest, KeepsBothOfTwoStopsAndLiftsOnlyWhatIsNamed) {
  const Order first = make_stop();
  Order second = make_stop({Scope::Kind::all, ""});
  second.nonce = std::string(32, 'c');
  const std::string lifts_first = lift(make_lift({hash_of(first)}));
  EXPECT_EQ(judge_standing(input({stop(first), stop(second)})).stops.size(), 2u);
  const Standing standing = judge_standing(input({stop(second), lifts_first, stop(first)}));
  ASSERT_EQ(standing.stops.size(), 1u);
  EXPECT_EQ(standing.stops[0].order, hash_of(second));
  ASSERT_EQ(standing.lifted.size(), 1u);
  EXPECT_EQ(standing.lifted[0].order, hash_of(first));
  EXPECT_FALSE(standing.permission().ok());
  const std::string lifts_both = lift(make_lift({hash_of(first), hash_of(second)}, 2));
  EXPECT_TRUE(may_train(input({stop(first), stop(second), lifts_first, lifts_both})));
}

TEST_F(StandingTest, IsNotMovedByALiftOfStopKeysOrByOneLiftKey) {
  const Order order = make_stop();
  const Order lifting = make_lift({hash_of(order)});
  for (const std::string& bytes :
       {sign_order(lifting, {&a_.stop_a, &a_.stop_b}), sign_order(lifting, {&a_.lift_a}),
        sign_order(lifting, {&a_.foreign, &a_.lift_a})}) {
    const Standing standing = judge_standing(input({stop(order), bytes}));
    EXPECT_FALSE(standing.permission().ok());
    ASSERT_EQ(standing.refused.size(), 1u);
    EXPECT_EQ(standing.refused[0].why.code(), Code::unverified);
  }
}

TEST_F(StandingTest, AcceptsALiftInItsWindowOnly) {
  const Order order = make_stop();
  Order late = make_lift({hash_of(order)});
  late.issued_unix = kNow - 20 * kDay;
  late.accept_until_unix = kNow - kDay;
  Order early = make_lift({hash_of(order)});
  early.issued_unix = kNow + kDay;
  early.accept_until_unix = kNow + 2 * kDay;
  for (const Order& lifting : {late, early}) {
    const Standing standing = judge_standing(input({stop(order), lift(lifting)}));
    EXPECT_FALSE(standing.permission().ok());
    ASSERT_EQ(standing.refused.size(), 1u);
    EXPECT_EQ(standing.refused[0].why.code(), Code::expired);
  }
  // A clock set back does not open the window again: the ledger has seen a later time.
  StandingInput in = input({stop(order), lift(late)});
  in.now_unix = kNow - 10 * kDay;
  EXPECT_TRUE(may_train(in));
  in.latest_seen_unix = kNow;
  EXPECT_FALSE(may_train(in));
}

TEST_F(StandingTest, KeepsAnAcceptedLiftForGood) {
  const Order order = make_stop();
  const std::string lifting = lift(make_lift({hash_of(order)}));
  const Standing first = judge_standing(input({stop(order), lifting}));
  ASSERT_EQ(first.newly_accepted.size(), 1u);
  EXPECT_EQ(first.newly_accepted[0].envelope, lifting);
  // Its window is over, and it was removed from the directory or still lies there.
  for (const auto& found : {std::vector<std::string>{stop(order)}, {stop(order), lifting}}) {
    StandingInput in = input(found, {lifting});
    in.now_unix = kNow + 90 * kDay;
    const Standing standing = judge_standing(in);
    EXPECT_TRUE(standing.permission().ok());
    EXPECT_TRUE(standing.newly_accepted.empty());
    EXPECT_TRUE(standing.refused.empty());
  }
}

TEST_F(StandingTest, BelievesNoRecordOfALiftThatDoesNotVerify) {
  const Order order = make_stop();
  const std::string forged = sign_order(make_lift({hash_of(order)}), {&a_.stop_a, &a_.stop_b});
  for (const std::string& recorded : {forged, std::string("{}"), stop(order)}) {
    EXPECT_FALSE(may_train(input({stop(order)}, {recorded})));
  }
}

TEST_F(StandingTest, IsNotMovedByAnOldLiftCopiedBack) {
  const Order first = make_stop();
  Order second = make_stop();
  second.nonce = std::string(32, 'd');
  const std::string old_lift = lift(make_lift({hash_of(first)}, 1));
  EXPECT_FALSE(may_train(input({stop(first), stop(second), old_lift}, {old_lift})));
  // A lift that was held back until a later one was accepted.
  const std::string held_back = lift(make_lift({hash_of(second)}, 1));
  const std::string later = lift(make_lift({hash_of(first)}, 2));
  const Standing standing = judge_standing(input({stop(first), stop(second), held_back}, {later}));
  EXPECT_FALSE(standing.permission().ok());
  ASSERT_EQ(standing.refused.size(), 1u);
  EXPECT_EQ(standing.refused[0].why.code(), Code::replayed);
}

TEST_F(StandingTest, RefusesALiftUnderARootThatWasReplaced) {
  const Order order = make_stop();
  const std::string lifting = lift(make_lift({hash_of(order)}));
  Root other_keys = a_.root(2);
  other_keys.lift.keys = {a_.lift_b.public_key(), a_.lift_c.public_key()};
  for (const Root& second : {a_.root(2), other_keys}) {
    StandingInput in = input({stop(order), lifting});
    in.authorities[0].chain =
        RootChain::verify({a_.signed_root(a_.root()), a_.signed_root(second)}, "").value();
    const Standing standing = judge_standing(in);
    EXPECT_FALSE(standing.permission().ok());
    ASSERT_EQ(standing.refused.size(), 1u);
    EXPECT_EQ(standing.refused[0].why.code(), Code::replayed);
    // What was accepted before the rotation holds; and who signs under the new root lifts.
    in.authorities[0].accepted.push_back({"ledger", lifting});
    EXPECT_TRUE(may_train(in));
    in.authorities[0].accepted.clear();
    Order renewed = make_lift({hash_of(order)});
    renewed.root_version = 2;
    in.authorities[0].found.push_back(
        {"orders/y.json", sign_order(renewed, {&a_.lift_b, &a_.lift_c})});
    EXPECT_TRUE(may_train(in));
  }
}

TEST_F(StandingTest, LetsEachAuthorityLiftItsOwnOnly) {
  Authority other;
  other.lift_a = fixed_key(51), other.lift_b = fixed_key(52), other.stop_a = fixed_key(53);
  Root root = other.root();
  root.authority = "state";
  const Order order = make_stop();
  Order foreign_lift = make_lift({hash_of(order)});
  foreign_lift.authority = "state";
  StandingInput in = input({stop(order)});
  in.authorities.push_back(
      {RootChain::verify({other.signed_root(root)}, "").value(),
       {{"orders/l.json", sign_order(foreign_lift, {&other.lift_a, &other.lift_b})}},
       {}});
  EXPECT_FALSE(may_train(in));
  // And any of them stops.
  Order foreign_stop = make_stop();
  foreign_stop.authority = "state";
  StandingInput both = input({});
  both.authorities.push_back({in.authorities[1].chain,
                              {{"orders/s.json", sign_order(foreign_stop, {&other.stop_a})}},
                              {}});
  EXPECT_FALSE(may_train(both));
}

TEST_F(StandingTest, LetsATraceStandWhoseOrderIsMissing) {
  const Order order = make_stop();
  StandingInput in = input({});
  in.traces.push_back({hash_of(order), "", "tally", std::nullopt, Trace::Kind::own});
  const Standing standing = judge_standing(in);
  ASSERT_NE(standing.holding(), nullptr);
  EXPECT_FALSE(standing.holding()->known.has_value());
  EXPECT_EQ(standing.permission().code(), Code::shutdown_ordered);
  // Only a lift that names it ends that; by the authority whose it is, where that is known.
  in.authorities[0].found.push_back({"l", lift(make_lift({hash_of(order)}))});
  EXPECT_TRUE(may_train(in));
  in.traces[0].authority = std::string(64, '7');
  EXPECT_FALSE(may_train(in));
}

TEST_F(StandingTest, KnowsAStoppedJobByAnyTraitThatWasFrozen) {
  Traits frozen;
  frozen.run = "r1", frozen.directory = "/data/r1", frozen.model = "acme/base";
  frozen.scheduler_id = "99", frozen.scheduler_name = "night", frozen.command = "c0ffee";
  frozen.origins = {"r0"}, frozen.lineage = {"acme/seed"}, frozen.developer = "acme";
  const auto refused = [&](const Traits& job) {
    StandingInput in = input({});
    in.job = job;
    in.traces.push_back({hash_of(make_stop()), "", "ledger", frozen, Trace::Kind::own});
    return !may_train(in);
  };
  Traits job;
  EXPECT_FALSE(refused(job));  // what is unknown is shared with nobody
  job.run = "r2", job.directory = "/data/r2", job.model = "acme/other", job.scheduler_id = "98";
  job.scheduler_name = "day", job.command = "decaf";
  // From the same base, by the same people: another job.
  job.origins = {"r0"}, job.lineage = {"acme/seed"}, job.developer = "acme";
  EXPECT_FALSE(refused(job));
  const auto with = [&](auto Traits::* member, const auto& value) {
    Traits changed = job;
    changed.*member = value;
    return changed;
  };
  EXPECT_TRUE(refused(with(&Traits::run, "r1")));
  EXPECT_TRUE(refused(with(&Traits::directory, "/data/r1")));
  EXPECT_TRUE(refused(with(&Traits::model, "acme/base")));
  EXPECT_TRUE(refused(with(&Traits::scheduler_id, "99")));
  EXPECT_TRUE(refused(with(&Traits::scheduler_name, "night")));
  EXPECT_TRUE(refused(with(&Traits::command, "c0ffee")));
  EXPECT_TRUE(refused(with(&Traits::origins, std::vector<std::string>{"r0", "r1"})));
}

TEST_F(StandingTest, APauseEndsByAResumeOrALiftWhileTheJobRuns) {
  const Order pause = make_pause();
  const std::string bytes = stop(pause);
  EXPECT_FALSE(may_train(input({bytes})));
  EXPECT_NE(judge_standing(input({bytes})).permission().to_string().find("account resume"),
            std::string::npos);
  ASSERT_EQ(judge_running(input({bytes}), {}).stops.size(), 1u);

  for (const std::string& ending :
       {stop(make_resume({hash_of(pause)})), lift(make_lift({hash_of(pause)}))}) {
    const Standing running = judge_running(input({ending, bytes}), {});
    EXPECT_TRUE(running.stops.empty());
    ASSERT_EQ(running.lifted.size(), 1u);
    EXPECT_TRUE(running.lifted[0].waited);
    EXPECT_EQ(running.newly_accepted.size(), 1u);
    EXPECT_TRUE(may_train(input({ending, bytes})));
    EXPECT_TRUE(judge_running(input({bytes}, {ending}), {}).stops.empty()) << "once accepted";
  }
  EXPECT_FALSE(may_train(input({bytes, stop(make_resume({hash_of(make_stop())}))})));
}

TEST_F(StandingTest, AResumeEndsNoStop) {
  const Order order = make_stop();
  const StandingInput in = input({stop(order), stop(make_resume({hash_of(order)}))});
  EXPECT_FALSE(may_train(in));
  EXPECT_EQ(judge_running(in, {}).stops.size(), 1u);
  EXPECT_FALSE(may_train(input({stop(order)}, {stop(make_resume({hash_of(order)}))})));
  // Nor a trace whose order is gone, which stands as a stop.
  StandingInput gone = input({stop(make_resume({hash_of(make_pause())}))});
  gone.traces.push_back({hash_of(make_pause()), "", "ledger", std::nullopt, Trace::Kind::own});
  EXPECT_FALSE(may_train(gone));
}

TEST_F(StandingTest, AStopThatHoldsEndsByALiftAloneWhileTheJobRuns) {
  Order held = make_stop();
  held.grace = Grace::hold;
  const std::string bytes = stop(held);
  EXPECT_TRUE(judge_running(input({bytes}), {}).stops[0].waits());
  EXPECT_FALSE(may_train(input({bytes})));
  EXPECT_NE(judge_standing(input({bytes})).permission().to_string().find("account lift"),
            std::string::npos);

  const std::string resume = stop(make_resume({hash_of(held)}));
  EXPECT_EQ(judge_running(input({resume, bytes}), {}).stops.size(), 1u);
  EXPECT_FALSE(may_train(input({resume, bytes})));
  const std::string ending = lift(make_lift({hash_of(held)}));
  const Standing running = judge_running(input({ending, bytes}), {});
  EXPECT_TRUE(running.stops.empty());
  ASSERT_EQ(running.lifted.size(), 1u);
  EXPECT_TRUE(running.lifted[0].waited);
  EXPECT_EQ(running.newly_accepted.size(), 1u);
  EXPECT_TRUE(may_train(input({ending, bytes})));

  // Where only its trace is left it is a stop like others.
  StandingInput gone = input({ending});
  gone.traces.push_back({hash_of(held), "", "ledger", std::nullopt, Trace::Kind::own});
  EXPECT_FALSE(judge_running(gone, {}).stops.empty());
}

TEST_F(StandingTest, AStopGoesBeforeOneThatHoldsAndThatBeforeAPause) {
  Order held = make_stop();
  held.grace = Grace::hold;
  const StandingInput two = input({stop(make_pause()), stop(held)});
  EXPECT_TRUE(judge_standing(two).holding()->waits());
  EXPECT_EQ(judge_standing(two).holding()->action(), Action::stop);
  const StandingInput all = input({stop(make_pause()), stop(held), stop(make_stop())});
  EXPECT_FALSE(judge_standing(all).holding()->waits());
}

TEST_F(StandingTest, UnderAnExpiredRootAPauseHoldsAndAResumeEndsNothing) {
  const Order pause = make_pause();
  StandingInput in = input({stop(pause), stop(make_resume({hash_of(pause)}))});
  in.now_unix = kNow + 200 * kDay;
  EXPECT_FALSE(may_train(in));
  ASSERT_EQ(judge_standing(in).refused.size(), 1u);
  EXPECT_EQ(judge_standing(in).refused[0].why.code(), Code::expired);
}

TEST_F(StandingTest, ARehearsalIsDueInItsWindowAndInScopeAndHoldsNobody) {
  const StandingInput in = input({stop(make_rehearsal())});
  EXPECT_TRUE(may_train(in));
  ASSERT_EQ(judge_running(in, {}).rehearsals.size(), 1u);
  EXPECT_EQ(judge_running(in, {}).rehearsals[0].because, "job r7");
  StandingInput late = in;
  late.latest_seen_unix = kNow + kDay;
  StandingInput early = in;
  early.now_unix = kNow - kDay;
  StandingInput expired = in;
  expired.now_unix = kNow + 200 * kDay;
  const StandingInput other = input({stop(make_rehearsal({Scope::Kind::job, "r8"}))});
  for (const StandingInput& none : {late, early, expired, other}) {
    EXPECT_TRUE(judge_running(none, {}).rehearsals.empty());
    EXPECT_TRUE(judge_running(none, {}).refused.empty());
  }
}

TEST_F(StandingTest, LetsAReceiptWidenAStopButNeverMakeOne) {
  const Order order = make_stop({Scope::Kind::job, "r1"});
  Traits frozen;
  frozen.run = "r1", frozen.model = "acme/chat-7b";
  const Trace receipt{hash_of(order), a_.chain().pin(), "receipt", frozen, Trace::Kind::receipt};
  StandingInput in = input({});
  in.traces.push_back(receipt);
  EXPECT_TRUE(may_train(in));  // no such stop
  in = input({stop(order)});
  EXPECT_TRUE(may_train(in));  // a stop for another job
  in.traces.push_back(receipt);
  EXPECT_FALSE(may_train(in));  // which was this model's
  in.traces[0].frozen->run = "r9";
  EXPECT_TRUE(may_train(in));  // a receipt of a job that the stop is not about
}

TEST_F(StandingTest, CapsTheQuietSecondsByTheRoot) {
  Order order = make_stop();
  order.quiet_seconds = 7;
  EXPECT_EQ(judge_standing(input({stop(order)})).stops[0].quiet_seconds, 7);
  order.quiet_seconds = 100'000;
  EXPECT_EQ(judge_standing(input({stop(order)})).stops[0].quiet_seconds, 600);
}

TEST_F(StandingTest, IgnoresLiftsWhileTheJobRunsButForWhatWasSettled) {
  const Order first = make_stop();
  Order second = make_stop();
  second.nonce = std::string(32, 'e');
  const StandingInput in =
      input({stop(first), stop(second), lift(make_lift({hash_of(first), hash_of(second)}))});
  EXPECT_TRUE(may_train(in));
  EXPECT_EQ(judge_running(in, {}).stops.size(), 2u);
  EXPECT_TRUE(judge_running(in, {}).newly_accepted.empty());
  const Standing running = judge_running(in, {hash_of(first)});
  ASSERT_EQ(running.stops.size(), 1u);
  EXPECT_EQ(running.stops[0].order, hash_of(second));
}

TEST_F(StandingTest, ListsEveryRefusalByItsPlaceAndTrainsOn) {
  StandingInput in = input({sign_order(make_stop(), {&a_.foreign}), "{", "",
                            stop(make_stop({Scope::Kind::job, "another"}))});
  in.authorities[0].found[0].place = "orders/forged.json";
  const Standing standing = judge_standing(in);
  EXPECT_TRUE(standing.permission().ok());
  ASSERT_EQ(standing.refused.size(), 3u);
  EXPECT_EQ(standing.refused[0].place, "orders/forged.json");
}

}  // namespace
}  // namespace account::order
