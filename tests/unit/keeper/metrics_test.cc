// The metrics file, and what becomes of it.
#include "keeper/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account::keeper {
namespace {

using account::testing::IsOk;
using account::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    status_.run = "chat-7b";
    status_.node = "0a0b0c0d";
    status_.world_size = 2;
    status_.steps = 12;
    status_.ranks = {{0, 0, 1, 12, 10}};
    status_.silent_ranks = {1};
    status_.updated_unix_ns = 1'790'000'000'250'000'000;
    status_.job_operations = OpCount::from_raw((Uint128{1} << 90) + 1);
    facts_.operations = {{{Category::train, Phase::forward}, 20},
                         {{Category::train, Phase::backward}, 40}};
  }
  std::string text() const { return to_prometheus(status_, facts_); }

  LiveStatus status_;
  MetricsFacts facts_;
};

TEST_F(MetricsTest, CountsAreWholeNumbersHoweverLarge) {
  EXPECT_THAT(text(), HasSubstr("account_job_operations{run=\"chat-7b\",node=\"0a0b0c0d\"} "
                                "1237940039285380274899124225\n"));
  EXPECT_THAT(text(), HasSubstr("account_operations_total{run=\"chat-7b\",node=\"0a0b0c0d\","
                                "category=\"train\",phase=\"backward\"} 40\n"));
  EXPECT_THAT(text(), HasSubstr("account_last_update_timestamp_seconds{run=\"chat-7b\","
                                "node=\"0a0b0c0d\"} 1790000000.250\n"));
}

TEST_F(MetricsTest, ANameThatHoldsQuotesBreaksNoLine) {
  status_.model = "a\"b\\c\nd";
  EXPECT_THAT(text(), HasSubstr("model=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST_F(MetricsTest, WhatWasTakenInIsThereWhereSomebodySaysIt) {
  EXPECT_THAT(text(), Not(HasSubstr("tokens")));
  EXPECT_THAT(text(), Not(HasSubstr("samples")));
  facts_.processed.tokens = UINT64_MAX;
  EXPECT_THAT(text(), HasSubstr("# TYPE account_tokens_total counter\n"
                                "account_tokens_total{run=\"chat-7b\",node=\"0a0b0c0d\"} "
                                "18446744073709551615\n"));
  EXPECT_THAT(text(), Not(HasSubstr("samples")));
  facts_.processed.samples = 12;
  EXPECT_THAT(text(), HasSubstr("account_samples_total{run=\"chat-7b\",node=\"0a0b0c0d\"} 12\n"));
}

TEST_F(MetricsTest, TheRatioIsThatOfTheNearestThreshold) {
  EXPECT_THAT(text(), Not(HasSubstr("threshold")));
  status_.policy = "p";
  status_.rule = "model";
  status_.threshold = 1000;
  status_.counted = 250;
  EXPECT_THAT(text(), HasSubstr("policy=\"p\",rule=\"model\"} 0.25\n"));
  status_.counted = 1500;
  EXPECT_THAT(text(), HasSubstr("policy=\"p\",rule=\"model\"} 1.5\n"));
}

TEST_F(MetricsTest, TheFileIsForAllToReadAndReplacesTheOneBefore) {
  const TempDir dir;
  const FakeClock clock;
  Metrics metrics(FileSystem::real(), clock, dir.path());
  ASSERT_THAT(metrics.write(status_, facts_), IsOk());
  facts_.running = false;
  ASSERT_THAT(metrics.write(status_, facts_), IsOk());
  const auto names = FileSystem::real().list(dir.path());
  ASSERT_THAT(*names, ElementsAre("account-chat-7b-0a0b0c0d.prom"));
  const std::string path = join_path(dir.path(), names->front());
  struct stat facts{};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777u, 0644u);
  EXPECT_EQ(*FileSystem::real().read(path, 1 << 20), text());
}

TEST_F(MetricsTest, OnlyOwnFilesThatNobodyWroteForADayAreTakenAway) {
  const TempDir dir;
  FakeClock clock;
  FileSystem& files = FileSystem::real();
  for (const char* name : {"account-old-1.prom", "account-new-1.prom", "other-old.prom"}) {
    ASSERT_THAT(files.write_atomically(join_path(dir.path(), name), "x 1\n", 0644), IsOk());
    const int64_t age = std::string_view(name).find("old") != std::string_view::npos ? 86'401 : 10;
    const timeval then{.tv_sec = clock.unix_ns() / 1'000'000'000 - age, .tv_usec = 0};
    const timeval times[2] = {then, then};
    ASSERT_EQ(utimes(join_path(dir.path(), name).c_str(), times), 0);
  }
  ASSERT_THAT(Metrics(files, clock, dir.path()).write(status_, facts_), IsOk());
  EXPECT_THAT(*files.list(dir.path()),
              ::testing::UnorderedElementsAre("account-new-1.prom", "other-old.prom",
                                              "account-chat-7b-0a0b0c0d.prom"));
}

TEST_F(MetricsTest, IsDueEveryTenSecondsAndNeverWithoutAFolder) {
  const TempDir dir;
  FakeClock clock;
  Metrics metrics(FileSystem::real(), clock, dir.path());
  EXPECT_TRUE(metrics.due(clock.monotonic_ns()));
  ASSERT_THAT(metrics.write(status_, facts_), IsOk());
  EXPECT_FALSE(metrics.due(clock.monotonic_ns() + 9'000'000'000));
  EXPECT_TRUE(metrics.due(clock.monotonic_ns() + 10'000'000'000));
  EXPECT_FALSE(Metrics(FileSystem::real(), clock, "").due(1));
}

TEST_F(MetricsTest, AFolderThatIsNotThereIsNamed) {
  const FakeClock clock;
  const Status status = Metrics(FileSystem::real(), clock, "/no/such").write(status_, facts_);
  EXPECT_EQ(status.code(), Code::not_found);
  EXPECT_THAT(status.to_string(), HasSubstr("/no/such/account-chat-7b"));
}

}  // namespace
}  // namespace account::keeper
