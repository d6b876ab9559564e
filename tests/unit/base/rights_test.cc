// Whose hands could change a file.
#include "base/rights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account {
namespace {

using ::testing::HasSubstr;

class RightsTest : public ::testing::Test {
 protected:
  RightsTest() {
    std::filesystem::create_directories(folder_);
    EXPECT_THAT(FileSystem::real().write_atomically(file_, "x", 0644), testing::IsOk());
    set(folder_, 0755), set(file_, 0644);
  }
  static void set(const std::string& path, mode_t mode) { ASSERT_EQ(chmod(path.c_str(), mode), 0); }
  Status asked() const { return only_root_writes(file_, geteuid()); }

  testing::TempDir dir_;
  std::string folder_ = dir_ / "folder", file_ = folder_ + "/file";
};

TEST_F(RightsTest, AFileOfOneUserBelowAStickyFolderIsThatUsers) {
  EXPECT_THAT(asked(), testing::IsOk());
}

TEST_F(RightsTest, WhatOthersMayWriteIsRefusedByItsPath) {
  for (const mode_t mode : {0664, 0646}) {
    set(file_, mode);
    EXPECT_EQ(asked().code(), Code::io);
    EXPECT_THAT(asked().to_string(), HasSubstr(file_ + " can be written by others"));
  }
  set(file_, 0644);
  for (const mode_t mode : {0775, 0757, 01777}) {  // a sticky one lets them add a file as well
    set(folder_, mode);
    EXPECT_THAT(asked().to_string(), HasSubstr(folder_ + " can be written by others"));
  }
  set(folder_, 0755);
  set(dir_.path(), 0777);
  EXPECT_THAT(asked().to_string(), HasSubstr(dir_.path() + " can be written by others"));
  set(dir_.path(), 01777);
  EXPECT_THAT(asked(), testing::IsOk());
}

TEST_F(RightsTest, WhereALinkLeadsIsForTheFolderOfTheLinkToSay) {
  const std::string open = dir_ / "open", link = open + "/link";
  std::filesystem::create_directories(open);
  std::filesystem::create_symlink(file_, link);
  set(open, 0755);
  EXPECT_THAT(only_root_writes(link, geteuid()), testing::IsOk());
  set(open, 0777);
  EXPECT_THAT(only_root_writes(link, geteuid()).to_string(),
              HasSubstr(open + " can be written by others"));
}

TEST_F(RightsTest, AnothersFileIsRefused) {
  // Either this test is root, who may give it away, or nobody but root is asked for.
  const bool is_root = geteuid() == 0;
  ASSERT_EQ(is_root ? chown(file_.c_str(), 12345, 12345) : 0, 0);
  EXPECT_THAT(only_root_writes(file_).to_string(),
              HasSubstr(" belongs to user " + std::to_string(is_root ? 12345 : geteuid())));
}

TEST_F(RightsTest, WhatIsNotThereIsNoOnes) {
  EXPECT_EQ(only_root_writes(folder_ + "/none", geteuid()).code(), Code::io);
}

}  // namespace
}  // namespace account
