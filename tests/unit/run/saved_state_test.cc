// What a rank saves at a stop: how long it waits for the others, and when it may not go on. The
// clock is the test's, files and page are real.
#include "run/saved_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "base/files.h"
#include "gate/recovery.h"
#include "keeper/place.h"
#include "support/temp_dir.h"

namespace account {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint32_t kShut = 1, kMaySave = 1 | 1 << 1;

// Goes on by `step` seconds whenever it is asked, and lets the test do something then.
class SteppingClock final : public Clock {
 public:
  int64_t unix_ns() const override { return monotonic_ns(); }
  int64_t monotonic_ns() const override {
    seconds_ += step;
    if (then) then(seconds_);
    return seconds_ * kSecond;
  }
  int64_t seconds() const { return seconds_; }
  int64_t step = 5;
  std::function<void(int64_t seconds)> then;

 private:
  mutable int64_t seconds_ = 0;
};

class SavedStateTest : public ::testing::Test {
 protected:
  SavedStateTest() {
    settings_.place = *keeper::make_place(dir_.path(), "r", "here");
    settings_.identity.rank = 0;
    settings_.identity.world_size = 2;
    page_ = *tally::Page::create({dir_ / "pages"}, settings_.identity);
    std::ranges::fill(page_->layout().control.order, uint8_t{7});
    page_->layout().edge.steps_closed.store(41);
    let(kMaySave);
    const std::string recovery = keeper::recovery_path(settings_.place);
    std::filesystem::create_directories(std::filesystem::path(recovery).parent_path());
    std::ofstream(recovery) << gate::write_recovery({{{"pin", {safe_.public_key()}}}});
    std::filesystem::create_directories(folder_);
  }
  void let(uint32_t gate) { page_->layout().control.gate.store(gate); }
  void quiet_by(int64_t seconds) {
    page_->layout().control.quiet_by_ns.store(static_cast<uint64_t>(seconds * kSecond));
  }
  // Of the other rank.
  void put(const std::string& name) const { std::ofstream(folder_ + "/" + name) << "x"; }
  bool has(const std::string& name) const { return std::filesystem::exists(folder_ + "/" + name); }
  void save(const std::function<Status(const Sink& to)>& state) {
    save_state(settings_, *page_, clock_, state);
  }
  static Status small(const Sink& to) { return to("all that there is"); }

  testing::TempDir dir_;
  SteppingClock clock_;
  Settings settings_;
  std::unique_ptr<tally::Page> page_;
  const sign::SecretKey safe_ = sign::SecretKey::generate();
  const std::string folder_ = dir_ / "r/locked/0707070707070707-41";
};

TEST_F(SavedStateTest, WaitsForOneThatComesToItsEdgeJustBeforeTheDeadline) {
  quiet_by(60);
  clock_.then = [this](int64_t seconds) {
    if (seconds == 60) put("rank-1.locked.partial");
    if (seconds == 75)
      std::filesystem::rename(folder_ + "/rank-1.locked.partial", folder_ + "/rank-1.locked");
  };
  save(small);
  EXPECT_TRUE(has("rank-0.locked"));
  EXPECT_TRUE(has("rank-1.locked")) << "left after " << clock_.seconds() << " s";
}

TEST_F(SavedStateTest, LeavesSoonAfterTheDeadlineWhereAnotherHasBegunNothing) {
  quiet_by(60);
  save(small);
  EXPECT_GE(clock_.seconds(), 70);
  EXPECT_LE(clock_.seconds(), 80);
}

TEST_F(SavedStateTest, LeavesAQuarterOfAnHourAfterAnotherStoodStill) {
  put("rank-1.locked.partial");
  clock_.step = 60;
  save(small);
  EXPECT_GE(clock_.seconds(), 900);
  EXPECT_LE(clock_.seconds(), 1200);
}

TEST_F(SavedStateTest, ItsWordMovesWhileItWaitsForAnother) {
  put("rank-1.locked.partial");
  std::vector<uint32_t> seen;
  clock_.then = [&](int64_t seconds) {
    if (seconds > 10 && seconds <= 50) seen.push_back(page_->layout().edge.saving.load());
    if (seconds == 50) put("rank-1.locked");
  };
  save(small);
  ASSERT_GE(seen.size(), 8u);
  for (size_t i = 1; i < seen.size(); ++i) EXPECT_NE(seen[i], seen[i - 1]);
  EXPECT_EQ(page_->layout().edge.saving.load(), 0u);
}

TEST_F(SavedStateTest, AStopThatForbidsItEndsItAtTheNextPiece) {
  put("rank-1.locked");
  Status second;
  save([&](const Sink& to) {
    EXPECT_TRUE(to("the first piece").ok());
    let(kShut);
    second = to("the second");
    return second;
  });
  EXPECT_EQ(second.code(), Code::shutdown_ordered) << second.to_string();
  EXPECT_FALSE(has("rank-0.locked"));
  EXPECT_FALSE(has("rank-0.locked.partial"));
  EXPECT_TRUE(has("rank-0.locked.given-up"));
}

TEST_F(SavedStateTest, AStopThatForbidsItAfterTheLastPieceEndsItToo) {
  put("rank-1.locked");
  save([&](const Sink& to) {
    const Status status = to("all");
    let(kShut);
    return status;
  });
  EXPECT_FALSE(has("rank-0.locked"));
  EXPECT_TRUE(has("rank-0.locked.given-up"));
}

TEST_F(SavedStateTest, OneThatFindsNoRecoveryKeysGivesUpAndWaitsForThoseThatDo) {
  ASSERT_TRUE(std::filesystem::remove(keeper::recovery_path(settings_.place)));
  put("rank-1.locked.partial");
  clock_.then = [this](int64_t seconds) {
    if (seconds == 50) put("rank-1.locked");
  };
  save(small);
  EXPECT_TRUE(has("rank-0.locked.given-up"));
  EXPECT_TRUE(has("rank-1.locked"));
}

TEST_F(SavedStateTest, WhereNobodyMaySaveNothingIsDone) {
  let(kShut);
  save([](const Sink&) -> Status { throw std::logic_error("it was asked for"); });
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  EXPECT_EQ(clock_.seconds(), 0);
}

TEST_F(SavedStateTest, NobodyIsWaitedForLongWhoMayNotSaveAnyMore) {
  put("rank-1.locked.partial");
  clock_.then = [this](int64_t seconds) {
    if (seconds == 100) let(kShut);
  };
  save(small);
  EXPECT_TRUE(has("rank-0.locked")) << "it was whole before that";
  EXPECT_GE(clock_.seconds(), 100);
  EXPECT_LE(clock_.seconds(), 120);
}

}  // namespace
}  // namespace account
