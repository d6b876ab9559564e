// SIGKILL at random moments, of each process and of all: after the restart the ledger holds every
// call that had ended, and none that had not begun.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "e2e/cpp/support.h"

namespace account::e2e {
namespace {

enum class Victim { rank, all_ranks, keeper, everything };

class Kills : public EndToEnd {
 protected:
  // At most three seconds in which two ranks work, with a kill after `delay`.
  void round(Victim victim, milliseconds delay) {
    std::vector<Process> ranks;
    for (int rank = 0; rank < 2; ++rank) {
      ranks.push_back(start_rank({"steps=100000", "calls=2000", "threads=2"}, rank, 2));
    }
    std::this_thread::sleep_for(delay);
    if (victim == Victim::keeper || victim == Victim::everything) kill_keeper();
    if (victim != Victim::keeper) ranks[0].kill(SIGKILL);
    if (victim == Victim::all_ranks || victim == Victim::everything) ranks[1].kill(SIGKILL);
    std::this_thread::sleep_for(milliseconds(100));
    // The end of a round: what is left is killed as well, so that the next begins with leftovers.
    for (Process& rank : ranks) {
      rank.kill(SIGKILL);
      rank.wait();
    }
  }
  // The same under `account run`, which is the keeper of this round.
  void hosted_round(Victim victim, milliseconds delay) {
    const std::string rank =
        std::string(RANK_PROGRAM) + " " + log() + " steps=100000 calls=2000 threads=2";
    const std::string both = "WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 RANK=0 LOCAL_RANK=0 " + rank +
                             " & WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 RANK=1 LOCAL_RANK=1 " + rank +
                             " & wait";
    Process run = account_run({"--quiet"}, {"sh", "-c", both}, base_environment());
    std::this_thread::sleep_for(delay);
    if (victim == Victim::keeper || victim == Victim::everything) run.kill(SIGKILL);
    kill_ranks(victim == Victim::rank ? 1 : victim == Victim::keeper ? 0 : 2);
    std::this_thread::sleep_for(milliseconds(100));
    // Also those that began meanwhile; `account run` ends with them.
    EXPECT_TRUE(eventually(
        [&] {
          kill_ranks(2);
          return run.has_ended();
        },
        seconds(20)));
    // A killed one ends with nobody: its shell and what that is just starting are left.
    EXPECT_TRUE(eventually([&] { return kill_leftovers() == 0; }, seconds(20)));
  }
  // Whatever still runs with the calls' file among its words: the shell, its forks, the ranks.
  int kill_leftovers() const {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      std::ifstream file(entry.path() / "cmdline");
      const std::string words{std::istreambuf_iterator<char>(file), {}};
      if (words.find(log()) == std::string::npos) continue;
      ++found;
      ::kill(std::stoi(name), SIGKILL);
    }
    return found;
  }
  std::vector<std::unique_ptr<tally::PageView>> pages() const {
    std::vector<std::unique_ptr<tally::PageView>> pages;
    for (const std::string& folder : place().page_folders()) {
      const auto names = FileSystem::real().list(folder);
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        if (!name.ends_with(keeper::kPageSuffix)) continue;
        auto page = tally::PageView::open(folder + "/" + name);
        if (page.ok()) pages.push_back(std::move(page).value());
      }
    }
    return pages;
  }
  void kill_ranks(int most) const {
    for (const auto& page : pages()) {
      if (most-- <= 0) return;
      if (page->alive()) ::kill(static_cast<pid_t>(page->layout().header.pid), SIGKILL);
    }
  }
  void kill_keeper() const {
    for (const auto& page : pages()) {
      const auto pid = page->layout().control.keeper_pid.load();
      if (pid != 0 && keeper_lives()) ::kill(static_cast<pid_t>(pid), SIGKILL);
    }
  }
  // A last orderly round, so that a keeper has taken up everything that lay about.
  void finish_run() {
    Process last = account_run({}, rank_words({"steps=1", "calls=1"}), base_environment());
    EXPECT_EQ(last.wait(), 0) << last.err();
    EXPECT_TRUE(keeper_ends());
  }
};

TEST_F(Kills, AtRandomMomentsCostAtMostTheCallInFlight) {
  std::mt19937 random(20261124);  // the same moments each time, as far as scheduling allows
  constexpr int kTrials = 24;
  for (int trial = 0; trial < kTrials; ++trial) {
    const auto victim = static_cast<Victim>(trial % 4);
    round(victim, milliseconds(std::uniform_int_distribution<int>(20, 900)(random)));
  }
  finish_run();
  const ledger::Report report = verify();
  expect_all_counted(report);
  EXPECT_GT(report.totals.calls, 10'000u);
}

TEST_F(Kills, UnderAccountRunCostAtMostTheCallInFlight) {
  std::mt19937 random(3);
  constexpr int kTrials = 12;
  for (int trial = 0; trial < kTrials; ++trial) {
    hosted_round(static_cast<Victim>(trial % 4),
                 milliseconds(std::uniform_int_distribution<int>(20, 900)(random)));
  }
  finish_run();
  const ledger::Report report = verify();
  expect_all_counted(report);
  EXPECT_GT(report.totals.calls, 10'000u);
}

TEST_F(Kills, TrainingIsNotDisturbedByTheKeepersDeathAndANewOneContinues) {
  Process rank = start_rank({"steps=900", "calls=50", "seconds=9"});
  ASSERT_TRUE(eventually([&] { return live().has_value(); }, seconds(5)));
  const uint32_t first = live()->keeper_pid;
  ASSERT_EQ(::kill(static_cast<pid_t>(first), SIGKILL), 0);
  EXPECT_TRUE(eventually(
      [&] {
        const auto status = live();
        return status.has_value() && status->keeper_pid != first;
      },
      seconds(8)));
  EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_TRUE(keeper_ends());
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{900} * 50 * kOperations));
  EXPECT_EQ(report.totals.steps, 900u);
  EXPECT_EQ(report.incarnations.size(), 1u);
  EXPECT_GE(report.nodes[0].keys.size(), 2u);
}

TEST_F(Kills, AJobThatEndsRightAfterItsKeeperIsStillSealed) {
  Process rank = start_rank({"steps=20", "calls=50", "seconds=2"});
  ASSERT_TRUE(eventually([&] { return live().has_value(); }, seconds(5)));
  ::kill(static_cast<pid_t>(live()->keeper_pid), SIGKILL);
  EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_EQ(verify().totals.executed, OpCount::from_raw(Uint128{1000} * kOperations));
  EXPECT_TRUE(keeper_ends());
}

TEST_F(Kills, ARankOutlivesItsAccountRun) {
  Process run =
      account_run({}, rank_words({"steps=700", "calls=50", "seconds=7"}), base_environment());
  ASSERT_TRUE(eventually(
      [&] {
        const auto status = live();
        return status.has_value() && !status->ranks.empty();
      },
      seconds(5)));
  run.kill(SIGKILL);
  run.wait();
  EXPECT_TRUE(eventually(
      [&] {
        const auto status = live();
        return status.has_value() && !status->ranks.empty();
      },
      seconds(8)));
  EXPECT_TRUE(keeper_ends());
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{700} * 50 * kOperations));
  EXPECT_TRUE(report.nodes[0].closed);
}

// A file size limit that is put on the keeper while it runs is a disk that is full: its writes fail
// in the kernel.
TEST_F(Kills, ADiskThatIsFullForAWhileCostsNothing) {
  Process rank = start_rank({"steps=600", "calls=50", "seconds=6"});
  ASSERT_TRUE(eventually([&] { return live() && live()->steps > 20; }, seconds(5)));
  const auto keeper = static_cast<pid_t>(live()->keeper_pid);
  rlimit before{};
  ASSERT_EQ(prlimit(keeper, RLIMIT_FSIZE, nullptr, &before), 0);
  const std::string segment =
      place().run_folder() + "/node-" + place().node + "/ledger/000001.jsonl";
  const rlimit full{std::filesystem::file_size(segment) + 10, before.rlim_max};
  ASSERT_EQ(prlimit(keeper, RLIMIT_FSIZE, &full, nullptr), 0);
  std::this_thread::sleep_for(seconds(2));
  ASSERT_EQ(prlimit(keeper, RLIMIT_FSIZE, &before, nullptr), 0);
  EXPECT_EQ(rank.wait(), 0) << rank.err();
  EXPECT_TRUE(keeper_ends());
  EXPECT_THAT(rank.err(), ::testing::HasSubstr("cannot seal"));
  EXPECT_THAT(rank.err(), ::testing::HasSubstr("sealing works again"));
  const ledger::Report report = verify();
  EXPECT_EQ(report.totals.executed, OpCount::from_raw(Uint128{600} * 50 * kOperations));
  EXPECT_EQ(report.totals.steps, 600u);
}

TEST_F(Kills, AKeeperThatIsKilledAgainAndAgainLosesNothing) {
  Process rank = start_rank({"steps=100", "calls=100", "seconds=1"});
  std::mt19937 random(7);
  std::atomic<bool> over = false;
  std::thread killer([&] {
    while (!over.load()) {
      if (const auto status = live()) ::kill(static_cast<pid_t>(status->keeper_pid), SIGKILL);
      std::this_thread::sleep_for(milliseconds(std::uniform_int_distribution<int>(5, 60)(random)));
    }
  });
  rank.wait();  // 0, or 5 where the last keeper did not live to seal the end
  over.store(true);
  killer.join();
  finish_run();
  const ledger::Report report = verify();
  expect_all_counted(report);
  EXPECT_EQ(report.totals.calls, 100u * 100 + 1);
}

}  // namespace
}  // namespace account::e2e
