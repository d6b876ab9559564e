// The slot protocol under fire: readers in another process, writers killed in the middle.
#include <signal.h>
#include <sys/mman.h>

#include <chrono>
#include <thread>

#include "support.h"
#include "tally/slot.h"

namespace account::tally {
namespace {

using std::chrono::milliseconds;

constexpr OpCount kLarge = OpCount(UINT64_MAX);  // each addition changes both limbs
constexpr OpCount kOther = OpCount::from_limbs(UINT64_MAX - 5, 3);

// What all processes of a test see.
struct Shared {
  std::atomic<bool> stop{false};
  struct alignas(64) Thread {
    std::atomic<uint64_t> begun{0}, ended{0};
  } threads[4];
};

class SharedMemory {
 public:
  SharedMemory() {
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) abort();
    shared_ = new (memory) Shared;
  }
  ~SharedMemory() { munmap(shared_, sizeof(Shared)); }
  Shared* operator->() const { return shared_; }

 private:
  Shared* shared_;
};

std::string op_of(int thread) { return "test::writer_" + std::to_string(thread); }

// Counts in `threads` threads until told to stop, each under its own op.
void count_until_told(const Place& place, const SharedMemory& shared, int threads) {
  auto page = Page::create(place.folders(), Identity());
  if (!page.ok() || (*page)->in_memory()) _exit(1);
  activate(std::move(page).value());
  std::vector<std::thread> writers;
  for (int i = 0; i < threads; ++i) {
    writers.emplace_back([&shared, i, op = op_id(op_of(i))] {
      auto& mine = shared->threads[i];
      while (!shared->stop.load(std::memory_order_relaxed)) {
        mine.begun.fetch_add(1);
        add(key_of(op), {kLarge, kOther, 1});
        mine.ended.fetch_add(1);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
}

// Each figure is a product of the calls, or the sum is torn.
void expect_whole(const CellRow& row) {
  const OpCount calls(row.calls);
  EXPECT_EQ(row.figures.executed, saturating_multiply(kLarge, calls));
  EXPECT_EQ(row.figures.model, saturating_multiply(kOther, calls));
  EXPECT_EQ(row.figures.lower, calls);
}

std::string wait_for_page(const Place& place) {
  for (int i = 0; i < 2000; ++i) {
    if (std::filesystem::is_directory(place.folder())) {
      for (const std::string& path : place.pages()) {
        if (path.ends_with(".tally")) return path;
      }
    }
    std::this_thread::sleep_for(milliseconds(1));
  }
  ADD_FAILURE() << "no page appeared";
  return "";
}

TEST(ConcurrentReaderTest, NeverSeesATornOrShrinkingSum) {
  const Place place;
  const SharedMemory shared;
  const pid_t writer = in_child([&] { count_until_told(place, shared, 2); });
  const auto view = view_of(wait_for_page(place));
  uint64_t last_calls = 0;
  int growths = 0;
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (growths < 200 && !testing::Test::HasFailure()) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience) << "the reader met no busy writer";
    uint64_t calls = 0;
    for (const CellRow& row : view->read().rows) {
      expect_whole(row);
      calls += row.calls;
    }
    EXPECT_GE(calls, last_calls);
    growths += calls > last_calls ? 1 : 0;
    last_calls = calls;
  }
  shared->stop = true;
  EXPECT_EQ(wait_for(writer), 0);
  uint64_t calls = 0;
  for (const CellRow& row : view->read().rows) calls += row.calls;
  EXPECT_EQ(calls, shared->threads[0].ended + shared->threads[1].ended);
}

TEST(ConcurrentReaderTest, SeesNoCallBeforeTheNameOfItsOp) {
  constexpr int kOpsNamed = kOps - 1;
  const Place place;
  const SharedMemory shared;
  const pid_t writer = in_child([&] {
    count_until_told(place, shared, 0);
    // A new op in each reading, at another moment of it.
    for (int i = 0; i < kOpsNamed; ++i) {
      while (shared->threads[1].begun.load() <= shared->threads[0].ended.load()) sched_yield();
      for (volatile int pause = 0; pause < i * 20;) pause = pause + 1;
      add(key_of(op_id("test::op_" + std::to_string(i))), {1, 1, 1});
      shared->threads[0].ended = shared->threads[1].begun.load();
      shared->threads[0].begun.fetch_add(1);
    }
  });
  const auto view = view_of(wait_for_page(place));
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (shared->threads[0].begun.load() < kOpsNamed) {
    ASSERT_LT(std::chrono::steady_clock::now(), patience) << "the writer names no more ops";
    shared->threads[1].begun.fetch_add(1);
    for (const CellRow& row : view->read().rows) EXPECT_NE(row.op, "other");
  }
  EXPECT_EQ(wait_for(writer), 0);
  EXPECT_EQ(view->read().rows.size(), static_cast<size_t>(kOpsNamed));
}

TEST(ConcurrentReaderTest, AKilledWriterLosesAtMostTheCallInFlightOfEachThread) {
  constexpr int kKills = 120, kThreads = 2;
  int killed_in_a_change = 0;
  for (int round = 0; round < kKills && !testing::Test::HasFailure(); ++round) {
    const Place place;
    const SharedMemory shared;
    const pid_t writer = in_child([&] { count_until_told(place, shared, kThreads); });
    const auto view = view_of(wait_for_page(place));
    while (shared->threads[0].ended == 0 || shared->threads[1].ended == 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(37 * (round % 29)));
    kill(writer, SIGKILL);
    ASSERT_EQ(wait_for(writer), 1000 + SIGKILL);

    for (const Slot& slot : view->layout().slots) {
      killed_in_a_change += slot.head.sequence.load() % 2 == 1 ? 1 : 0;
    }
    const Counters counters = view->read();
    ASSERT_EQ(counters.rows.size(), static_cast<size_t>(kThreads));
    for (int thread = 0; thread < kThreads; ++thread) {
      const CellRow& row = counters.rows[static_cast<size_t>(thread)];
      ASSERT_EQ(row.op, op_of(thread));
      expect_whole(row);
      EXPECT_GE(row.calls, shared->threads[thread].ended);
      EXPECT_LE(row.calls, shared->threads[thread].begun);
    }
  }
  EXPECT_GT(killed_in_a_change, 0) << "no kill met the state that the undo copy is for";
}

// The same, with the writer stopped by hand after each of its stores.
TEST(SlotProtocolTest, AnUnfinishedChangeReadsAsIfItHadNotBegun) {
  Slot slot{};
  Cell& cell = slot.cells[5];
  const uint64_t word = to_word(key_of(1));
  change_cell(slot.head, slot.cells, cell, word, {kLarge, kOther, 1});
  change_cell(slot.head, slot.cells, cell, word, {kLarge, kOther, 1});
  slot.head.sequence.store(slot.head.sequence.load() - 1);  // in the middle of the second call
  Word64* words[] = {&cell.calls,      &cell.executed_low, &cell.executed_high, &cell.model_low,
                     &cell.model_high, &cell.lower_low,    &slot.head.total_low};
  for (Word64* half_written : words) {
    half_written->store(0xDEAD);
    const CellCopy seen = read_cell(slot.head, slot.cells, 5);
    EXPECT_EQ(seen.key, word);
    EXPECT_EQ(seen.calls, 1u);
    EXPECT_EQ(seen.figures, (Figures{kLarge, kOther, 1}));
    EXPECT_EQ(read_total(slot.head), kLarge);
  }
  settle(slot.head, slot.cells);
  EXPECT_EQ(slot.head.sequence.load() % 2, 0u);
  EXPECT_EQ(cell.calls.load(), 1u);
  EXPECT_EQ(read_total(slot.head), kLarge);
}

TEST(SlotProtocolTest, AnUnfinishedFirstCallLeavesTheCellUnused) {
  Slot slot{};
  change_cell(slot.head, slot.cells, slot.cells[0], to_word(key_of(1)), {1, 1, 1});
  slot.head.sequence.store(1);
  EXPECT_EQ(read_cell(slot.head, slot.cells, 0).key, 0u);
}

TEST(SlotProtocolTest, AKeyThatNamesNothingIsOther) {
  const Key key = to_key(kCellUsed | 0xFFFFull << 16 | 0xFFull << 8 | 0xFull << 4 | 0xFull);
  EXPECT_EQ(key.op, 0);
  EXPECT_EQ(key.dtype, DType::other);
  EXPECT_EQ(key.phase, Phase::forward);
  EXPECT_EQ(key.category, Category::unassigned);
}

}  // namespace
}  // namespace account::tally
