// The road over a communicator: what is gathered, when, and that it never waits.
#include "nccl/road.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <thread>

#include "support/fake_nccl.h"
#include "support/matchers.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace account::nccl {
namespace {

using std::chrono::seconds;
using testing::eventually;
using testing::FakeComm;
using testing::FakeNccl;
using testing::FakeStream;
using testing::IsOk;
using testing::TempDir;

Record self_of(int rank, int world) {
  Record record;
  record.node = static_cast<uint32_t>(rank + 1);
  record.rank = rank;
  record.world_size = world;
  return record;
}

std::string blob_of(int rank, int world, uint64_t operations) {
  keeper::NodeTotal total;
  total.node = "0000000" + std::to_string(rank + 1);
  total.ranks = {rank};
  total.world_size = world;
  total.steps = operations / 100;
  total.operations[{Category::train, Phase::forward}] = operations - 1;
  total.operations[{Category::train, Phase::backward}] = 1;
  return keeper::to_blob(total);
}

// One rank's end of the road.
struct End {
  End(const std::string& path, int rank, int world, uint64_t every = 1)
      : comm(path, rank, world), stream(std::make_unique<FakeStream>()) {
    auto opened = Road::open(api, &comm, stream.get(), every, self_of(rank, world));
    EXPECT_THAT(opened, IsOk());
    road = std::move(opened).value();
  }
  std::optional<keeper::NodeTotal> said_by(int rank) {
    const auto blobs = road->collect("total", {std::to_string(rank)}, 0);
    if (!blobs.ok() || !blobs->front()) return std::nullopt;
    return keeper::parse_total(*blobs->front()).value();
  }
  std::shared_ptr<FakeNccl> api = std::make_shared<FakeNccl>();
  FakeComm comm;
  std::unique_ptr<FakeStream> stream;
  std::shared_ptr<Road> road;
};

TEST(RoadTest, WhatOneRankPostsTheOthersCollect) {
  TempDir dir;
  End a(dir / "board", 0, 2), b(dir / "board", 1, 2);
  ASSERT_THAT(a.road->post("total/0", blob_of(0, 2, 300)), IsOk());
  ASSERT_THAT(b.road->post("total/1", blob_of(1, 2, 500)), IsOk());
  EXPECT_TRUE(eventually(
      [&] {
        a.road->on_edge();
        b.road->on_edge();
        return a.said_by(1).has_value() && b.said_by(0).has_value();
      },
      seconds(20)));
  EXPECT_EQ(keeper::sum(a.said_by(1)->operations), OpCount(500));
  EXPECT_EQ(a.said_by(1)->steps, 5u);
  EXPECT_EQ(keeper::sum(b.said_by(0)->operations), OpCount(300));
}

TEST(RoadTest, GathersAtEveryKthEdgeAndNotInBetween) {
  TempDir dir;
  End one(dir / "board", 0, 1, 4);
  for (int edge = 1; edge <= 11; ++edge) one.road->on_edge();
  EXPECT_EQ(one.api->gatherings_put, 2);
}

TEST(RoadTest, NeverWaitsForARankThatDoesNotJoin) {
  TempDir dir;
  End a(dir / "board", 0, 2), b(dir / "board", 1, 2);
  for (int edge = 0; edge < 50; ++edge) a.road->on_edge();  // would block for ever if it waited
  EXPECT_EQ(a.api->gatherings_put, 50);
  EXPECT_FALSE(a.said_by(1).has_value());
  // All of them were launched, so the late one meets each.
  ASSERT_THAT(b.road->post("total/1", blob_of(1, 2, 900)), IsOk());
  for (int edge = 0; edge < 50; ++edge) b.road->on_edge();
  EXPECT_TRUE(eventually(
      [&] {
        a.road->on_edge();
        b.road->on_edge();
        return a.said_by(1).has_value();
      },
      seconds(20)));
}

TEST(RoadTest, AfterAFailureItLaunchesNothingAndSaysWhy) {
  TempDir dir;
  End one(dir / "board", 0, 1);
  one.api->fails = true;
  one.road->on_edge();
  one.api->fails = false;
  one.road->on_edge();
  EXPECT_EQ(one.api->gatherings_put, 0);
  const Status posted = one.road->post("total/0", blob_of(0, 1, 100));
  EXPECT_EQ(posted.code(), Code::unavailable);
  EXPECT_THAT(posted.to_string(), ::testing::HasSubstr("ncclAllGather"));
}

TEST(RoadTest, ACommunicatorOfAnotherSizeIsRefused) {
  TempDir dir;
  FakeComm comm(dir / "board", 0, 2);
  FakeStream stream;
  const auto road = Road::open(std::make_shared<FakeNccl>(), &comm, &stream, 1, self_of(0, 4));
  ASSERT_FALSE(road.ok());
  EXPECT_EQ(road.status().to_string(),
            "the communicator has 2 ranks, and the job 4; give one over all ranks of the job");
}

TEST(RoadTest, OrdersDoNotTravel) {
  TempDir dir;
  End one(dir / "board", 0, 1);
  EXPECT_EQ(one.road->post("vote/0", "x").code(), Code::unavailable);
}

TEST(RoadTest, GivesBackWhatItAllocatedUnlessTheDeviceMayStillUseIt) {
  TempDir dir;
  End a(dir / "board", 0, 1);
  a.road->on_edge();
  a.road.reset();
  EXPECT_EQ(a.api->allocations, 0);
  End stuck(dir / "other", 0, 2);
  stuck.road->on_edge();
  stuck.road.reset();
  EXPECT_EQ(stuck.api->allocations, 8);  // 2 on the device, 2 + 2 on the host, 2 marks
}

}  // namespace
}  // namespace account::nccl
