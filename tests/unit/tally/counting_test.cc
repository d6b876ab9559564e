// What is counted is what is read: over threads, slots, keys, pages.
#include <barrier>
#include <functional>
#include <set>
#include <thread>

#include "support.h"

namespace account::tally {
namespace {

using testing::Test;

void run_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

TEST(CountingTest, ACallIsKeptUnderItsKeyWithAllItsFigures) {
  const Place place;
  const auto view = activate_page(place);
  const uint16_t mm = op_id("test::mm");
  add(key_of(mm, DType::bfloat16, Phase::recompute, Category::train), {10, 0, 7});
  add(key_of(mm, DType::bfloat16, Phase::recompute, Category::train), {5, 0, 4});
  const Counters counters = view->read();
  ASSERT_EQ(counters.rows.size(), 1u);
  const CellRow& row = counters.rows[0];
  EXPECT_EQ(row.op, "test::mm");
  EXPECT_EQ(row.dtype, DType::bfloat16);
  EXPECT_EQ(row.phase, Phase::recompute);
  EXPECT_EQ(row.category, Category::train);
  EXPECT_EQ(row.calls, 2u);
  EXPECT_EQ(row.figures, (Figures{15, 0, 11}));
}

TEST(CountingTest, RowsAreSortedByOpCategoryPhaseDtype) {
  const Place place;
  const auto view = activate_page(place);
  const uint16_t a = op_id("test::a"), b = op_id("test::b");
  add(key_of(b), {1, 1, 1});
  add(key_of(a, DType::float32, Phase::backward), {2, 2, 2});
  add(key_of(a, DType::int8), {3, 3, 3});
  add(key_of(a, DType::float32, Phase::forward, Category::train), {4, 4, 4});
  const Counters counters = view->read();
  std::vector<OpCount> order;
  for (const CellRow& row : counters.rows) order.push_back(row.figures.executed);
  EXPECT_EQ(order, (std::vector<OpCount>{3, 2, 4, 1}));
}

TEST(CountingTest, FiguresCarryInto128BitsAndStopAtTheLargestValue) {
  const Place place;
  const auto view = activate_page(place);
  const uint16_t op = op_id("test::large");
  const OpCount most64 = OpCount(UINT64_MAX);
  for (int i = 0; i < 3; ++i) add(key_of(op), {most64, most64, most64});
  EXPECT_EQ(view->read().rows[0].figures.executed, OpCount::from_limbs(UINT64_MAX - 2, 2));
  add(key_of(op), {OpCount::max(), 0, 0});
  EXPECT_EQ(view->read().rows[0].figures.executed, OpCount::max());
}

TEST(CountingTest, SumsAreExactWithMoreLiveThreadsThanSlots) {
  const Place place;
  const auto view = activate_page(place);
  constexpr int kThreads = kSlots + 12, kCalls = 2000;
  const uint16_t ops[] = {op_id("test::x"), op_id("test::y"), op_id("test::z")};
  std::barrier all_hold_a_slot(kThreads);
  run_threads(kThreads, [&](int thread) {
    add(key_of(ops[thread % 3]), {1, 1, 1});
    all_hold_a_slot.arrive_and_wait();
    for (int i = 1; i < kCalls; ++i) add(key_of(ops[i % 3]), {7, 5, 3});
  });
  const Totals totals = to_totals(view->read());
  constexpr uint64_t kFurther = uint64_t{kThreads} * (kCalls - 1);
  EXPECT_EQ(totals.calls, uint64_t{kThreads} * kCalls);
  EXPECT_EQ(totals.executed, OpCount(kThreads + 7 * kFurther));
  EXPECT_EQ(totals.model, OpCount(kThreads + 5 * kFurther));
  EXPECT_EQ(totals.lower, OpCount(kThreads + 3 * kFurther));
  EXPECT_GT(view->layout().overflow.head.sequence.load(), 0u) << "nobody met the overflow slot";
}

TEST(CountingTest, SumsAreExactWithMoreKeysThanASlotHolds) {
  const Place place;
  const auto view = activate_page(place);
  constexpr uint16_t kKeys = 300;  // of 128 in a slot
  for (int round = 1; round <= 3; ++round) {
    for (uint16_t op = 0; op < kKeys; ++op) add(key_of(op), {OpCount(op), 1, 1});
  }
  const Totals totals = to_totals(view->read());
  EXPECT_EQ(totals.calls, 3u * kKeys);
  EXPECT_EQ(totals.executed, OpCount(3u * (kKeys * (kKeys - 1) / 2)));
}

TEST(CountingTest, NothingIsLostWithMoreKeysThanThePageHolds) {
  const Place place;
  const auto view = activate_page(place);
  uint64_t calls = 0;
  for (uint16_t op = 0; op < kOps; ++op) {
    for (const DType dtype : {DType::float32, DType::float16, DType::int8}) {
      add(key_of(op, dtype), {3, 2, 1});
      ++calls;
    }
  }
  const Totals totals = to_totals(view->read());
  EXPECT_EQ(totals.calls, calls);
  EXPECT_EQ(totals.executed, OpCount(3 * calls));
}

TEST(CountingTest, AThreadsSlotIsFreeAfterItAndItsCountsStay) {
  const Place place;
  const auto view = activate_page(place);
  const uint16_t op = op_id("test::short_lived");
  constexpr int kThreads = 3 * kSlots;
  for (int i = 0; i < kThreads; ++i) {
    std::thread([&] { add(key_of(op), {2, 2, 2}); }).join();
  }
  EXPECT_EQ(total_executed(view->read()), OpCount(2 * kThreads));
  EXPECT_EQ(view->layout().overflow.head.sequence.load(), 0u) << "a slot was not given back";
  for (const Slot& slot : view->layout().slots) EXPECT_EQ(slot.head.owner_tid.load(), 0u);
}

TEST(CountingTest, CountsDuringThreadExitAreKept) {
  const Place place;
  const auto view = activate_page(place);
  static uint16_t op = op_id("test::at_exit");
  struct CountsWhenDestroyed {
    ~CountsWhenDestroyed() { add(key_of(op), {1, 1, 1}); }
  };
  // Made before the slot is taken, so destroyed after it was given back.
  std::thread([] {
    static thread_local CountsWhenDestroyed late;
    (void)&late;
    add(key_of(op), {10, 10, 10});
  }).join();
  EXPECT_EQ(total_executed(view->read()), OpCount(11));
}

TEST(CountingTest, ANewPageTakesOverAndReadProcessSumsBoth) {
  const Place place;
  const Counters before = read_process();
  const uint16_t op = op_id("test::two_pages");
  const auto first = activate_page(place);
  add(key_of(op), {1, 1, 1});
  const auto second = activate_page(place);
  add(key_of(op), {10, 10, 10});
  EXPECT_EQ(total_executed(first->read()), OpCount(1));
  EXPECT_EQ(total_executed(second->read()), OpCount(10));
  const Counters both = subtract(read_process(), before);
  ASSERT_EQ(both.rows.size(), 1u);
  EXPECT_EQ(both.rows[0].op, "test::two_pages");
  EXPECT_EQ(both.rows[0].calls, 2u);
  EXPECT_EQ(both.rows[0].figures.executed, OpCount(11));
}

TEST(CountingTest, OpsHaveStableIdsAndThePageSaysTheirNames) {
  const uint16_t before = op_id("test::named_before");
  const Place place;
  const auto view = activate_page(place);
  const uint16_t after = op_id("test::named_after");
  EXPECT_NE(before, after);
  EXPECT_EQ(op_id("test::named_before"), before);
  add(key_of(before), {1, 1, 1});
  add(key_of(after), {1, 1, 1});
  std::set<std::string> names;
  for (const CellRow& row : view->read().rows) names.insert(row.op);
  EXPECT_EQ(names, (std::set<std::string>{"test::named_after", "test::named_before"}));
}

TEST(CountersTest, TotalsBreakDownByEachWord) {
  Counters counters;
  counters.steps_closed = 4;
  counters.rows.push_back({Category::train, Phase::forward, DType::float32, "a", 1, {6, 5, 4}});
  counters.rows.push_back({Category::train, Phase::backward, DType::float32, "b", 2, {10, 9, 8}});
  const Totals totals = to_totals(counters);
  EXPECT_EQ(totals.executed, OpCount(16));
  EXPECT_EQ(totals.model, OpCount(14));
  EXPECT_EQ(totals.lower, OpCount(12));
  EXPECT_EQ(totals.upper, OpCount(16));
  EXPECT_EQ(totals.calls, 3u);
  EXPECT_EQ(totals.steps, 4u);
  EXPECT_EQ(totals.by_op, (std::map<std::string, OpCount>{{"a", 6}, {"b", 10}}));
  EXPECT_EQ(totals.by_phase, (std::map<std::string, OpCount>{{"forward", 6}, {"backward", 10}}));
  EXPECT_EQ(totals.by_dtype, (std::map<std::string, OpCount>{{"float32", 16}}));
  EXPECT_EQ(totals.by_category, (std::map<std::string, OpCount>{{"train", 16}}));
}

TEST(CountersTest, SubtractLeavesOutWhatDidNotGrow) {
  Counters earlier, later;
  earlier.steps_closed = 2;
  later.steps_closed = 5;
  earlier.rows.push_back({Category::train, Phase::forward, DType::float32, "same", 1, {6, 6, 6}});
  later.rows = earlier.rows;
  later.rows.push_back({Category::train, Phase::forward, DType::float32, "new", 1, {9, 9, 9}});
  const Counters between = subtract(later, earlier);
  EXPECT_EQ(between.steps_closed, 3u);
  ASSERT_EQ(between.rows.size(), 1u);
  EXPECT_EQ(between.rows[0].op, "new");
  EXPECT_TRUE(subtract(earlier, later).rows.empty());
}

}  // namespace
}  // namespace account::tally
