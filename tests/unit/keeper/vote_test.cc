// How keepers agree; the cases are those of tests/model/stop.pml.
#include "keeper/vote.h"

#include <gtest/gtest.h>

namespace account::keeper {
namespace {

using tally::Command;

TEST(VoteTest, IsTheHighestNextEdgeOfTheNode) {
  EXPECT_EQ(vote_of({{4, 5}, {4, 4}}), 5u);
  EXPECT_EQ(vote_of({{5, 5}, {4, 5}}), 5u);
  EXPECT_EQ(vote_of({}), 0u) << "a node without ranks has no opinion";
}

TEST(VoteTest, IsApartWhenARankIsGoneOrTooFarAway) {
  EXPECT_EQ(vote_of({{4, 5}, {4, 5, true}}), kApart);
  EXPECT_EQ(vote_of({{6, 7}, {4, 5}}), kApart);
}

TEST(DecideTest, TakesTheHighestWhenAllAgree) {
  const Decision decision = decide({5, 6, 5});
  EXPECT_EQ(decision.command, Command::stop_at_edge);
  EXPECT_EQ(decision.stop_edge, 6u);
  EXPECT_EQ(decision.how, "agreed");
}

TEST(DecideTest, StopsEachAtItsOwnEdgeWhenOneIsApartOrSilent) {
  EXPECT_EQ(decide({5, kApart}).command, Command::stop_now);
  EXPECT_EQ(decide({5, std::nullopt}).command, Command::stop_now);
  EXPECT_EQ(decide({5, std::nullopt}).stop_edge, 0u) << "the edge that every rank has reached";
}

}  // namespace
}  // namespace account::keeper
