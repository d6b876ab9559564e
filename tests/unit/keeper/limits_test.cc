// What a job does by itself: the words of a limit, when it is crossed, and what lets it go on.
#include "keeper/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "keeper/judge.h"
#include "support/matchers.h"
#include "support/policy_file.h"
#include "unit/keeper/support.h"

namespace account::keeper {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

TEST(PolicyWishTest, ReadsAnActionAndAShare) {
  const auto stop = parse_policy_wish("us-ca-sb1047-enrolled:stop@0.95");
  ASSERT_THAT(stop, IsOk());
  EXPECT_EQ(stop->id_or_path, "us-ca-sb1047-enrolled");
  ASSERT_TRUE(stop->limit.has_value());
  EXPECT_FALSE(stop->limit->pauses);
  EXPECT_EQ(stop->limit->millionths, 950'000u);
  const auto pause = parse_policy_wish("eu-aia-51:pause");
  ASSERT_TRUE(pause.ok() && pause->limit.has_value());
  EXPECT_TRUE(pause->limit->pauses);
  EXPECT_EQ(pause->limit->millionths, 1'000'000u);
  EXPECT_FALSE(parse_policy_wish("eu-aia-51:warn")->limit.has_value());
  EXPECT_EQ(parse_policy_wish("eu-aia-51:warn")->id_or_path, "eu-aia-51");
  EXPECT_EQ(parse_policy_wish("C:policy.json")->id_or_path, "C:policy.json");
}

TEST(PolicyWishTest, RefusesAShareThatIsNone) {
  for (const char* text : {"x:stop@", "x:stop@0", "x:stop@0.", "x:stop@0.0000001", "x:stop@1.5",
                           "x:stop@95%", "x:stop@-0.5", "x:pause@0.9x", "x:warn@0.5"}) {
    EXPECT_THAT(parse_policy_wish(text), StatusIs(Code::invalid_argument)) << text;
  }
}

TEST(PolicyWishTest, ANameIsReadBackAsItself) {
  for (const uint32_t millionths : {1u, 500'000u, 950'000u, 999'999u, 1'000'000u}) {
    const Limit limit{"us-ny-raise-2026", false, millionths};
    const auto again = parse_policy_wish(limit.spec());
    ASSERT_THAT(again, IsOk()) << limit.spec();
    EXPECT_EQ(again->id_or_path, limit.policy);
    EXPECT_EQ(again->limit->millionths, millionths);
  }
  EXPECT_EQ((Limit{"a", true, 950'000}.spec()), "a:pause@0.95");
  EXPECT_EQ((Limit{"a", false, 1'000'000}.spec()), "a:stop");
}

Distance distance_of(uint64_t counted, uint64_t threshold, bool over, policy::Verdict verdict) {
  Distance distance;
  distance.policy = "a";
  distance.verdict = verdict;
  distance.counted = OpCount(counted);
  distance.threshold = OpCount(threshold);
  distance.over = over;
  return distance;
}

TEST(CrossedTest, AShareIsExactAndTheWholeIsThePolicysOwnRule) {
  using policy::Verdict;
  const Limit most{"a", false, 950'000};
  EXPECT_FALSE(is_crossed(most, distance_of(949, 1000, false, Verdict::approaching)));
  EXPECT_TRUE(is_crossed(most, distance_of(950, 1000, false, Verdict::approaching)));
  const Limit whole{"a", false, 1'000'000};
  EXPECT_FALSE(is_crossed(whole, distance_of(1000, 1000, false, Verdict::approaching)));
  EXPECT_TRUE(is_crossed(whole, distance_of(1001, 1000, true, Verdict::reached)));
  EXPECT_TRUE(is_crossed(whole, distance_of(1001, 1000, true, Verdict::unknown)))
      << "what it has cost is not known to a running job";
  EXPECT_FALSE(is_crossed(whole, distance_of(1001, 1000, true, Verdict::below)))
      << "another test of the rule says no";
  EXPECT_FALSE(is_crossed({"b", false, 1}, distance_of(950, 1000, false, Verdict::approaching)));
}

class LimitsFixture : public KeeperFixture {
 protected:
  Status acknowledge(const std::vector<std::string>& limits) {
    return write_acknowledgement(FileSystem::real(), place_.run_folder(),
                                 {limits, "an officer", "reviewed", 1})
        .status();
  }
  // As admission steps ask.
  Status may_start() {
    KeeperOptions options;
    options.place = place_;
    return keeper::may_start(disk_, clock_, options);
  }
  static tally::Command command_of(TestRank& rank) {
    return static_cast<tally::Command>(rank.layout().control.command.load());
  }
};

TEST_F(LimitsFixture, AStopHoldsUntilAcknowledgedAndOverARestart) {
  policies_ = {testing::write_policy(dir_, OpCount(1000)) + ":stop@0.5"};
  ASSERT_THAT(open(), IsOk());
  {
    TestRank rank(place_, rank_of(0, 1));
    rank.count(499);
    rank.step();
    turn_for(3 * kSecond);
    EXPECT_EQ(command_of(rank), tally::Command::none);
    rank.count(1);
    rank.step();
    turn_for(3 * kSecond);
    EXPECT_EQ(command_of(rank), tally::Command::stop_at_edge);
    EXPECT_EQ(rank.layout().control.gate.load(), 0u) << "weights may be saved";
    EXPECT_THAT(rank.layout().control.reason, HasSubstr("own, rule 'all'"));
    EXPECT_THAT(keeper_->stopped(), StatusIs(Code::threshold_reached, HasSubstr("own:stop@0.5")));
    EXPECT_THAT(keeper_->status().waits, HasSubstr("account policy acknowledge"));
    rank.layout().edge.state.store(static_cast<uint32_t>(tally::RankState::stopped));
    rank.layout().edge.finish_wanted.store(1);
    turn_for(kSecond);
    end(3);
  }
  EXPECT_THAT(open(), StatusIs(Code::threshold_reached, HasSubstr("own:stop@0.5")));
  EXPECT_THAT(may_start(), StatusIs(Code::threshold_reached));

  ASSERT_THAT(acknowledge({"own:stop@0.5"}), IsOk());
  EXPECT_THAT(may_start(), IsOk());
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(10);
  rank.step();
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::none) << "once acknowledged it stays so";
  rank.finish();
  end();
  std::vector<std::string> types;
  const ledger::Report report = verify();
  for (const Json& event : report.nodes[0].events) types.push_back(*event.get_string("type"));
  EXPECT_THAT(types, Contains("limit").Times(1));
  EXPECT_THAT(types, Contains("acknowledged").Times(1));
  EXPECT_THAT(types, Contains("quiet").Times(1));
}

TEST_F(LimitsFixture, APauseLetsRanksWaitAndGoOn) {
  policies_ = {testing::write_policy(dir_, OpCount(1000)) + ":pause"};
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1001);
  rank.step();
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::wait_at_edge);
  EXPECT_THAT(keeper_->stopped(), IsOk());
  ASSERT_THAT(acknowledge({"own:stop"}), IsOk()) << "of another limit";
  std::ofstream(place_.run_folder() + "/acknowledged/mangled.json") << "{";
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::wait_at_edge);
  EXPECT_TRUE(said("mangled.json"));
  ASSERT_THAT(acknowledge({"own:pause"}), IsOk());
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::none);
  EXPECT_TRUE(said("own:pause is acknowledged by an officer"));
  rank.finish();
  end();
}

TEST_F(LimitsFixture, NobodyAnswersForWhatHasNotHappened) {
  policies_ = {testing::write_policy(dir_, OpCount(1000)) + ":stop"};
  ASSERT_THAT(open(), IsOk());
  std::filesystem::create_directories(place_.run_folder() + "/acknowledged");
  TestRank rank(place_, rank_of(0, 1));
  rank.step();
  turn_for(kSecond);
  EXPECT_THAT(write_acknowledgement(disk_, place_.run_folder(), {{"own:stop"}, "", "why", 1}),
              StatusIs(Code::invalid_argument));
  EXPECT_THAT(may_start(), IsOk());
  rank.finish();
  end();
}

TEST_F(LimitsFixture, AnotherKeeperHoldsTheSameRanksAgain) {
  policies_ = {testing::write_policy(dir_, OpCount(1000)) + ":pause"};
  ASSERT_THAT(open(false), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1001);
  rank.step();
  turn_for(3 * kSecond);
  ASSERT_EQ(command_of(rank), tally::Command::wait_at_edge);
  rank.layout().control.stop_edge.store(5);  // what it has voted for
  keeper_.reset();                           // dies
  ASSERT_THAT(open(false), IsOk());
  turn_for(3 * kSecond);
  EXPECT_EQ(rank.layout().control.stop_edge.load(), 5u) << "a vote is never taken back";
  EXPECT_EQ(command_of(rank), tally::Command::wait_at_edge);
  EXPECT_EQ(rank.acceptance(), Acceptance::accepted);
  ASSERT_THAT(acknowledge({"own:pause"}), IsOk());
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::none);
  rank.finish();
  turn_for(3 * kSecond);
}

TEST_F(LimitsFixture, RanksThatWaitGoOnWhereTheAnswerCameWhileNoKeeperLived) {
  policies_ = {testing::write_policy(dir_, OpCount(1000)) + ":pause"};
  ASSERT_THAT(open(false), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1001);
  rank.step();
  turn_for(3 * kSecond);
  ASSERT_EQ(command_of(rank), tally::Command::wait_at_edge);
  keeper_.reset();  // dies
  ASSERT_THAT(acknowledge({"own:pause"}), IsOk());
  ASSERT_THAT(open(false), IsOk());
  turn_for(3 * kSecond);
  EXPECT_EQ(command_of(rank), tally::Command::none);
  rank.finish();
  turn_for(3 * kSecond);
}

JobTotals::View heard_from(const std::string& node, std::map<std::string, std::string> limits,
                           std::set<std::string> acknowledged) {
  JobTotals::View view;
  view.others.emplace_back();
  view.others[0].node = node;
  view.others[0].limits = std::move(limits);
  view.others[0].acknowledged = std::move(acknowledged);
  return view;
}

TEST_F(LimitsFixture, WhatAnotherNodeCrossedAndWasAnsweredCountsHere) {
  Limits limits(disk_, clock_, place_.run_folder());
  limits.turn(heard_from("0000000b", {{"own:pause@0.5", "half of it"}, {"no limit", "x"}}, {}));
  ASSERT_TRUE(limits.wanted().has_value());
  EXPECT_TRUE(limits.wanted()->waits);
  EXPECT_FALSE(limits.wanted()->ends);
  EXPECT_EQ(limits.wanted()->about, "own:pause@0.5");
  limits.turn(heard_from("0000000c", {{"own:stop", "all of it"}}, {}));
  EXPECT_FALSE(limits.wanted()->waits) << "one of them stops";
  EXPECT_EQ(limits.take_lines().size(), 2u);
  limits.turn(heard_from("0000000b", {}, {"own:pause@0.5", "own:stop"}));
  EXPECT_EQ(limits.wanted(), std::nullopt);
  EXPECT_THAT(limits.permission(), IsOk());
  EXPECT_EQ(limits.take_lines().size(), 2u);
  limits.turn(heard_from("0000000b", {}, {"own:pause@0.5", "own:stop"}));
  EXPECT_TRUE(limits.take_lines().empty()) << "said once";
}

TEST_F(LimitsFixture, AnAnswerHeardBeforeTheLimitIsCrossedHereHoldsHereToo) {
  Limits limits(disk_, clock_, place_.run_folder());
  limits.turn(heard_from("0000000b", {{"own:stop", "late"}}, {"own:stop"}));
  EXPECT_EQ(limits.wanted(), std::nullopt);
  limits.crossed({"own", false, 1'000'000}, "all of it", Json::object());
  EXPECT_EQ(limits.wanted(), std::nullopt);
}

TEST_F(KeeperFixture, ALimitWithoutAShareIsRefusedAtTheStart) {
  policies_ = {"us-ca-sb1047-enrolled:stop@95"};
  EXPECT_THAT(open(), StatusIs(Code::invalid_argument, HasSubstr("no share")));
}

}  // namespace
}  // namespace account::keeper
