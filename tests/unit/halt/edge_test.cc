// The rank's side of a stop, against a keeper played by the test on the same page.
#include "halt/edge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "support/matchers.h"
#include "tally/tally.h"

namespace account::halt {
namespace {

using tally::Command;
using tally::PageLayout;
using testing::IsOk;
using testing::StatusIs;

std::unique_ptr<tally::Page> new_page() { return tally::Page::create_in_memory({}); }

// What tally::close_step does to the edge; the page here is not this process's active one.
void close_step(PageLayout& page) {
  const uint64_t closed = page.edge.steps_closed.load() + 1;
  page.edge.steps_closed.store(closed);
  page.edge.next_edge.store(closed + 1);
}

void command(PageLayout& page, Command word, uint64_t stop_edge = 0) {
  page.control.stop_edge.store(stop_edge);
  page.control.command.store(static_cast<uint32_t>(word));
}

// As keeper/brake.cc does for an order; a limit of the job's own leaves it zero.
void write_order(PageLayout& page) { page.control.order[31] = 1; }

TEST(MustStopTest, FollowsTheProtocolForEveryCommand) {
  EXPECT_FALSE(must_stop(Command::none, 0, 5));
  EXPECT_FALSE(must_stop(Command::hold, 3, 5));
  EXPECT_FALSE(must_stop(Command::wait_at_edge, 3, 5));
  EXPECT_FALSE(must_stop(Command::stop_at_edge, 6, 5));
  EXPECT_TRUE(must_stop(Command::stop_at_edge, 5, 5));
  EXPECT_TRUE(must_stop(Command::stop_at_edge, 4, 5)) << "a rank past the edge stops too";
  EXPECT_TRUE(must_stop(Command::stop_now, 9, 5));
  EXPECT_TRUE(must_stop(Command::refuse, 9, 5));
  EXPECT_TRUE(must_stop(static_cast<Command>(77), 9, 5)) << "an unknown word stops";
}

TEST(EdgeTest, PassesWhereNobodyCalls) {
  const auto page = new_page();
  close_step(page->layout());
  EXPECT_TRUE(pass_edge(page->layout()));
}

TEST(EdgeTest, StopsAtTheAgreedEdgeWithTheKeepersReason) {
  const auto page = new_page();
  PageLayout& layout = page->layout();
  std::strcpy(layout.control.reason, "ordered by the safety officer");
  write_order(layout);
  command(layout, Command::stop_at_edge, 2);
  close_step(layout);
  EXPECT_FALSE(pass_edge(layout));
  EXPECT_THAT(obey(layout, Clock::real()), IsOk()) << "one step short: comes up to the edge";
  EXPECT_EQ(layout.edge.next_edge.load(), 2u);
  close_step(layout);
  EXPECT_THAT(obey(layout, Clock::real()),
              StatusIs(Code::shutdown_ordered, ::testing::HasSubstr("the safety officer")));
  EXPECT_EQ(layout.edge.state.load(), static_cast<uint32_t>(tally::RankState::stopped));
  EXPECT_THAT(obey(layout, Clock::real()), StatusIs(Code::shutdown_ordered)) << "and says so again";
}

TEST(EdgeTest, WaitsWhileHeldAndGoesOnWhenReleased) {
  const auto page = new_page();
  PageLayout& layout = page->layout();
  close_step(layout);
  command(layout, Command::hold);
  std::atomic<bool> returned = false;
  std::thread rank([&] {
    EXPECT_THAT(obey(layout, Clock::real()), IsOk());
    returned = true;
  });
  while (layout.edge.waiting.load() == 0) std::this_thread::yield();
  EXPECT_EQ(layout.edge.next_edge.load(), 1u) << "held at the edge it has closed";
  EXPECT_FALSE(returned);
  command(layout, Command::none);
  rank.join();
  EXPECT_EQ(layout.edge.next_edge.load(), 2u);
  EXPECT_EQ(layout.edge.waiting.load(), 0u);
}

// A clock that the test can put forward while the rank sleeps.
class JumpingClock final : public Clock {
 public:
  int64_t unix_ns() const override { return 0; }
  int64_t monotonic_ns() const override { return now_.load(); }
  std::atomic<int64_t> now_ = 1'000'000'000;
};

TEST(EdgeTest, HeldByAKeeperThatFallsSilentItStops) {
  const auto page = new_page();
  PageLayout& layout = page->layout();
  JumpingClock clock;
  layout.control.keeper_beat_ns.store(1'000'000'000);
  close_step(layout);
  write_order(layout);
  command(layout, Command::hold);
  std::thread rank([&] {
    EXPECT_THAT(obey(layout, clock),
                StatusIs(Code::shutdown_ordered, ::testing::HasSubstr("no keeper for 30 s")));
  });
  while (layout.edge.waiting.load() == 0) std::this_thread::yield();
  clock.now_ += kKeeperSilenceNs + 1;
  rank.join();
}

TEST(EdgeTest, ComesUpToTheEdgeAndWaitsThereUntilReleased) {
  const auto page = new_page();
  PageLayout& layout = page->layout();
  close_step(layout);
  command(layout, Command::wait_at_edge, 2);
  EXPECT_THAT(obey(layout, Clock::real()), IsOk()) << "one step short: comes up to the edge";
  close_step(layout);
  std::thread rank([&] { EXPECT_THAT(obey(layout, Clock::real()), IsOk()); });
  while (layout.edge.waiting.load() == 0) std::this_thread::yield();
  EXPECT_EQ(layout.edge.state.load(), static_cast<uint32_t>(tally::RankState::running));
  command(layout, Command::none);
  rank.join();
  EXPECT_EQ(layout.edge.next_edge.load(), 3u);
}

TEST(EdgeTest, ALimitOfTheJobsOwnSaysSo) {
  const auto page = new_page();
  PageLayout& layout = page->layout();
  close_step(layout);
  std::strcpy(layout.control.reason, "own, rule 'all'");
  command(layout, Command::wait_at_edge);
  std::thread rank([&] {
    EXPECT_THAT(obey(layout, Clock::real()),
                StatusIs(Code::threshold_reached, ::testing::HasSubstr("own, rule 'all'")));
  });
  while (layout.edge.waiting.load() == 0) std::this_thread::yield();
  command(layout, Command::stop_at_edge, 1);
  rank.join();
  write_order(layout);
  EXPECT_THAT(obey(layout, Clock::real()), StatusIs(Code::shutdown_ordered)) << "an order on top";
}

// The property that the model proves, on the real code: no rank passes the highest next_edge that
// the keeper read after HOLD, and all stop exactly there.
TEST(EdgeTest, RanksThatRaceWithHoldAllStopAtTheSameEdge) {
  constexpr int kRanks = 3;
  std::mt19937 random(20261124);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<std::unique_ptr<tally::Page>> pages;
    for (int i = 0; i < kRanks; ++i) pages.push_back(new_page());
    // Coupled like ranks in a collective: nobody begins step n + 2 before all have closed n.
    std::vector<std::atomic<uint64_t>> entered(kRanks);
    std::vector<std::thread> ranks;
    for (int i = 0; i < kRanks; ++i) {
      ranks.emplace_back([&, i] {
        PageLayout& page = pages[static_cast<size_t>(i)]->layout();
        while (true) {
          const uint64_t step = page.edge.steps_closed.load() + 1;
          entered[static_cast<size_t>(i)] = step;
          for (auto& other : entered) {
            while (other.load() < step) std::this_thread::yield();
          }
          close_step(page);
          if (!pass_edge(page) && !obey(page, Clock::real()).ok()) return;
        }
      });
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
    for (auto& page : pages) command(page->layout(), Command::hold);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    uint64_t edge = 0;
    for (auto& page : pages) edge = std::max(edge, page->layout().edge.next_edge.load());
    for (auto& page : pages) command(page->layout(), Command::stop_at_edge, edge);
    for (auto& rank : ranks) rank.join();
    for (auto& page : pages) {
      ASSERT_EQ(page->layout().edge.steps_closed.load(), edge) << "in trial " << trial;
    }
  }
}

}  // namespace
}  // namespace account::halt
