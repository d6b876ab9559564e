// Processes by start time: alive, dead, a zombie, and a pid that somebody else has now.
#include "base/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"

namespace account {
namespace {

TEST(ProcessTest, KnowsThisProcess) {
  const uint64_t start = process_start_ticks(getpid());
  EXPECT_GT(start, 0u);
  EXPECT_EQ(process_start_ticks(getpid()), start);
  EXPECT_TRUE(process_alive(getpid(), start));
  EXPECT_FALSE(process_alive(getpid(), start + 1));  // the pid was given to another one
  EXPECT_FALSE(process_alive(getpid(), 0));
}

TEST(ProcessTest, AZombieIsDeadAndSoIsAReapedOne) {
  int gate[2];
  ASSERT_EQ(pipe(gate), 0);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    _exit(read(gate[0], &byte, 1) == 1 ? 0 : 1);
  }
  const uint64_t start = process_start_ticks(child);
  EXPECT_TRUE(process_alive(child, start));
  ASSERT_EQ(write(gate[1], "x", 1), 1);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(process_alive(child, start));
  EXPECT_EQ(process_start_ticks(child), 0u);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(process_alive(child, start));
  close(gate[0]);
  close(gate[1]);
}

TEST(ProcessTest, TheMachineWasStartedBeforeThisProcess) {
  const int64_t boot = boot_unix_ns();
  EXPECT_GT(boot, int64_t{1'500'000'000} * 1'000'000'000);
  EXPECT_LT(boot, Clock::real().unix_ns());
}

TEST(RandomTest, GivesAsManyBytesAsAskedAndNeverTheSame) {
  EXPECT_EQ(random_bytes(0).size(), 0u);
  EXPECT_EQ(random_bytes(100'000).size(), 100'000u);  // more than one getrandom(2) may give
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

}  // namespace
}  // namespace account
