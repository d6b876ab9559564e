// Steps and events on their way from the rank to the keeper.
#include <thread>

#include "support.h"

namespace account::tally {
namespace {

void count(uint64_t operations) {
  static const uint16_t op = op_id("test::step");
  add(key_of(op), {operations, operations, operations});
}

TEST(StepsTest, ValuesAreWhatWasCountedBetweenTheEdges) {
  const Place place;
  const auto view = activate_page(place);
  count(5);
  EXPECT_EQ(close_step(), 1u);
  EXPECT_EQ(close_step(), 2u);
  count(3);
  count(4);
  EXPECT_EQ(close_step(), 3u);
  count(100);
  const auto steps = view->take_steps();
  EXPECT_EQ(steps.missed, 0u);
  ASSERT_EQ(steps.steps.size(), 3u);
  EXPECT_EQ(steps.steps[0].executed, OpCount(5));
  EXPECT_EQ(steps.steps[1].executed, OpCount(0));
  EXPECT_EQ(steps.steps[2].executed, OpCount(7));
  EXPECT_EQ(steps.steps[2].number, 3u);
  EXPECT_TRUE(view->take_steps().steps.empty());
  const Edge& edge = view->layout().edge;
  EXPECT_EQ(edge.steps_closed.load(), 3u);
  EXPECT_EQ(edge.next_edge.load(), 4u);
  EXPECT_EQ(view->read().steps_closed, 3u);
}

TEST(StepsTest, StepsThatTheRingLostAreKnownByNumberAndSum) {
  const Place place;
  const auto view = activate_page(place);
  count(1);
  close_step();
  ASSERT_EQ(view->take_steps().steps.size(), 1u);
  constexpr uint64_t kClosed = kStepRing + 500;
  for (uint64_t i = 0; i < kClosed; ++i) {
    count(10);
    close_step();
  }
  const auto steps = view->take_steps();
  // The oldest one in the ring has lost its neighbour, and so its own value.
  EXPECT_EQ(steps.missed, kClosed - kStepRing + 1);
  EXPECT_EQ(steps.missed_executed, OpCount(10 * steps.missed));
  ASSERT_EQ(steps.steps.size(), kStepRing - 1u);
  EXPECT_EQ(steps.steps.front().number, 1 + steps.missed + 1);
  EXPECT_EQ(steps.steps.back().number, 1 + kClosed);
  for (const auto& step : steps.steps) EXPECT_EQ(step.executed, OpCount(10));
}

TEST(StepsTest, ALaterKeeperStartsFromTheFirstStepStillThere) {
  const Place place;
  const auto view = activate_page(place);
  count(6);
  close_step();
  (void)view->take_steps();
  const auto later = view_of(view->path());
  EXPECT_EQ(later->take_steps().steps.size(), 1u);
}

TEST(ProcessedTest, BelongsToTheStepThatIsOpenAndAddsUp) {
  const Place place;
  const auto view = activate_page(place);
  add_processed({4, 128});
  add_processed({4, 0});
  close_step();
  close_step();
  add_processed({0, 7});
  close_step();
  add_processed({1, 1});
  const auto steps = view->take_steps().steps;
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].processed, (Processed{8, 128}));
  EXPECT_EQ(steps[1].processed, Processed());
  EXPECT_EQ(steps[2].processed, (Processed{0, 7}));
  EXPECT_EQ(view->read().processed, (Processed{9, 136}));
}

TEST(ProcessedTest, OfStepsThatTheRingLostTheSumIsKnown) {
  const Place place;
  const auto view = activate_page(place);
  constexpr uint64_t kClosed = kStepRing + 500;
  for (uint64_t i = 0; i < kClosed; ++i) {
    add_processed({1, 10});
    close_step();
  }
  const auto steps = view->take_steps();
  EXPECT_EQ(steps.missed_processed, (Processed{steps.missed, 10 * steps.missed}));
  for (const auto& step : steps.steps) EXPECT_EQ(step.processed, (Processed{1, 10}));
}

TEST(ProcessedTest, NeverWraps) {
  const Place place;
  const auto view = activate_page(place);
  add_processed({UINT64_MAX - 1, UINT64_MAX});
  add_processed({5, 5});
  EXPECT_EQ(view->read().processed, (Processed{UINT64_MAX, UINT64_MAX}));
}

TEST(ProcessedTest, ThreadsAddUp) {
  const Place place;
  const auto view = activate_page(place);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int n = 0; n < 10'000; ++n) add_processed({1, 3});
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(view->read().processed, (Processed{40'000, 120'000}));
}

TEST(ProcessedTest, AForkedChildLeavesItsParentsWordsAlone) {
  const Place place;
  const auto view = activate_page(place);
  add_processed({2, 20});
  EXPECT_EQ(wait_for(in_child([] { add_processed({1, 1}); })), 0);
  EXPECT_EQ(view->read().processed, (Processed{2, 20}));
}

TEST(EventsTest, ArriveInOrderWithKindAndText) {
  const Place place;
  const auto view = activate_page(place);
  EXPECT_TRUE(post_event(EventKind::saved, "one"));
  EXPECT_TRUE(post_event(EventKind::gap, ""));
  EXPECT_TRUE(post_event(EventKind::op_named, "three is longer than one word"));
  uint64_t dropped = 99;
  const auto events = view->take_events(dropped);
  EXPECT_EQ(dropped, 0u);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, EventKind::saved);
  EXPECT_EQ(events[0].text, "one");
  EXPECT_EQ(events[1].text, "");
  EXPECT_EQ(events[2].text, "three is longer than one word");
  EXPECT_TRUE(view->take_events(dropped).empty());
}

TEST(EventsTest, GoAroundTheEndOfTheRingWhole) {
  const Place place;
  const auto view = activate_page(place);
  uint64_t dropped = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string text =
        std::to_string(i) + std::string(static_cast<size_t>(i) * 7 % 1000, 'x');
    ASSERT_TRUE(post_event(EventKind::note, text));
    const auto events = view->take_events(dropped);
    ASSERT_EQ(events.size(), 1u);
    ASSERT_EQ(events[0].text, text);
  }
  EXPECT_EQ(dropped, 0u);
}

TEST(EventsTest, AFullRingDropsAndCountsTheDrops) {
  const Place place;
  const auto view = activate_page(place);
  const std::string text(1000, 'x');
  uint64_t kept = 0;
  while (post_event(EventKind::note, text)) ++kept;
  EXPECT_FALSE(post_event(EventKind::note, text));
  uint64_t dropped = 0;
  EXPECT_EQ(view->take_events(dropped).size(), kept);
  EXPECT_EQ(dropped, 2u);
  EXPECT_TRUE(post_event(EventKind::note, text)) << "there is room again";
  (void)view->take_events(dropped);
  EXPECT_EQ(dropped, 0u) << "a drop is told once";
}

TEST(EventsTest, RefusedExportsAreNeverDropped) {
  const Place place;
  const auto view = activate_page(place);
  while (post_event(EventKind::note, std::string(1000, 'x'))) {
  }
  constexpr size_t kAttempts = 200;  // more than any reserve
  for (size_t i = 0; i < kAttempts; ++i) {
    ASSERT_TRUE(post_event(EventKind::export_refused, std::to_string(i) + std::string(200, 'y')));
  }
  std::vector<std::string> refused;
  for (int round = 0; round < 4; ++round) {
    uint64_t dropped = 0;
    for (const Event& event : view->take_events(dropped)) {
      if (event.kind == EventKind::export_refused) refused.push_back(event.text);
    }
    close_step();  // sends what waits
  }
  ASSERT_EQ(refused.size(), kAttempts);
  for (size_t i = 0; i < kAttempts; ++i) {
    EXPECT_EQ(refused[i], std::to_string(i) + std::string(200, 'y'));
  }
}

TEST(EventsTest, LongTextIsCut) {
  const Place place;
  const auto view = activate_page(place);
  EXPECT_TRUE(post_event(EventKind::note, std::string(kMaxEventBytes + 100, 'x')));
  uint64_t dropped = 0;
  EXPECT_EQ(view->take_events(dropped).at(0).text.size(), kMaxEventBytes);
}

}  // namespace
}  // namespace account::tally
