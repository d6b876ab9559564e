// Crashes and refusals of the disk at every operation: nothing acknowledged is lost, nothing
// half-written counts, and the next session goes on.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "support/fault_files.h"
#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::FaultFiles;
using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;

constexpr uint64_t kSeals = 4;

// What a keeper was told is safe: operations and closed steps of the last seal that was ok.
struct Promise {
  bool opened = false;
  uint64_t operations = 0;
  bool closed = false;
};

// One session as a keeper lives it: cumulative counters, a transcript and a gap on the way. A
// failed seal is tried again after reopen() as often as `retries` says.
Promise live(FileSystem& files, const std::string& run, uint64_t base, int retries,
             uint64_t segment_bytes = uint64_t{64} << 20) {
  Promise promise;
  promise.operations = base * 100;
  FakeClock clock;
  WriterOptions options = options_for(run);
  options.segment_bytes = segment_bytes;
  auto opened = Writer::open(files, clock, options);
  if (!opened.ok()) return promise;
  promise.opened = true;
  Writer& writer = **opened;
  for (uint64_t i = 1; i <= kSeals; ++i) {
    const bool last = i == kSeals;
    for (int attempt = 0; attempt <= retries; ++attempt) {
      if (!writer.reopen().ok()) continue;
      const int a = writer.incarnation(process(0, 1, 'a'));
      writer.counters(counted(a, base + i, base + i));
      if (i == 2) writer.transcript(a, base + i, 0, kTranscript);
      if (i == 3) writer.gap(Json::object({{"kind", "test"}, {"bound_operations", OpCount(1)}}));
      if (last) writer.closed(Json::object({{"how", "finished"}}));
      if (!writer.seal(last ? SealReason::end : SealReason::time).ok()) continue;
      promise.operations = (base + i) * 100;
      promise.closed = last;
      break;
    }
  }
  return promise;
}

// After any fault: what was promised is there, a new session opens, and all of it verifies.
// `lives` is how many sessions there were before.
void expect_kept(const std::string& run, const Promise& promise, const std::string& when,
                 uint64_t lives = 1) {
  const uint64_t expected = (lives + 1) * kSeals * 100;
  const Promise next = live(FileSystem::real(), run, lives * kSeals, 0);
  ASSERT_TRUE(next.opened) << when;
  const Report report = verified(run);
  ASSERT_TRUE(report.ok()) << when << "\n" << describe(report);
  ASSERT_EQ(report.totals.executed, OpCount(expected)) << when;
  ASSERT_GE(report.totals.executed, OpCount(promise.operations)) << when;
  ASSERT_LE(report.totals.upper, OpCount(expected + lives + 1)) << when;  // no gap stands twice
}

size_t operations_of_a_life(uint64_t segment_bytes) {
  TempDir dir;
  FaultFiles files;
  EXPECT_TRUE(live(files, dir / "run-1", 0, 0, segment_bytes).closed);
  return files.operations();
}

// A segment size that makes the session rotate, and one that does not.
constexpr uint64_t kSegmentSizes[] = {1200, uint64_t{64} << 20};

TEST(CrashTest, LosesNoAcknowledgedLineWhereverTheMachineGoesDown) {
  for (const uint64_t segment_bytes : kSegmentSizes) {
    const size_t total = operations_of_a_life(segment_bytes);
    ASSERT_GT(total, 30u);
    for (size_t n = 0; n < total; ++n) {
      for (const size_t torn : {size_t{0}, size_t{1}, size_t{40}}) {
        TempDir dir;
        FaultFiles files;
        files.crash_at(n, torn);
        const Promise promise = live(files, dir / "run-1", 0, 0, segment_bytes);
        ASSERT_TRUE(files.crashed());
        const std::string when = "crash at " + files.log()[n] + " torn " + std::to_string(torn);
        // Before anybody mends it: what is there verifies, or nothing was ever promised.
        const auto report = verify(FileSystem::real(), dir / "run-1", std::nullopt, kRecount);
        if (promise.operations > 0) {
          ASSERT_THAT(report, IsOk()) << when;
          ASSERT_TRUE(report->ok()) << when << "\n" << describe(*report);
          ASSERT_GE(report->totals.executed, OpCount(promise.operations)) << when;
        }
        expect_kept(dir / "run-1", promise, when);
      }
    }
  }
}

TEST(CrashTest, LosesNoAcknowledgedLineWhenUnsyncedBytesVanish) {
  const size_t total = operations_of_a_life(kSegmentSizes[0]);
  for (size_t n = 0; n < total; ++n) {
    TempDir dir;
    FaultFiles files;
    files.crash_at(n, 40);
    const Promise promise = live(files, dir / "run-1", 0, 0, kSegmentSizes[0]);
    files.lose_unsynced();
    expect_kept(dir / "run-1", promise, "power cut at " + files.log()[n]);
  }
}

TEST(CrashTest, SurvivesACrashInTheRecoveryFromACrash) {
  TempDir probe;
  const auto crashed_life = [](const std::string& run) {
    FaultFiles files;
    files.crash_at(25, 40);
    return live(files, run, 0, 0, kSegmentSizes[0]);
  };
  crashed_life(probe / "run-1");
  FaultFiles counting;
  live(counting, probe / "run-1", kSeals, 0);
  for (size_t n = 0; n < counting.operations(); ++n) {
    TempDir dir;
    const Promise promise = crashed_life(dir / "run-1");
    FaultFiles files;
    files.crash_at(n, 1);
    live(files, dir / "run-1", kSeals, 0);
    expect_kept(dir / "run-1", promise, "second crash at " + files.log()[n], 2);
  }
}

TEST(CrashTest, GoesOnAfterOneRefusalOfTheDisk) {
  for (const int error : {ENOSPC, EIO}) {
    const size_t total = operations_of_a_life(kSegmentSizes[0]);
    for (size_t n = 0; n < total; ++n) {
      TempDir dir;
      FaultFiles files;
      files.fail_at(n, error);
      const Promise promise = live(files, dir / "run-1", 0, 2, kSegmentSizes[0]);
      const std::string when = "refused: " + files.log()[n];
      if (promise.opened) {
        ASSERT_TRUE(promise.closed) << when;  // the second try of the seal went through
        const Report report = verified(dir / "run-1");
        ASSERT_TRUE(report.ok()) << when << "\n" << describe(report);
        ASSERT_EQ(report.totals.executed, OpCount(kSeals * 100)) << when;
        ASSERT_EQ(report.totals.upper, OpCount(kSeals * 100 + 1)) << when;
        ASSERT_EQ(report.nodes[0].keys.size(), 1u) << when;
      }
      expect_kept(dir / "run-1", promise, when);
    }
  }
}

TEST(CrashTest, CountsNothingHalfWrittenWhileTheDiskStaysFull) {
  const size_t total = operations_of_a_life(kSegmentSizes[0]);
  for (size_t n = 0; n < total; ++n) {
    TempDir dir;
    FaultFiles files;
    files.fail_at(n, ENOSPC, true);
    const Promise promise = live(files, dir / "run-1", 0, 1, kSegmentSizes[0]);
    if (promise.operations > 0) {
      const Report report = verified(dir / "run-1");
      ASSERT_TRUE(report.ok()) << files.log()[n] << "\n" << describe(report);
      ASSERT_GE(report.totals.executed, OpCount(promise.operations)) << files.log()[n];
    }
    expect_kept(dir / "run-1", promise, "full from " + files.log()[n]);
  }
}

TEST(CrashTest, RefusesToSealBetweenAFailureAndReopen) {
  TempDir dir;
  FaultFiles files;
  FakeClock clock;
  auto writer = Writer::open(files, clock, options_for(dir / "run-1"));
  ASSERT_THAT(writer, IsOk());
  const SealedState before = (*writer)->sealed();
  files.fail_at(files.operations(), ENOSPC);
  (*writer)->gap(Json::object({{"kind", "test"}}));
  EXPECT_THAT((*writer)->seal(SealReason::time), StatusIs(Code::io));
  EXPECT_THAT((*writer)->seal(SealReason::time), StatusIs(Code::unavailable));
  EXPECT_EQ((*writer)->sealed().root_hex, before.root_hex);
  EXPECT_THAT((*writer)->reopen(), IsOk());
  EXPECT_THAT((*writer)->seal(SealReason::time), IsOk());
  EXPECT_TRUE(verified(dir / "run-1").gaps.empty());  // the failed batch was dropped whole
}

}  // namespace
}  // namespace account::ledger
