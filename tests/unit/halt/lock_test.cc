// Each in a child process: a lock is for good.
#include "halt/lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "support/temp_dir.h"

namespace account::halt {
namespace {

// The exit code of a child that does this.
int in_child(const std::function<int()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int state = 0;
  EXPECT_EQ(waitpid(child, &state, 0), child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

bool denied(long result) { return result == -1 && errno == EPERM; }

class LockTest : public ::testing::Test {
 protected:
  const account::testing::TempDir dir_;
  std::string path(const std::string& name) const { return dir_.path() + "/" + name; }
};

TEST_F(LockTest, NoFileIsOpenedForWritingByAnyWay) {
  std::ofstream(path("old")) << "old";
  EXPECT_EQ(in_child([&] {
              if (!lock_process().ok()) return 1;
              if (!denied(open(path("new").c_str(), O_WRONLY | O_CREAT, 0600))) return 2;
              if (!denied(open(path("old").c_str(), O_RDWR))) return 3;
              if (!denied(creat(path("new").c_str(), 0600))) return 4;
              if (!denied(openat(AT_FDCWD, path("old").c_str(), O_WRONLY | O_APPEND))) return 5;
              if (std::ofstream(path("new")).is_open()) return 6;
              if (!denied(syscall(SYS_memfd_create, "weights", 0))) return 7;
              if (!denied(link(path("old").c_str(), path("new").c_str()))) return 8;
              if (std::fopen(path("old").c_str(), "a") != nullptr) return 9;
              if (!denied(open("/tmp", O_TMPFILE | O_RDWR, 0600))) return 10;
              return 0;
            }),
            0);
  EXPECT_FALSE(std::ifstream(path("new")).is_open());
}

TEST_F(LockTest, NoWayToAnotherProcessOrMachine) {
  EXPECT_EQ(in_child([&] {
              int pair[2];
              if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
              if (!lock_process().ok()) return 2;
              if (!denied(socket(AF_INET, SOCK_STREAM, 0))) return 3;
              if (!denied(socketpair(AF_UNIX, SOCK_STREAM, 0, pair))) return 4;
              if (!denied(execl("/bin/true", "true", nullptr))) return 5;
              if (!denied(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr))) return 6;
              char byte = 0;
              const iovec there{&byte, 1};
              if (!denied(process_vm_readv(getppid(), &there, 1, &there, 1, 0))) return 7;
              if (!denied(connect(pair[0], nullptr, 0))) return 8;
              return 0;
            }),
            0);
}

TEST_F(LockTest, ThreadsThatWereThereBeforeAndChildrenAreLockedToo) {
  EXPECT_EQ(
      in_child([&] {
        std::atomic<int> turn{0};
        std::atomic<bool> refused{false};
        std::thread before([&] {
          while (turn != 1) std::this_thread::yield();
          refused = denied(open(path("new").c_str(), O_WRONLY | O_CREAT, 0600));
        });
        if (!lock_process().ok()) return 1;
        turn = 1;
        before.join();
        if (!refused) return 2;
        return in_child([&] { return denied(open(path("new").c_str(), O_CREAT, 0600)) ? 0 : 3; });
      }),
      0);
}

TEST_F(LockTest, ReadingComputingAndWhatIsOpenGoOn) {
  std::ofstream(path("old")) << "old";
  EXPECT_EQ(in_child([&] {
              const int log = open(path("log").c_str(), O_WRONLY | O_CREAT, 0600);
              if (!lock_process().ok() || !lock_process().ok()) return 1;
              std::string text;
              std::ifstream(path("old")) >> text;
              if (text != "old") return 2;
              if (write(log, "x", 1) != 1) return 3;
              std::vector<double> numbers(1 << 20, 1.5);
              std::atomic<int> done{0};
              std::thread after([&] { done = 1; });
              after.join();
              return done == 1 && numbers.back() == 1.5 ? 0 : 4;
            }),
            0);
}

}  // namespace
}  // namespace account::halt
