// The fault-making file system that crash tests rest on does what it says.
#include "support/fault_files.h"

#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account {
namespace {

using ::testing::ElementsAre;
using testing::FaultFiles;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::StatusIs;
using testing::TempDir;

class FaultFilesTest : public ::testing::Test {
 protected:
  // Five operations: create, append, sync, and a note in two.
  Status write_log_and_note(FileSystem& files) {
    ACCOUNT_ASSIGN_OR_RETURN(auto log, files.open_append(folder_ / "log"));
    ACCOUNT_RETURN_IF_ERROR(log->append("a line\n"));
    ACCOUNT_RETURN_IF_ERROR(log->sync());
    return files.write_atomically(folder_ / "note", "of 1", 0600);
  }
  std::string on_disk(const std::string& name) {
    auto bytes = FileSystem::real().read(folder_ / name, 100);
    return bytes.ok() ? bytes.value() : "(none)";
  }

  TempDir folder_;
};

TEST_F(FaultFilesTest, CountsWhatChangesTheDisk) {
  FaultFiles files;
  ASSERT_THAT(write_log_and_note(files), IsOk());
  EXPECT_THAT(files.log(),
              ElementsAre("create " + (folder_ / "log"), "append " + (folder_ / "log") + " 7",
                          "sync " + (folder_ / "log"), "write " + (folder_ / "note"),
                          "rename " + (folder_ / "note")));
  EXPECT_EQ(on_disk("note"), "of 1");
}

TEST_F(FaultFilesTest, OneFailureChangesNothingAndTheNextCallWorks) {
  FaultFiles files;
  files.fail_at(3, EIO);
  EXPECT_THAT(write_log_and_note(files), StatusIs(Code::io, HasSubstr("Input/output error")));
  EXPECT_EQ(on_disk("log"), "a line\n");
  EXPECT_EQ(on_disk("note"), "(none)");
  EXPECT_THAT(files.write_atomically(folder_ / "note", "of 1", 0600), IsOk());
}

TEST_F(FaultFilesTest, AFullDiskTakesHalfAnAppendAndStaysFull) {
  FaultFiles files;
  files.fail_at(1, ENOSPC, true);
  EXPECT_THAT(write_log_and_note(files), StatusIs(Code::io, HasSubstr("No space left")));
  EXPECT_EQ(on_disk("log"), "a l");
  EXPECT_THAT(files.write_atomically(folder_ / "note", "", 0600), StatusIs(Code::io));
  EXPECT_THAT(files.read(folder_ / "log", 10), IsOkAndHolds(std::string("a l")));
}

TEST_F(FaultFilesTest, NothingHappensAfterACrashButTheTornBytes) {
  FaultFiles files;
  files.crash_at(1, 4);
  EXPECT_THAT(write_log_and_note(files), StatusIs(Code::io, HasSubstr("down")));
  EXPECT_TRUE(files.crashed());
  EXPECT_THAT(write_log_and_note(files), StatusIs(Code::io));
  EXPECT_THAT(files.read(folder_ / "log", 10), StatusIs(Code::io));
  EXPECT_EQ(on_disk("log"), "a li");
}

TEST_F(FaultFilesTest, ACrashBeforeTheRenameLeavesTheTemporaryFile) {
  FaultFiles files;
  files.crash_at(4);
  EXPECT_THAT(write_log_and_note(files), StatusIs(Code::io));
  EXPECT_EQ(on_disk("note"), "(none)");
  EXPECT_EQ(on_disk("note.1.0.tmp"), "of 1");
}

TEST_F(FaultFilesTest, APowerCutTakesWhatWasNotSynced) {
  FaultFiles files;
  auto log = files.open_append(folder_ / "log");
  ASSERT_THAT(log, IsOk());
  ASSERT_THAT((*log)->append("kept "), IsOk());
  ASSERT_THAT((*log)->sync(), IsOk());
  ASSERT_THAT((*log)->append("lost"), IsOk());
  files.crash_at(files.operations());
  EXPECT_THAT((*log)->sync(), StatusIs(Code::io));
  EXPECT_EQ(files.lose_unsynced(), 4u);
  EXPECT_EQ(on_disk("log"), "kept ");
}

}  // namespace
}  // namespace account
