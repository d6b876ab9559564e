// What counting costs a rank, and what reading costs the keeper. No torch.
//
// Instructions an add, under valgrind --tool=callgrind
// --toggle-collect='account::tally::add_word*':
//   bench_tally --benchmark_filter=AddTwentyKeys --benchmark_min_time=0.01
#include <benchmark/benchmark.h>
#include <stdlib.h>

#include <filesystem>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "tally/tally.h"

namespace {

using namespace account;  // NOLINT(google-build-using-namespace)

constexpr int kKeys = 20;  // as many as a transformer's step has
constexpr Figures kFigures{123'456'789, 123'456'789, 123'456'789};

tally::Key key_of(int op) {
  static const auto first = [] {
    for (int i = 0; i < kKeys; ++i) (void)tally::op_id("bench::op_" + std::to_string(i));
    return tally::op_id("bench::op_0");
  }();
  return {static_cast<uint16_t>(first + op), DType::bfloat16, Phase::forward, Category::train};
}

void start_page() { tally::activate(tally::Page::create_in_memory(tally::Identity())); }

// The hottest case: the same key again and again.
void AddOneKey(benchmark::State& state) {
  if (state.thread_index() == 0) start_page();
  const tally::Key key = key_of(1);
  for (auto _ : state) tally::add(key, kFigures);
}
BENCHMARK(AddOneKey)->Threads(1)->Threads(2);

// All keys in turn.
void AddTwentyKeys(benchmark::State& state) {
  start_page();
  std::vector<tally::Key> keys;
  for (int op = 0; op < kKeys; ++op) keys.push_back(key_of(op));
  size_t op = 0;
  for (auto _ : state) {
    tally::add(keys[op], kFigures);
    op = op == kKeys - 1 ? 0 : op + 1;
  }
}
BENCHMARK(AddTwentyKeys);

// Holds all slots of the page, so that the calling thread gets none.
class AllSlotsTaken {
 public:
  AllSlotsTaken() : taken_(tally::kSlots) {
    for (int i = 0; i < tally::kSlots; ++i) {
      holders_.emplace_back([this] {
        for (int op = 0; op < kKeys; ++op) tally::add(key_of(op), kFigures);
        taken_.count_down();
        leave_.wait();
      });
    }
    taken_.wait();
  }
  ~AllSlotsTaken() {
    leave_.count_down();
    for (std::thread& holder : holders_) holder.join();
  }

 private:
  std::latch taken_, leave_{1};
  std::vector<std::thread> holders_;
};

void AddWithoutASlot(benchmark::State& state) {
  start_page();
  const AllSlotsTaken others;
  const tally::Key key = key_of(1);
  for (auto _ : state) tally::add(key, kFigures);
}
BENCHMARK(AddWithoutASlot);

// An edge, with every slot in use.
void CloseStep(benchmark::State& state) {
  start_page();
  const AllSlotsTaken others;
  for (auto _ : state) benchmark::DoNotOptimize(tally::close_step());
}
BENCHMARK(CloseStep);

// What the keeper does with each rank before a seal: here 32 threads of 20 keys each.
void ReadCounters(benchmark::State& state) {
  std::string root = std::filesystem::temp_directory_path() / "account-bench-XXXXXX";
  if (mkdtemp(root.data()) == nullptr) return state.SkipWithError("no temporary folder");
  auto page = tally::Page::create({root + "/account/run"}, tally::Identity());
  if (!page.ok() || (*page)->in_memory()) return state.SkipWithError("no page");
  const auto view = tally::PageView::open((*page)->path());
  tally::activate(std::move(page).value());
  const AllSlotsTaken others;
  for (auto _ : state) benchmark::DoNotOptimize((*view)->read());
  state.counters["rows"] = static_cast<double>((*view)->read().rows.size());
  std::filesystem::remove_all(root);
}
BENCHMARK(ReadCounters);

}  // namespace

BENCHMARK_MAIN();
