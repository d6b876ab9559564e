// The authority's log: it grows, hangs together, and shows what was changed.
#include "order/authority_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "support/matchers.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace account::order {
namespace {

using ::testing::HasSubstr;

class AuthorityLogTest : public ::testing::Test {
 protected:
  AuthorityLog log() const { return {FileSystem::real(), clock_, dir_.path()}; }
  void add(const std::string& fact) const {
    ASSERT_THAT(log().append("order", Json::object({{"order", fact}})), testing::IsOk());
  }
  std::string bytes() const { return testing::read_file(log().path()); }
  void rewrite(const std::string& bytes) const { std::ofstream(log().path()) << bytes; }
  LogReport read() const {
    auto report = log().read();
    EXPECT_THAT(report, testing::IsOk());
    return report.ok() ? *report : LogReport();
  }

  testing::TempDir dir_;
  FakeClock clock_;
};

TEST_F(AuthorityLogTest, AnAuthorityWithoutOneHasAnEmptyOne) {
  EXPECT_TRUE(read().lines.empty());
  EXPECT_EQ(read().head(), sign::Digest{});
}

TEST_F(AuthorityLogTest, EachLineNamesTheOneBefore) {
  for (const char* fact : {"a", "b", "c"}) add(fact);
  const LogReport report = read();
  ASSERT_EQ(report.lines.size(), 3u);
  EXPECT_TRUE(report.faults.empty());
  for (size_t i = 0; i < 3; ++i) {
    const LogLine& line = report.lines[i];
    EXPECT_EQ(line.number, static_cast<int64_t>(i) + 1);
    EXPECT_EQ(line.what, "order");
    EXPECT_EQ(line.time, "2027-01-15T08:00:00Z");
    EXPECT_THAT(line.by, HasSubstr("@"));
    const sign::Digest before = i == 0 ? sign::Digest{} : report.lines[i - 1].digest;
    EXPECT_EQ(*line.facts.get_string("previous"), sign::to_hex(before));
  }
  EXPECT_EQ(report.head(), report.lines[2].digest);
}

TEST_F(AuthorityLogTest, ShowsEveryFlippedBitButInTheLastLine) {
  for (const char* fact : {"a", "b", "c"}) add(fact);
  const std::string good = bytes();
  const size_t last = good.rfind('\n', good.size() - 2);
  for (size_t bit = 0; bit < last * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    rewrite(flipped);
    EXPECT_FALSE(read().faults.empty()) << "bit " << bit;
  }
}

TEST_F(AuthorityLogTest, ShowsALineTakenAwayOrPutInBetween) {
  for (const char* fact : {"a", "b", "c"}) add(fact);
  const std::string good = bytes();
  const size_t one = good.find('\n') + 1, two = good.find('\n', one) + 1;
  rewrite(good.substr(0, one) + good.substr(two));
  EXPECT_FALSE(read().faults.empty());
  rewrite(good.substr(one));
  EXPECT_FALSE(read().faults.empty());
  rewrite(good.substr(0, two) + good.substr(one));
  EXPECT_FALSE(read().faults.empty());
  // Cut off at the end it hangs together; whoever kept the head knows better.
  rewrite(good.substr(0, two));
  EXPECT_TRUE(read().faults.empty());
}

TEST_F(AuthorityLogTest, GoesOnBehindALineThatACrashCutShort) {
  add("a");
  add("b");
  rewrite(bytes().substr(0, bytes().size() - 7));
  ASSERT_EQ(read().faults.size(), 2u) << "no JSON, and cut short";
  add("c");
  const LogReport report = read();
  ASSERT_EQ(report.lines.size(), 3u);
  EXPECT_EQ(report.faults.size(), 1u) << "the stump stays one";
  EXPECT_EQ(*report.lines[2].facts.get_string("order"), "c");
}

TEST_F(AuthorityLogTest, WritersTakeTurns) {
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      for (int line = 0; line < 10; ++line) add("x");
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(read().lines.size(), 40u);
  EXPECT_TRUE(read().faults.empty());
}

TEST_F(AuthorityLogTest, SaysWhereItCannotBeWritten) {
  const AuthorityLog nowhere(FileSystem::real(), clock_, dir_ / "no/such/folder");
  const Status status = nowhere.append("order", Json::object());
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.to_string(), HasSubstr("no/such/folder"));
}

}  // namespace
}  // namespace account::order
