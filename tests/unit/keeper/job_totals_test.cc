// How nodes find and add up each other's totals.
#include "keeper/job_totals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace account::keeper {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The road itself: what one posts, the others see.
class Board final : public Exchange {
 public:
  Status post(std::string_view key, std::string_view blob) override {
    if (blocked) return Status(Code::unavailable, "blocked");
    blobs[std::string(key)] = blob;
    return Status();
  }
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t) override {
    if (blocked) return Status(Code::unavailable, "blocked");
    std::vector<std::optional<std::string>> found;
    for (const std::string& member : members) {
      ++questions;
      const auto blob = blobs.find(std::string(key) + "/" + member);
      found.push_back(blob == blobs.end() ? std::nullopt : std::optional(blob->second));
    }
    return found;
  }

  std::map<std::string, std::string> blobs;
  int questions = 0;
  bool blocked = false;
};

NodeTotal node(const std::string& name, std::vector<int> ranks, int world, uint64_t operations) {
  NodeTotal total;
  total.node = name;
  total.ranks = std::move(ranks);
  total.world_size = world;
  total.steps = 3;
  total.operations[{Category::train, Phase::backward}] = operations;
  return total;
}

class JobTotalsTest : public ::testing::Test {
 protected:
  Board board_;
  FakeClock clock_;
};

TEST_F(JobTotalsTest, ABlobComesBackAsItWas) {
  NodeTotal sent = node("0000000a", {4, 5}, 8, 12345);
  sent.processed = {UINT64_MAX, 7};
  const auto got = parse_total(to_blob(sent));
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(got->node, sent.node);
  EXPECT_EQ(got->ranks, sent.ranks);
  EXPECT_EQ(got->world_size, 8);
  EXPECT_EQ(got->steps, 3u);
  EXPECT_EQ(got->operations, sent.operations);
  EXPECT_EQ(got->processed, sent.processed);
}

TEST_F(JobTotalsTest, NodesFindEachOtherByTheirLowestRanks) {
  JobTotals a(board_, clock_), b(board_, clock_), c(board_, clock_);
  a.set_own(node("0000000a", {0, 1}, 6, 10));
  b.set_own(node("0000000b", {2, 3}, 6, 20));
  c.set_own(node("0000000c", {4, 5}, 6, 30));
  for (JobTotals* totals : {&a, &b, &c}) totals->round();
  a.round();
  const auto view = a.view();
  ASSERT_EQ(view->others.size(), 2u);
  EXPECT_EQ(sum(view->others[0].operations), OpCount(20));
  EXPECT_EQ(sum(view->others[1].operations), OpCount(30));
  EXPECT_THAT(view->silent_ranks, IsEmpty());
  EXPECT_TRUE(view->reached);
}

TEST_F(JobTotalsTest, RanksThatDoNotLieSideBySideAreFound) {
  JobTotals a(board_, clock_), b(board_, clock_);
  a.set_own(node("0000000a", {0, 3}, 4, 10));
  b.set_own(node("0000000b", {1, 2}, 4, 20));
  b.round();
  a.round();
  EXPECT_EQ(a.view()->others.size(), 1u);
  EXPECT_THAT(a.view()->silent_ranks, IsEmpty());
}

TEST_F(JobTotalsTest, TheRanksOfASilentNodeAreKnownByNumber) {
  JobTotals a(board_, clock_), c(board_, clock_);
  a.set_own(node("0000000a", {0, 1}, 6, 10));
  c.set_own(node("0000000c", {4, 5}, 6, 30));
  c.round();
  a.round();
  EXPECT_THAT(a.view()->silent_ranks, ElementsAre(2, 3));
}

TEST_F(JobTotalsTest, ANodeThatFallsSilentKeepsWhatItSaidLast) {
  JobTotals a(board_, clock_), b(board_, clock_);
  a.set_own(node("0000000a", {0}, 2, 10));
  b.set_own(node("0000000b", {1}, 2, 20));
  b.round();
  a.round();
  board_.blocked = true;
  a.round();
  ASSERT_EQ(a.view()->others.size(), 1u);
  EXPECT_EQ(sum(a.view()->others[0].operations), OpCount(20));
  EXPECT_FALSE(a.view()->reached);
}

TEST_F(JobTotalsTest, ABlobOfAnotherWorldSaysNothing) {
  JobTotals a(board_, clock_);
  a.set_own(node("0000000a", {0}, 2, 10));
  board_.blobs["total/1"] = to_blob(node("0000000b", {1, 2}, 3, 20));
  a.round();
  EXPECT_THAT(a.view()->others, IsEmpty());
  EXPECT_THAT(a.view()->silent_ranks, ElementsAre(1));
}

TEST_F(JobTotalsTest, HostileBlobsAreSilence) {
  JobTotals a(board_, clock_);
  a.set_own(node("0000000a", {0}, 2, 10));
  const std::string good = to_blob(node("0000000b", {1}, 2, 20));
  for (size_t size = 0; size < good.size(); ++size) {
    board_.blobs["total/1"] = good.substr(0, size);
    a.round();
    EXPECT_THAT(a.view()->others, IsEmpty()) << size;
  }
  board_.blobs["total/1"] = to_blob(node("0000000b", {7}, 2, 20));
  a.round();
  EXPECT_THAT(a.view()->silent_ranks, ElementsAre(1));
}

TEST_F(JobTotalsTest, ANodeThatHoldsTheWholeWorldAsksNobody) {
  JobTotals a(board_, clock_);
  a.set_own(node("0000000a", {0, 1}, 2, 10));
  a.round();
  EXPECT_EQ(board_.questions, 0);
  EXPECT_THAT(board_.blobs, IsEmpty());
}

TEST_F(JobTotalsTest, AWorldOfMoreNodesThanARoundAsksIsWalkedThroughInSeveral) {
  constexpr int kNodes = 600, kRanks = 8;
  for (int i = 1; i < kNodes; ++i) {
    std::vector<int> ranks;
    for (int rank = 0; rank < kRanks; ++rank) ranks.push_back(i * kRanks + rank);
    if (i == 300) continue;  // one is silent
    board_.blobs["total/" + std::to_string(ranks.front())] =
        to_blob(node(std::to_string(10'000'000 + i), ranks, kNodes * kRanks, 1));
  }
  JobTotals a(board_, clock_);
  a.set_own(node("0000000a", {0, 1, 2, 3, 4, 5, 6, 7}, kNodes * kRanks, 10));
  for (int round = 0; round < 3; ++round) a.round();
  EXPECT_EQ(a.view()->others.size(), 598u);
  EXPECT_THAT(a.view()->silent_ranks, ElementsAre(2400, 2401, 2402, 2403, 2404, 2405, 2406, 2407));
}

TEST_F(JobTotalsTest, ALargeSilentWorldCostsABoundedNumberOfQuestions) {
  JobTotals a(board_, clock_);
  a.set_own(node("0000000a", {0}, 100'000, 10));
  a.round();
  EXPECT_LE(board_.questions, 256);
}

// A job of so many nodes of one rank each that they do not all ask each other.
class ManyNodesTest : public JobTotalsTest {
 protected:
  static constexpr int kNodes = 2 * JobTotals::kDirectNodes;
  ManyNodesTest() {
    for (int i = 0; i < kNodes; ++i) {
      own_.push_back(node(std::to_string(10'000'000 + i), {i}, kNodes, 1));
      keepers_.push_back(std::make_unique<JobTotals>(board_, clock_));
    }
    rounds(2);  // everybody has posted, and the first has heard all
  }
  void rounds(int number, int first = 0) {
    for (int round = 0; round < number; ++round) {
      for (int i = first; i < kNodes; ++i) {
        keepers_[static_cast<size_t>(i)]->set_own(own_[static_cast<size_t>(i)]);
        keepers_[static_cast<size_t>(i)]->round();
      }
    }
  }
  std::vector<NodeTotal> own_;
  std::vector<std::unique_ptr<JobTotals>> keepers_;
};

TEST_F(ManyNodesTest, OneWalksAndTheOthersReadItsSum) {
  own_[5].limits["own:stop"] = "a reason";
  own_[6].acknowledged.insert("own:pause");
  rounds(1);
  board_.questions = 0;
  rounds(1);
  EXPECT_EQ(board_.questions, 2 * (kNodes - 1)) << "one walk, and one question of each other node";
  const auto view = keepers_[77]->view();
  ASSERT_EQ(view->others.size(), 1u);
  EXPECT_EQ(view->others[0].covers, kNodes);
  EXPECT_EQ(sum(view->others[0].operations), OpCount(kNodes));
  EXPECT_EQ(view->others[0].limits.at("own:stop"), "a reason");
  EXPECT_TRUE(view->others[0].acknowledged.contains("own:pause"));
  EXPECT_EQ(keepers_[0]->view()->others.size(), static_cast<size_t>(kNodes - 1));
}

TEST_F(ManyNodesTest, TheSumCountsTheVotesForTheSameCause) {
  for (int i = 0; i < kNodes; ++i) {
    NodeStop stop;
    stop.vote = static_cast<uint64_t>(100 + i % 7);
    stop.order.fill(static_cast<uint8_t>(20 - i % 7));
    if (i == 9) stop.about = "own:stop";
    if (i != 10) own_[static_cast<size_t>(i)].stop = stop;
  }
  rounds(2);
  const auto view = keepers_[77]->view();
  ASSERT_EQ(view->others.size(), 1u);
  ASSERT_TRUE(view->others[0].stop.has_value());
  EXPECT_EQ(view->others[0].stop->vote, 106u);
  EXPECT_EQ(view->others[0].stop->order[0], 14) << "the lowest of all";
  EXPECT_EQ(view->others[0].covers, kNodes - 2) << "one brakes for something else, one not at all";
}

TEST_F(ManyNodesTest, WhereTheSumStaysTheSameEachAsksForItself) {
  rounds(1);
  own_[3].operations[{Category::train, Phase::forward}] = OpCount(1000);
  rounds(JobTotals::kPatienceRounds, 1);
  EXPECT_EQ(keepers_[77]->view()->others.size(), 1u) << "patient at first";
  rounds(2, 1);
  const auto view = keepers_[77]->view();
  EXPECT_EQ(view->others.size(), static_cast<size_t>(kNodes - 1));
  OpCount all;
  for (const NodeTotal& other : view->others) all = saturating_add(all, sum(other.operations));
  EXPECT_EQ(all, OpCount(1000 + kNodes - 1));
}

TEST_F(ManyNodesTest, HostileSumsAreSilence) {
  const std::string good = board_.blobs.at("job/0");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << text;
    return text.replace(at, from.size(), to);
  };
  const std::string covers = "\"covers\":" + std::to_string(kNodes);
  for (const std::string& text :
       {std::string("{"), with(covers, "\"covers\":0"), with(covers, "\"covers\":-1"),
        with(covers, "\"covers\":1000000"), with(covers, "\"other\":1"),
        with("\"world_size\":" + std::to_string(kNodes), "\"world_size\":4")}) {
    board_.blobs["job/0"] = text;
    JobTotals late(board_, clock_);
    late.set_own(own_[77]);
    for (int i = 0; i < JobTotals::kPatienceRounds; ++i) late.round();
    EXPECT_THAT(late.view()->others, IsEmpty()) << text;
    late.round();
    EXPECT_EQ(late.view()->others.size(), static_cast<size_t>(kNodes - 1)) << text;
  }
}

}  // namespace
}  // namespace account::keeper
