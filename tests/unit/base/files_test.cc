// The real file system: what is promised about caps, atomic writes, locks and failures.
#include "base/files.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::StatusIs;
using testing::TempDir;

class FilesTest : public ::testing::Test {
 protected:
  TempDir folder_;
  FileSystem& files_ = FileSystem::real();
};

TEST_F(FilesTest, AppendsAcrossReopening) {
  const std::string path = folder_ / "log";
  for (const char* part : {"one,", "two"}) {
    auto file = files_.open_append(path);
    ASSERT_THAT(file, IsOk());
    EXPECT_THAT((*file)->append(part), IsOk());
    EXPECT_THAT((*file)->sync(), IsOk());
  }
  EXPECT_THAT(files_.read(path, 100), IsOkAndHolds(std::string("one,two")));
  EXPECT_THAT(files_.size(path), IsOkAndHolds(uint64_t{7}));
}

TEST_F(FilesTest, ReadsUpToTheCapAndRefusesOneByteMore) {
  const std::string path = folder_ / "f";
  const std::string bytes(200'000, 'x');  // several reads
  ASSERT_THAT(files_.write_atomically(path, bytes, 0600), IsOk());
  EXPECT_THAT(files_.read(path, 200'000), IsOkAndHolds(bytes));
  EXPECT_THAT(files_.read(path, 199'999), StatusIs(Code::corrupt, HasSubstr(path)));
  ASSERT_THAT(files_.truncate(path, 0), IsOk());
  EXPECT_THAT(files_.read(path, 0), IsOkAndHolds(std::string()));
}

TEST_F(FilesTest, FailuresNamePathAndReason) {
  const std::string gone = folder_ / "gone";
  const auto names_it = AllOf(HasSubstr(gone), HasSubstr("No such file"));
  EXPECT_THAT(files_.read(gone, 1), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.size(gone), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.list(gone), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.remove(gone), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.truncate(gone, 0), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.sync_directory(gone), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.open_append(gone + "/f"), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.lock(gone + "/f"), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.write_atomically(gone + "/f", "", 0600), StatusIs(Code::not_found, names_it));
  EXPECT_THAT(files_.read(folder_.path(), 1), StatusIs(Code::io, HasSubstr("Is a directory")));
}

TEST_F(FilesTest, AtomicWriteReplacesAndSetsTheMode) {
  const std::string path = folder_ / "key";
  const mode_t mask = umask(0);
  EXPECT_THAT(files_.write_atomically(path, "old", 0644), IsOk());
  EXPECT_THAT(files_.write_atomically(path, "new", 0600), IsOk());
  umask(mask);
  struct stat info{};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_THAT(files_.read(path, 10), IsOkAndHolds(std::string("new")));
  EXPECT_THAT(files_.list(folder_.path()).value(), ElementsAre("key"));
}

TEST_F(FilesTest, AtomicWriteThatCannotReplaceLeavesNothingBehind) {
  const std::string path = folder_ / "taken";
  ASSERT_THAT(files_.make_directories(path + "/full", 0700), IsOk());
  EXPECT_THAT(files_.write_atomically(path, "bytes", 0600),
              StatusIs(Code::io, HasSubstr("cannot replace " + path)));
  EXPECT_THAT(files_.list(folder_.path()).value(), ElementsAre("taken"));
}

// A file size limit stands for a full disk: write(2) takes a part and then fails.
TEST_F(FilesTest, AtomicWriteThatRunsOutOfRoomKeepsTheOldFile) {
  const std::string path = folder_ / "f";
  ASSERT_THAT(files_.write_atomically(path, "old", 0600), IsOk());
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  rlimit small = old_limit;
  small.rlim_cur = 1000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status written = files_.write_atomically(path, std::string(5000, 'x'), 0600);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_THAT(written, StatusIs(Code::io, HasSubstr("File too large")));
  EXPECT_THAT(files_.read(path, 10), IsOkAndHolds(std::string("old")));
  EXPECT_THAT(files_.list(folder_.path()).value(), ElementsAre("f"));
}

TEST_F(FilesTest, MakesFoldersOnTheWayAndTakesThoseThatAreThere) {
  EXPECT_THAT(files_.make_directories(folder_ / "a/b/c", 0700), IsOk());
  EXPECT_THAT(files_.make_directories(folder_ / "a/b/c", 0700), IsOk());
  EXPECT_THAT(files_.make_directories(folder_ / "a/b/d/", 0700), IsOk());
  EXPECT_THAT(files_.list(folder_ / "a/b").value(), ElementsAre("c", "d"));
  ASSERT_THAT(files_.write_atomically(folder_ / "file", "", 0600), IsOk());
  EXPECT_THAT(files_.make_directories(folder_ / "file/x", 0700),
              StatusIs(Code::io, HasSubstr("cannot make the folder " + (folder_ / "file"))));
}

TEST_F(FilesTest, RemoveAndExists) {
  const std::string path = folder_ / "f";
  EXPECT_FALSE(files_.exists(path));
  ASSERT_THAT(files_.write_atomically(path, "", 0600), IsOk());
  EXPECT_TRUE(files_.exists(path));
  EXPECT_THAT(files_.remove(path), IsOk());
  EXPECT_FALSE(files_.exists(path));
  EXPECT_THAT(files_.list(folder_.path()).value(), IsEmpty());
}

// Exits 0 when the lock was free, 1 when it was held, 2 otherwise.
int lock_in_another_process(const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = FileSystem::real().lock(path);
    _exit(lock.ok() ? 0 : lock.status().code() == Code::unavailable ? 1 : 2);
  }
  int state = 0;
  EXPECT_EQ(waitpid(child, &state, 0), child);
  return WIFEXITED(state) ? WEXITSTATUS(state) : -1;
}

TEST_F(FilesTest, OneProcessHoldsTheLockUntilItLetsGo) {
  const std::string path = folder_ / "lock";
  {
    const auto lock = files_.lock(path);
    ASSERT_THAT(lock, IsOk());
    EXPECT_EQ(lock_in_another_process(path), 1);
    EXPECT_THAT(files_.lock(path), StatusIs(Code::unavailable, HasSubstr(path)));
  }
  EXPECT_EQ(lock_in_another_process(path), 0);
}

TEST_F(FilesTest, TheLockOfAKilledProcessIsFree) {
  const std::string path = folder_ / "lock";
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto lock = files_.lock(path);
    const char held = lock.ok() ? 'y' : 'n';
    (void)!write(ready[1], &held, 1);
    pause();
    _exit(0);
  }
  char held = 0;
  ASSERT_EQ(read(ready[0], &held, 1), 1);
  EXPECT_EQ(held, 'y');
  EXPECT_THAT(files_.lock(path), StatusIs(Code::unavailable));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_THAT(files_.lock(path), IsOk());
  close(ready[0]);
  close(ready[1]);
}

TEST(PathTest, JoinsAndTakesApart) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("/", "b"), "/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("/a/b/"), "b");
  EXPECT_EQ(base_name("b"), "b");
  EXPECT_EQ(base_name("/"), "/");
}

TEST_F(FilesTest, AbsolutePathFollowsLinksAsFarAsThePathExists) {
  const std::string real = absolute_path(folder_.path());
  ASSERT_THAT(files_.make_directories(real + "/there", 0700), IsOk());
  ASSERT_EQ(symlink("there", (real + "/link").c_str()), 0);
  EXPECT_EQ(absolute_path(real + "/link/not/yet"), real + "/there/not/yet");
  EXPECT_EQ(absolute_path(real + "/there/../there/"), real + "/there");
  EXPECT_EQ(absolute_path("nowhere-yet").front(), '/');
}

}  // namespace
}  // namespace account
