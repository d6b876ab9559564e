// The status file that `account status` reads.
#include "keeper/live_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/process.h"
#include "keeper/place.h"
#include "tally/folders.h"

namespace account::keeper {
namespace {

using ::testing::ElementsAre;

LiveStatus some_status() {
  LiveStatus status;
  status.run = "live-status-test-" + std::to_string(getpid());
  status.run_folder = "/runs/" + status.run;
  status.node = "1f00ba5e";
  status.model = "acme \"chat\"";
  status.keeper_pid = static_cast<uint32_t>(getpid());
  status.keeper_start_ticks = process_start_ticks(getpid());
  status.updated_unix_ns = 1'800'000'000'123'456'789;
  status.world_size = 4;
  status.steps = 17;
  status.ranks = {{0, 0, 123, 17, *OpCount::from_decimal("100000000000000000000000000")}};
  status.job_operations = *OpCount::from_decimal("340282366920938463463374607431768211455");
  status.mfu_percent = "41.2";
  status.job_processed = {512, UINT64_MAX};
  status.tokens_per_second = 8192;
  status.nodes_seen = {"0000000b"};
  status.authorities = {"/srv/acme#" + std::string(64, 'a')};
  status.silent_ranks = {2, 3};
  status.policy = "us-ca-sb1047-enrolled";
  status.share_percent = "0.0000041";
  return status;
}

TEST(LiveStatusTest, ComesBackAsItWas) {
  const LiveStatus sent = some_status();
  const auto got = parse_live_status(to_json(sent).dump());
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(to_json(*got).dump(), to_json(sent).dump());
  EXPECT_EQ(got->updated_unix_ns, sent.updated_unix_ns);
  EXPECT_EQ(got->job_operations, sent.job_operations);
  EXPECT_THAT(got->silent_ranks, ElementsAre(2, 3));
  EXPECT_EQ(got->authorities, sent.authorities);
  EXPECT_EQ(got->mfu_percent, "41.2");
  EXPECT_EQ(got->job_processed, sent.job_processed);
  EXPECT_EQ(got->tokens_per_second, 8192u);
}

TEST(LiveStatusTest, OfWhatNobodySaidThereIsNoMember) {
  LiveStatus sent = some_status();
  sent.job_processed = {};
  const std::string bytes = to_json(sent).dump();
  EXPECT_EQ(bytes.find("tokens"), std::string::npos);
  const auto got = parse_live_status(bytes);
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(got->job_processed, Processed());
}

TEST(LiveStatusTest, EveryTruncationIsRefused) {
  const std::string bytes = to_json(some_status()).dump();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_live_status(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(LiveStatusTest, OnlyRunsWhoseKeeperLivesAreListed) {
  LiveStatus status = some_status();
  const Place place = *make_place("/runs", status.run, "node");
  const std::string folder = place.page_folders().front();
  ASSERT_TRUE(tally::open_private_folder(folder).ok());
  const auto listed = [&] {
    for (const LiveStatus& live : live_runs(FileSystem::real())) {
      if (live.run == status.run) return true;
    }
    return false;
  };
  write_live_status(FileSystem::real(), folder, status);
  EXPECT_TRUE(listed());
  status.keeper_start_ticks += 1;  // the pid belongs to another process by now
  write_live_status(FileSystem::real(), folder, status);
  EXPECT_FALSE(listed());
  std::filesystem::remove_all(folder);
}

TEST(IntakeTest, SaysWhatIsKnown) {
  LiveStatus status;
  EXPECT_EQ(intake(status), "");
  status.job_processed.samples = 12;
  EXPECT_EQ(intake(status), "12 samples");
  status.job_processed.tokens = 1536;
  status.tokens_per_second = 256;
  EXPECT_EQ(intake(status), "12 samples, 1536 tokens, 256 tokens a second");
  status.job_processed.samples = 0;
  EXPECT_EQ(intake(status), "1536 tokens, 256 tokens a second");
}

TEST(PercentTest, ShowsThreeDigitsHoweverSmall) {
  EXPECT_EQ(percent(0), "0");
  EXPECT_EQ(percent(1), "100");
  EXPECT_EQ(percent(0.8), "80.0");
  EXPECT_EQ(percent(0.0341), "3.41");
  EXPECT_EQ(percent(0.000341), "0.0341");
  EXPECT_EQ(percent(3.41e-12), "0.000000000341");
  EXPECT_EQ(percent(12.5), "1250");
}

TEST(ProjectionTest, SaysWhenInTheUnitThatFits) {
  LiveStatus status;
  status.policy = "p";
  status.threshold = 1'000'000'000;
  status.operations_per_second = 1;
  const auto at = [&](uint64_t margin) {
    status.margin = margin;
    status.counted = 1'000'000'000 - margin;
    return projection(status);
  };
  EXPECT_EQ(at(7), "in 7.0 seconds at this rate");
  EXPECT_EQ(at(119), "in 119 seconds at this rate");
  EXPECT_EQ(at(150), "in 2.5 minutes at this rate");
  EXPECT_EQ(at(7'199), "in 120 minutes at this rate");
  EXPECT_EQ(at(5 * 3600), "in 5.0 hours at this rate");
  EXPECT_EQ(at(276'480), "in 3.2 days at this rate");
  EXPECT_EQ(at(47'335'000), "in 1.5 years at this rate");
  EXPECT_EQ(at(400'000'000), "");  // who knows
  status.operations_per_second = 0;
  EXPECT_EQ(at(7), "");
  status.operations_per_second = 1;
  status.margin = 7;  // beyond it
  status.counted = 1'000'000'007;
  EXPECT_EQ(projection(status), "");
  status.policy.clear();
  EXPECT_EQ(projection(status), "");
}

}  // namespace
}  // namespace account::keeper
