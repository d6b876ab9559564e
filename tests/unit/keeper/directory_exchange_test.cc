// The exchange over a folder that the nodes share.
#include "keeper/directory_exchange.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account::keeper {
namespace {

using testing::IsOk;
using testing::StatusIs;
using testing::TempDir;

class DirectoryExchangeTest : public ::testing::Test {
 protected:
  std::unique_ptr<DirectoryExchange> end() {
    return std::make_unique<DirectoryExchange>(folder_, FileSystem::real(), Clock::real());
  }
  std::optional<std::string> heard(DirectoryExchange& by, const std::string& member) {
    const auto blobs = by.collect("total", {member}, 0);
    EXPECT_THAT(blobs, IsOk());
    return blobs.ok() ? blobs->front() : std::nullopt;
  }
  void age(const std::string& name, int64_t seconds) {
    struct stat facts{};
    ASSERT_EQ(stat((folder_ + "/" + name).c_str(), &facts), 0);
    const timespec times[2] = {{facts.st_mtim.tv_sec - seconds, facts.st_mtim.tv_nsec},
                               {facts.st_mtim.tv_sec - seconds, facts.st_mtim.tv_nsec}};
    ASSERT_EQ(utimensat(AT_FDCWD, (folder_ + "/" + name).c_str(), times, 0), 0);
  }
  TempDir dir_;
  const std::string folder_ = dir_ / "exchange/run-1";
};

TEST_F(DirectoryExchangeTest, WhatOneNodePostsTheOtherCollectsAndTheAbsentAreMissing) {
  const auto left = end(), right = end();
  ASSERT_THAT(left->post("total/0", "left"), IsOk());
  ASSERT_THAT(right->post("total/2", "right"), IsOk());
  ASSERT_THAT(right->post("total/2", "right again"), IsOk());
  EXPECT_EQ(heard(*left, "2"), "right again");
  EXPECT_EQ(heard(*right, "0"), "left");
  EXPECT_EQ(heard(*left, "1"), std::nullopt);
}

TEST_F(DirectoryExchangeTest, WhatAKilledJobLeftCountsForNothing) {
  const auto left = end(), killed = end();
  ASSERT_THAT(killed->post("total/2", "old"), IsOk());
  EXPECT_EQ(heard(*left, "2"), std::nullopt);  // nothing own to compare it with
  ASSERT_THAT(left->post("total/0", "now"), IsOk());
  EXPECT_EQ(heard(*left, "2"), "old");  // just now: its node may live
  age("total.2", 31);
  EXPECT_EQ(heard(*left, "2"), std::nullopt);
}

TEST_F(DirectoryExchangeTest, AnOrderlyEndTakesItsFilesAway) {
  const auto left = end();
  auto right = end();
  ASSERT_THAT(left->post("total/0", "left"), IsOk());
  ASSERT_THAT(right->post("total/2", "right"), IsOk());
  right.reset();
  EXPECT_EQ(heard(*left, "2"), std::nullopt);
}

TEST_F(DirectoryExchangeTest, KeysAndBlobsThatDoNotFitAreRefused) {
  const auto left = end();
  EXPECT_THAT(left->post("total/../../x", "b"), StatusIs(Code::invalid_argument));
  EXPECT_THAT(left->post("total/0", std::string(Exchange::kMaxBlobBytes + 1, 'b')),
              StatusIs(Code::invalid_argument));
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(DirectoryExchangeTest, AFolderThatCannotBeMadeIsNamed) {
  DirectoryExchange nowhere("/proc/no/such", FileSystem::real(), Clock::real());
  const Status posted = nowhere.post("total/0", "b");
  EXPECT_FALSE(posted.ok());
  EXPECT_THAT(posted.to_string(), ::testing::HasSubstr("/proc/no"));
}

}  // namespace
}  // namespace account::keeper
