// Every state that a crash can leave of a ledger, enumerated in memory (support/crash_disk.h): each
// step of a session, torn after any byte, with any subset of what was not synced. From each the
// next session opens; what was acknowledged is there, byte for byte, and at most the batch under
// way.
//
// ACCOUNT_CRASH_STATES and ACCOUNT_CRASH_SEED choose how many states and which (`make soak`).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_set>

#include "ledger/node_reader.h"
#include "support/crash_disk.h"
#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using testing::CrashDisk;
using testing::CrashState;
using testing::CrashStates;
using testing::DiskImage;

constexpr uint64_t kNoLimit = UINT64_MAX;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kDefaultStates = 100'000;  // each takes ten times as long
#else
constexpr uint64_t kDefaultStates = 1'000'000;
#endif
constexpr uint64_t kDefaultSeed = 20261126;
// Each image is read as a recovery reads it; on one in so many, and on each that nothing was sealed
// on, the next session also opens, goes on and is verified whole.
constexpr uint64_t kOpeningPace = 64;
const char* const kRunFolder = "/d/run-1";
const char* const kNodeFolder = "/d/run-1/node-1f00ba5e";

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

DiskImage empty_disk() { return {{"/d/", ""}}; }

// All segments, one behind the other.
std::string lines_on(const DiskImage& image) {
  std::string lines;
  for (const auto& [path, bytes] : image) {
    if (path.find("/ledger/") != std::string::npos) lines += bytes;
  }
  return lines;
}

// What a session was promised to be on disk from step `from` of its log on.
struct Promise {
  size_t from;
  std::string lines;
  uint64_t count = static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
};

// How a session goes, drawn from a seed.
struct Plan {
  uint64_t segment_bytes;
  uint64_t seals;
  bool transcripts, closes;
  uint64_t base;  // what earlier sessions counted: base * 100 operations
};

Plan draw_plan(std::mt19937_64& random, uint64_t base) {
  constexpr uint64_t kSizes[] = {300, 900, 1500, uint64_t{64} << 20};  // 300: a line each
  return {kSizes[random() % 4], 1 + random() % 3, random() % 2 == 0, random() % 3 == 0, base};
}

WriterOptions options_with(uint64_t segment_bytes) {
  WriterOptions options = options_for(kRunFolder);
  options.policies.clear();
  options.segment_bytes = segment_bytes;
  return options;
}

// What lies on a disk before a session, as far as a note covers it: promised from the first step
// on.
Promise promised_on(const DiskImage& image) {
  CrashDisk disk(image, false);
  const auto read = read_node(disk, kNodeFolder);
  std::string lines = lines_on(image);
  size_t end = 0;
  for (uint64_t i = 0; read.ok() && i < read->lines(); ++i) end = lines.find('\n', end) + 1;
  lines.resize(end);
  return {0, lines};
}

// One session on `disk`. A seal that fails is tried again twice, after reopen().
std::vector<Promise> live(CrashDisk& disk, const Plan& plan, bool& opened) {
  FakeClock clock;
  std::vector<Promise> promises = {promised_on(disk.image())};
  auto writer = Writer::open(disk, clock, options_with(plan.segment_bytes));
  opened = writer.ok();
  if (!opened) return promises;
  promises.push_back({disk.log().size(), lines_on(disk.image())});
  for (uint64_t i = 1; i <= plan.seals; ++i) {
    const bool last = i == plan.seals;
    for (int attempt = 0; attempt < 3; ++attempt) {
      if (!(*writer)->reopen().ok()) continue;
      const int a = (*writer)->incarnation(process(0, 1, 'a'));
      (*writer)->counters(counted(a, plan.base + i, plan.base + i, last));
      if (plan.transcripts && i == 2) {
        (*writer)->transcript(a, plan.base + i, 0, kTranscript);
      }
      if (i == 3) (*writer)->gap(Json::object({{"kind", "test"}}));
      if (last && plan.closes) (*writer)->closed(Json::object({{"how", "finished"}}));
      if (!(*writer)->seal(SealReason::time).ok()) continue;
      promises.push_back({disk.log().size(), lines_on(disk.image())});
      break;
    }
  }
  return promises;
}

// What was promised at a step of the session.
const Promise& kept_at(const std::vector<Promise>& promises, size_t step) {
  const Promise* kept = &promises.front();
  for (const Promise& promise : promises) {
    if (promise.from <= step) kept = &promise;
  }
  return *kept;
}

// The reading that a recovery rests on: the next session opens where it finds no problem, and cuts
// what lies behind the lines that it takes. An empty string, or what is wrong.
std::string check_reading(const DiskImage& image, const std::vector<Promise>& promises, size_t step,
                          bool faulty, bool& readable) {
  CrashDisk disk(image, false);
  const Promise& kept = kept_at(promises, step);
  const auto read = read_node(disk, kNodeFolder);
  readable = read.ok() && read->problems.empty();
  if (!readable) {
    if (kept.lines.empty()) return "";  // nothing was sealed; check_opening() says the rest
    return read.ok() ? read->problems[0].place + ": " + read->problems[0].fault
                     : read.status().to_string();
  }
  const std::string lines = lines_on(image);
  if (!lines.starts_with(kept.lines)) return "acknowledged lines are gone";
  if (read->lines() < kept.count) return "acknowledged lines are not taken";
  if (faulty) return "";
  // Nothing can count but what was promised, then or by the seal under way.
  const bool known = std::any_of(promises.begin(), promises.end(), [&](const Promise& promise) {
    return promise.count == read->lines() && lines.starts_with(promise.lines);
  });
  return known ? "" : "lines count that nobody sealed";
}

// The next session opens, says what it cut, goes on, and all of it verifies.
std::string check_opening(const DiskImage& image, const std::vector<Promise>& promises,
                          size_t step) {
  CrashDisk disk(image, false);
  FakeClock clock;
  auto writer = Writer::open(disk, clock, options_with(uint64_t{64} << 20));
  if (!writer.ok()) return writer.status().to_string();
  if (!lines_on(disk.image()).starts_with(kept_at(promises, step).lines)) {
    return "acknowledged lines were cut";
  }
  const int a = (*writer)->incarnation(process(0, 1, 'a'));
  (*writer)->counters(counted(a, 1000, 1000));
  (*writer)->closed(Json::object({{"how", "finished"}}));
  if (Status sealed = (*writer)->seal(SealReason::end); !sealed.ok()) return sealed.to_string();
  const auto report = verify(disk, kRunFolder, std::nullopt, kRecount);
  if (!report.ok()) return report.status().to_string();
  if (!report->ok()) return describe(*report);
  return report->totals.executed == OpCount(100'000) ? "" : "the sum is wrong";
}

uint64_t fingerprint(const DiskImage& image) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const auto& [path, bytes] : image) {
    hash = (hash ^ std::hash<std::string>()(path)) * 0x9E3779B97F4A7C15;
    hash = (hash ^ std::hash<std::string>()(bytes) ^ bytes.size()) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  }
  return hash;
}

struct Tally {
  std::atomic<uint64_t> states = 0, images = 0, whole = 0, sessions = 0;
  std::mutex mutex;
  std::string failure;
  bool failed() {
    const std::lock_guard lock(mutex);
    return !failure.empty();
  }
  void fail(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (failure.empty()) failure = what;
  }
};

// All crash states of one recorded session, each distinct image once. Returns one of the images,
// for the next session to begin on.
DiskImage enumerate(const DiskImage& base, const CrashDisk& disk,
                    const std::vector<Promise>& promises, uint64_t seed, uint64_t most, bool faulty,
                    Tally& tally) {
  std::mt19937_64 random(seed);
  std::unordered_set<uint64_t> seen;
  DiskImage chosen = base;
  uint64_t visited = 0;
  CrashStates states(base, disk.log(), 64 + random() % 512);
  states.each(seed, faulty ? 37 : 1, [&](const CrashState& state) {
    ++tally.states;
    if (!seen.insert(fingerprint(state.image)).second) return ++visited < most;
    const uint64_t number = ++tally.images;
    if (random() % seen.size() == 0) chosen = state.image;
    bool readable = false;
    std::string wrong = check_reading(state.image, promises, state.step, faulty, readable);
    const bool whole = !readable || number % kOpeningPace == 0;
    if (whole) ++tally.whole;
    if (whole && wrong.empty()) wrong = check_opening(state.image, promises, state.step);
    if (!wrong.empty()) {
      tally.fail("seed " + std::to_string(seed) + " step " + std::to_string(state.step) + " torn " +
                 std::to_string(state.torn) + " subset " + std::to_string(state.subset) + ": " +
                 wrong);
      return false;
    }
    return ++visited < most;
  });
  return chosen;
}

// Sessions one after the other, each on what a crash left of the one before, until enough states
// were seen by all threads.
void enumerate_lives(uint64_t seed, uint64_t wanted, Tally& tally) {
  std::mt19937_64 random(seed);
  DiskImage base = empty_disk();
  uint64_t lives = 0;
  while (tally.states < wanted && !tally.failed()) {
    const uint64_t generation = lives++ % 4;
    if (generation == 0) base = empty_disk();
    const Plan plan = draw_plan(random, generation * 3);
    CrashDisk disk(base);
    bool opened = false;
    const std::vector<Promise> promises = live(disk, plan, opened);
    if (!opened) return tally.fail("a session did not open");
    ++tally.sessions;
    base = enumerate(base, disk, promises, random(), wanted, false, tally);
  }
}

// A session in which the disk refuses at step `n`, and all that a crash can leave of it.
void enumerate_refusal(const DiskImage& base, const Plan& plan, size_t n, int error, bool for_good,
                       Tally& tally) {
  CrashDisk disk(base);
  disk.fail_at(n, error, for_good);
  bool opened = false;
  const std::vector<Promise> promises = live(disk, plan, opened);
  ++tally.sessions;
  const std::string when = "refused at step " + std::to_string(n) + " with errno " +
                           std::to_string(error) + (for_good ? " for good" : "");
  // One refusal costs at most one try: the base, the opening and each seal are promised.
  if (opened && !for_good && promises.size() != plan.seals + 2) return tally.fail(when);
  enumerate(base, disk, promises, n, kNoLimit, true, tally);
}

void print(const char* what, uint64_t seed, const Tally& tally) {
  std::printf(
      "%lu crash states of %lu sessions%s (seed %lu): %lu distinct disks, each read as a "
      "recovery does; on %lu of them the next session went on and was verified\n",
      tally.states.load(), tally.sessions.load(), what, seed, tally.images.load(),
      tally.whole.load());
}

TEST(CrashStatesTest, FromEachStateTheNextSessionKeepsWhatWasAcknowledged) {
  const uint64_t wanted = number_from("ACCOUNT_CRASH_STATES", kDefaultStates);
  const uint64_t seed = number_from("ACCOUNT_CRASH_SEED", kDefaultSeed);
  Tally tally;
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < std::max(2u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back(enumerate_lives, seed + i, wanted, std::ref(tally));
  }
  for (std::thread& thread : threads) thread.join();
  print("", seed, tally);
  EXPECT_EQ(tally.failure, "");
  EXPECT_GE(tally.states, wanted);
}

// EIO and ENOSPC (after half of a write) at each step, once and for good, and a crash at any step
// after it: as on Linux, what a failed sync left out is not written by a later one.
TEST(CrashStatesTest, AndAlsoWhereTheDiskHadRefusedAStep) {
  const uint64_t seed = number_from("ACCOUNT_CRASH_SEED", kDefaultSeed);
  std::mt19937_64 random(seed);
  Tally tally;
  DiskImage base = empty_disk();
  constexpr Plan kPlans[] = {{1500, 2, true, false, 0}, {900, 2, false, true, 2}};
  for (const Plan& plan : kPlans) {
    CrashDisk dry(base);
    bool opened = false;
    const std::vector<Promise> promises = live(dry, plan, opened);
    ASSERT_TRUE(opened);
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      for (size_t n = next++; n < dry.steps() && !tally.failed(); n = next++) {
        for (const int error : {EIO, ENOSPC}) {
          for (const bool for_good : {false, true}) {
            enumerate_refusal(base, plan, n, error, for_good, tally);
          }
        }
      }
    };
    std::thread other(work);
    work();
    other.join();
    if (tally.failed()) break;
    base = enumerate(base, dry, promises, random(), kNoLimit, false, tally);
  }
  print(" with refusals", seed, tally);
  EXPECT_EQ(tally.failure, "");
  EXPECT_GT(tally.states, 50'000u);
}

}  // namespace
}  // namespace account::ledger
