// The brake's last clock: how long a rank that has stopped may live on. A real process has the
// page, a clock that the test owns goes over minutes.
#include "keeper/brake.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "support/temp_dir.h"
#include "tally/tally.h"

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000, kMinute = 60 * kSecond;

// A process that has a page and does nothing.
class IdleRank {
 public:
  explicit IdleRank(const std::string& folder, int rank = 0, int world_size = 1) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      tally::Identity identity;
      identity.rank = rank;
      identity.world_size = world_size;
      const auto page = tally::Page::create({folder + "/pages"}, identity);
      const std::string path = page.ok() ? (*page)->path() : "";
      (void)!::write(ready[1], path.data(), path.size());
      ::close(ready[1]);
      while (true) ::pause();
    }
    ::close(ready[1]);
    char path[4096];
    const ssize_t size = ::read(ready[0], path, sizeof(path));
    ::close(ready[0]);
    auto watch = open_watch(std::string(path, static_cast<size_t>(std::max<ssize_t>(size, 0))));
    EXPECT_TRUE(watch.ok()) << watch.status().to_string();
    if (watch.ok()) watch_ = std::move(watch).value();
  }
  ~IdleRank() {
    ::kill(pid_, SIGKILL);
    if (!reaped_) ::waitpid(pid_, nullptr, 0);
  }
  IdleRank(const IdleRank&) = delete;
  IdleRank& operator=(const IdleRank&) = delete;

  Watch* watch() { return &watch_; }
  tally::Edge& edge() { return watch_.page->layout().edge; }
  tally::Control& control() { return watch_.page->layout().control; }
  void stop() { edge().state.store(static_cast<uint32_t>(tally::RankState::stopped)); }
  // Whether it was ended just now: a signal that was sent is handled within a second.
  bool ended() {
    for (int i = 0; i < 100 && !reaped_; ++i) {
      reaped_ = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
      if (!reaped_) ::usleep(10'000);
    }
    return reaped_;
  }
  bool lives() {
    ::usleep(50'000);
    reaped_ = reaped_ || ::waitpid(pid_, nullptr, WNOHANG) == pid_;
    return !reaped_;
  }

 private:
  pid_t pid_ = 0;
  bool reaped_ = false;
  Watch watch_;
};

class BrakeTest : public ::testing::Test {
 protected:
  BrakeTest() {
    wanted_.order.fill(7);
    wanted_.ends = true;
    wanted_.shuts_gate = true;
    wanted_.savers = 1;
    brake_.apply(wanted_, {rank_.watch()});
    rank_.stop();
    turn_after(0);
    EXPECT_EQ(brake_.phase(), Brake::Phase::quiet);
  }
  void turn_after(int64_t ns) {
    clock_.advance(ns);
    brake_.turn({rank_.watch()}, JobTotals::View());
  }

  testing::TempDir dir_;
  FakeClock clock_;
  IdleRank rank_{dir_.path()};
  Brake brake_{clock_};
  Braking wanted_;
};

TEST_F(BrakeTest, EndsAMinuteAfterAllAreQuietWhoStillLives) {
  turn_after(kMinute - 1);
  EXPECT_TRUE(rank_.lives());
  turn_after(1);
  EXPECT_TRUE(rank_.ended());
}

TEST_F(BrakeTest, WaitsForOneThatWritesItsStateAndAMinuteMore) {
  for (uint32_t megabytes = 1; megabytes < 5; ++megabytes) {
    rank_.edge().saving.store(megabytes);
    turn_after(14 * kMinute);
    EXPECT_TRUE(rank_.lives()) << megabytes;
  }
  rank_.edge().saving.store(0);
  turn_after(0);
  turn_after(kMinute - 1);
  EXPECT_TRUE(rank_.lives());
  turn_after(1);
  EXPECT_TRUE(rank_.ended());
}

TEST_F(BrakeTest, WaitsNoLongerForOneThatStandsStillAtIt) {
  rank_.edge().saving.store(3);
  turn_after(0);
  turn_after(Brake::kSaveStallNs - 1);
  EXPECT_TRUE(rank_.lives());
  turn_after(kMinute);
  EXPECT_TRUE(rank_.ended());
}

TEST_F(BrakeTest, WaitsNoLongerForASaveThatASecondStopForbids) {
  rank_.edge().saving.store(1);
  turn_after(14 * kMinute);
  EXPECT_EQ(rank_.control().gate.load(), 1u | 1u << 1);
  wanted_.savers = 0;
  brake_.apply(wanted_, {rank_.watch()});
  EXPECT_EQ(rank_.control().gate.load(), 1u);
  turn_after(0);
  EXPECT_EQ(brake_.phase(), Brake::Phase::quiet);
  rank_.edge().saving.store(2);
  turn_after(kMinute - 1);
  EXPECT_TRUE(rank_.lives()) << "it has the time to give up";
  rank_.edge().saving.store(3);
  turn_after(1);
  EXPECT_TRUE(rank_.ended());
}

TEST_F(BrakeTest, TellsItsRanksByWhenAllHaveCome) {
  FakeClock began;
  EXPECT_EQ(rank_.control().quiet_by_ns.load(),
            static_cast<uint64_t>(began.monotonic_ns() + 10 * kSecond));
  brake_.release({rank_.watch()});
  EXPECT_EQ(rank_.control().quiet_by_ns.load(), 0u);
}

TEST_F(BrakeTest, AGateThatAnEarlierKeeperHadJustShutIsLeftOverToo) {
  brake_.release({rank_.watch()});
  EXPECT_EQ(Brake::left_waiting({rank_.watch()}), std::nullopt);
  // Killed between the two words.
  std::ranges::fill(rank_.control().order, uint8_t{7});
  rank_.control().gate.store(1);
  EXPECT_EQ(Brake::left_waiting({rank_.watch()}), wanted_.order);
}

// A node of one rank, of a job of two.
class Node {
 public:
  Node(const std::string& folder, int rank, uint64_t next_edge) : rank_(folder, rank, 2) {
    rank_.edge().steps_closed.store(next_edge - 1);
    rank_.edge().next_edge.store(next_edge);
    wanted_.ends = wanted_.shuts_gate = true;
    total_.node = "node-" + std::to_string(rank);
    total_.ranks = {rank};
    total_.world_size = 2;
  }
  // It obeys the stop of this hash, which saves.
  void save_for(uint8_t order) {
    wanted_.order.fill(order);
    wanted_.waits = false;
    wanted_.about.clear();
    wanted_.savers = 1;
    brake_.apply(wanted_, {rank_.watch()});
  }
  void hold_for(uint8_t order) {
    wanted_.order.fill(order);
    wanted_.waits = true;
    wanted_.about = "held";
    brake_.apply(wanted_, {rank_.watch()});
  }
  // As the other node hears it.
  NodeTotal said() {
    total_.stop = brake_.to_tell();
    return *parse_total(to_blob(total_));
  }
  void hear(const NodeTotal& other) {
    JobTotals::View view;
    view.others = {other};
    brake_.turn({rank_.watch()}, view);
  }
  void forbid_saving() {
    wanted_.savers = 0;
    brake_.apply(wanted_, {rank_.watch()});
  }
  void hear_nothing_for(int64_t ns) {
    clock_.advance(ns);
    brake_.turn({rank_.watch()}, JobTotals::View());
  }
  uint8_t named() { return rank_.control().order[0]; }
  bool waits() {
    return rank_.control().command.load() == static_cast<uint32_t>(tally::Command::wait_at_edge);
  }
  uint64_t edge() { return rank_.control().stop_edge.load(); }

 private:
  FakeClock clock_;
  IdleRank rank_;
  Brake brake_{clock_};
  Braking wanted_;
  NodeTotal total_;
};

TEST(TwoNodesTest, NameOneOfTwoStopsThatTheySawInAnotherOrder) {
  const testing::TempDir dir;
  Node one(dir.path(), 0, 5), other(dir.path(), 1, 6);
  one.save_for(9);
  other.save_for(4);
  EXPECT_EQ(one.named(), 9);
  one.hear(other.said());
  other.hear(one.said());
  EXPECT_EQ(one.edge(), 6u);
  EXPECT_EQ(other.edge(), 6u);
  EXPECT_EQ(one.named(), 4) << "all ranks save in the folder of one stop";
  EXPECT_EQ(other.named(), 4);
  one.forbid_saving();
  EXPECT_EQ(one.named(), 4) << "those that have begun stay where they are";
}

TEST(TwoNodesTest, NameOneAlsoWhereTheyHeldBefore) {
  const testing::TempDir dir;
  Node one(dir.path(), 0, 5), other(dir.path(), 1, 6);
  for (Node* node : {&one, &other}) node->hold_for(1);
  const NodeTotal held = other.said();
  other.hear(one.said());
  one.hear(held);
  EXPECT_TRUE(one.waits());

  one.save_for(9);
  one.hear(held);
  EXPECT_TRUE(one.waits()) << "the other may name another stop";
  other.save_for(4);
  one.hear(other.said());
  other.hear(one.said());
  for (Node* node : {&one, &other}) {
    EXPECT_FALSE(node->waits());
    EXPECT_EQ(node->named(), 4);
    EXPECT_EQ(node->edge(), 6u) << "they stay at the edge at which they waited";
  }
}

TEST(TwoNodesTest, AStopThatSavesWaitsNotForEverForANodeThatNamesNone) {
  const testing::TempDir dir;
  Node one(dir.path(), 0, 5), other(dir.path(), 1, 6);
  for (Node* node : {&one, &other}) node->hold_for(1);
  one.hear(other.said());
  one.save_for(9);
  one.hear_nothing_for(Brake::kVotePatienceNs - 1);
  EXPECT_TRUE(one.waits());
  one.hear_nothing_for(1);
  EXPECT_FALSE(one.waits());
  EXPECT_EQ(one.named(), 9);
  EXPECT_EQ(one.edge(), 6u);
}

TEST(TwoNodesTest, ASumOfVotesNamesTheLowestStopOfAll) {
  const testing::TempDir dir;
  Node one(dir.path(), 0, 5);
  one.save_for(9);
  NodeTotal sum;
  sum.node = "node-1";
  sum.world_size = sum.covers = 2;
  sum.stop.emplace();
  sum.stop->vote = 8;
  sum.stop->order.fill(2);
  one.hear(*parse_total(to_blob(sum)));
  EXPECT_EQ(one.edge(), 8u);
  EXPECT_EQ(one.named(), 2);
}

}  // namespace
}  // namespace account::keeper
