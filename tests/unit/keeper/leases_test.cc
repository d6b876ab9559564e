// The keeper's leases over a real directory and a clock that the test owns.
#include "keeper/leases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/matchers.h"
#include "support/temp_dir.h"
#include "unit/order/support.h"

namespace account::keeper {
namespace {

using order::kNow;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

constexpr int64_t kSecond = 1'000'000'000;

class LeasesTest : public ::testing::Test {
 protected:
  LeasesTest() {
    std::filesystem::create_directories(dir_ / "orders");
    EXPECT_THAT(directory().publish_root(a_.signed_root(root())), IsOk());
    job_.run = "r7";
  }
  // One clerk is enough.
  order::Root root(int64_t version = 1) const {
    order::Root root = a_.leasing_root(version);
    root.lease->threshold = 1;
    root.recovery = order::Role{{a_.lift_c.public_key()}, 1};
    return root;
  }
  order::AuthorityDirectory directory() const {
    return {FileSystem::real(), order::AuthoritySpec{dir_.path(), ""}};
  }
  // For `seconds` from the beginning of the test on.
  order::Lease lease(int64_t number, int64_t seconds) const {
    order::Lease lease = order::make_lease(number);
    lease.issued_unix = kNow;
    lease.expires_unix = kNow + seconds;
    return lease;
  }
  sign::Digest publish(const order::Lease& lease) const {
    const auto put = directory().publish_lease(
        *sign::parse_envelope(order::sign_lease(lease, {&a_.lease_a}), order::kMaxLeaseBytes));
    EXPECT_THAT(put, IsOk());
    return sign::sha256(order::write_lease(lease).value());
  }
  void take_away_leases() const { std::filesystem::remove_all(dir_ / "leases"); }

  // A session of the run, as a keeper begins it.
  void open() {
    auto authorities = Authorities::open(FileSystem::real(), {dir_.path()}, {});
    ASSERT_THAT(authorities, IsOk());
    authorities_.emplace(std::move(authorities).value());
    leases_ = std::make_unique<Leases>(clock_, events_);
    leases_->look(*authorities_, job_);
    write_down();
  }
  void turn(const JobTotals::View& view = {}) {
    authorities_->read();
    leases_->turn(*authorities_, job_, view);
    write_down();
  }
  void write_down() {
    for (EventLine& line : leases_->take_lines()) {
      line.body.set("type", line.type);
      line.body.set("time_unix_ns", OpCount(static_cast<uint64_t>(clock_.unix_ns())));
      events_.push_back(std::move(line.body));
    }
    for (std::string& remark : leases_->take_remarks()) said_ += remark + "\n";
  }
  void train(int64_t seconds) {
    for (int64_t i = 0; i < seconds; ++i) {
      clock_.advance(kSecond);
      turn();
    }
  }
  bool trains() const { return !leases_->wanted().has_value() && leases_->permission().ok(); }
  int lines(std::string_view type) const {
    int count = 0;
    for (const Json& event : events_) count += *event.get_string("type") == type ? 1 : 0;
    return count;
  }

  const order::Authority a_;
  testing::TempDir dir_;
  FakeClock clock_;
  order::Traits job_;
  std::vector<Json> events_;
  std::optional<Authorities> authorities_;
  std::unique_ptr<Leases> leases_;
  std::string said_;
};

TEST_F(LeasesTest, WithoutOneNothingStarts) {
  open();
  EXPECT_THAT(leases_->permission(),
              StatusIs(Code::shutdown_ordered, HasSubstr("leases this job nothing")));
  EXPECT_THAT(std::string(leases_->permission().next_step()),
              HasSubstr("account lease renew job:r7 --for 24h --authority " + dir_.path()));
  order::Lease other = lease(1, 100);
  other.scope.value = "r8";
  publish(other);
  open();
  EXPECT_THAT(leases_->permission(), StatusIs(Code::shutdown_ordered));
}

TEST_F(LeasesTest, ARootThatNamesNoLeaseKeysLeasesNothing) {
  std::filesystem::remove(dir_ / "root.json");
  ASSERT_THAT(directory().publish_root(a_.signed_root(a_.root())), IsOk());
  open();
  EXPECT_THAT(leases_->permission(), StatusIs(Code::shutdown_ordered, HasSubstr("no authority")));
}

TEST_F(LeasesTest, AForgedOneIsAFindingAndNoLease) {
  std::filesystem::create_directories(dir_ / "leases");
  ASSERT_THAT(FileSystem::real().write_atomically(
                  dir_ / "leases/x.json", order::sign_lease(lease(1, 100), {&a_.foreign}), 0644),
              IsOk());
  open();
  EXPECT_THAT(leases_->permission(), StatusIs(Code::shutdown_ordered, HasSubstr("leases/x.json")));
  EXPECT_EQ(lines("order_refused"), 1);
}

TEST_F(LeasesTest, EndsTheJobAtItsEndOnce) {
  const sign::Digest hash = publish(lease(1, 100));
  open();
  EXPECT_TRUE(trains());
  EXPECT_EQ(lines("lease"), 1);
  train(74);
  EXPECT_EQ(said_, "");
  train(25);
  EXPECT_TRUE(trains());
  EXPECT_THAT(said_, HasSubstr("lease 1 of 'acme-cluster' ends at 2027-01-15T08:01:40Z"));
  EXPECT_EQ(said_.find("ends at"), said_.rfind("ends at")) << "once";
  train(1);
  const auto wanted = leases_->wanted();
  ASSERT_TRUE(wanted.has_value());
  EXPECT_EQ(wanted->order, hash);
  EXPECT_THAT(wanted->reason, HasSubstr("lease ended"));
  EXPECT_TRUE(wanted->ends);
  EXPECT_TRUE(wanted->shuts_gate);
  EXPECT_FALSE(wanted->waits);
  EXPECT_EQ(wanted->savers, 1u) << "the first authority's recovery keys";
  EXPECT_THAT(leases_->stopped(), StatusIs(Code::shutdown_ordered));
  publish(lease(2, 1000));
  train(5);
  EXPECT_TRUE(leases_->wanted().has_value()) << "a renewal that comes too late";
  EXPECT_EQ(lines("lease_ended"), 1);
}

TEST_F(LeasesTest, GoesOnWhileItIsRenewedAndMayBeShortened) {
  publish(lease(1, 100));
  open();
  train(90);
  publish(lease(2, 200));
  train(50);
  EXPECT_TRUE(trains());
  EXPECT_EQ(lines("lease"), 2);
  EXPECT_THAT(said_, HasSubstr("until 2027-01-15T08:03:20Z"));
  publish(lease(3, 150));
  train(9);
  EXPECT_TRUE(trains());
  train(1);
  EXPECT_FALSE(trains());
}

TEST_F(LeasesTest, ARenewalOfTheLastMomentIsSeen) {
  publish(lease(1, 100));
  open();
  train(98);
  clock_.advance(kSecond / 2);
  turn();
  publish(lease(2, 200));
  clock_.advance(3 * kSecond / 2);  // later than the last look, and than the end
  turn();
  EXPECT_TRUE(trains());
}

TEST_F(LeasesTest, AClockThatIsSetBackExtendsNothing) {
  publish(lease(1, 100));
  open();
  train(50);
  clock_.set_unix_ns(kNow * kSecond);
  train(49);
  EXPECT_TRUE(trains());
  train(1);
  EXPECT_FALSE(trains()) << "a hundred seconds, by the clock that nobody sets";
  // Nor at a restart: the ledger has been later.
  clock_.set_unix_ns((kNow + 10) * kSecond);
  events_.push_back(Json::object(
      {{"type", "note"}, {"time_unix_ns", OpCount(uint64_t(kNow + 100) * uint64_t(kSecond))}}));
  open();
  EXPECT_THAT(leases_->permission(), StatusIs(Code::shutdown_ordered, HasSubstr("was until")));
}

TEST_F(LeasesTest, AClockThatJumpsAheadEndsIt) {
  publish(lease(1, 100));
  open();
  clock_.set_unix_ns((kNow + 100) * kSecond);
  turn();
  EXPECT_FALSE(trains());
}

TEST_F(LeasesTest, WhatWasTakenHoldsToItsEndWithoutItsFileAndNoFurther) {
  publish(lease(1, 100));
  open();
  take_away_leases();
  train(99);
  EXPECT_TRUE(trains());
  train(1);
  EXPECT_FALSE(trains());
}

TEST_F(LeasesTest, AnOlderOneThatIsPutBackStartsNothing) {
  publish(lease(1, 5000));
  open();
  publish(lease(2, 100));
  train(100);
  EXPECT_FALSE(trains());
  take_away_leases();
  publish(lease(1, 5000));
  open();
  EXPECT_THAT(leases_->permission(), StatusIs(Code::shutdown_ordered, HasSubstr("after number 2")));
  publish(lease(3, 5000));
  open();
  EXPECT_TRUE(trains()) << "a renewal starts it, without a lift";
}

TEST_F(LeasesTest, EveryAuthorityThatNamesLeaseKeysHasToLease) {
  testing::TempDir other;
  std::filesystem::create_directories(other / "orders");
  const order::AuthorityDirectory second(FileSystem::real(), {other.path(), ""});
  ASSERT_THAT(second.publish_root(a_.signed_root(a_.root())), IsOk());
  publish(lease(1, 100));
  const auto both = [&] {
    auto authorities = Authorities::open(FileSystem::real(), {other.path(), dir_.path()}, {});
    EXPECT_THAT(authorities, IsOk());
    Leases leases(clock_, {});
    leases.look(*authorities, job_);
    return leases.permission();
  };
  EXPECT_THAT(both(), IsOk()) << "the other one leases nobody";
  std::filesystem::remove(other / "root.json");
  ASSERT_THAT(second.publish_root(a_.signed_root(root())), IsOk());
  EXPECT_THAT(both(), StatusIs(Code::shutdown_ordered, HasSubstr(other.path())));
}

TEST_F(LeasesTest, ARotatedRootAsksForItsOwnLeaseAtTheEndOfTheOneThatIsHeld) {
  publish(lease(1, 100));
  open();
  ASSERT_THAT(directory().publish_root(a_.signed_root(root(2))), IsOk());
  train(99);
  EXPECT_TRUE(trains());
  order::Lease next = lease(2, 200);
  next.root_version = 2;
  publish(next);
  train(50);
  EXPECT_TRUE(trains());
}

TEST_F(LeasesTest, AnAuthorityThatBeginsToNameLeaseKeysEndsNoJobThatTrains) {
  std::filesystem::remove(dir_ / "root.json");
  ASSERT_THAT(directory().publish_root(a_.signed_root(a_.root())), IsOk());
  testing::TempDir other;
  std::filesystem::create_directories(other / "orders");
  const order::AuthorityDirectory second(FileSystem::real(), {other.path(), ""});
  ASSERT_THAT(second.publish_root(a_.signed_root(root())), IsOk());
  ASSERT_THAT(second.publish_lease(*sign::parse_envelope(
                  order::sign_lease(lease(1, 100), {&a_.lease_a}), order::kMaxOrderBytes)),
              IsOk());
  auto authorities = Authorities::open(FileSystem::real(), {dir_.path(), other.path()}, {});
  ASSERT_THAT(authorities, IsOk());
  authorities_.emplace(std::move(authorities).value());
  leases_ = std::make_unique<Leases>(clock_, events_);
  leases_->look(*authorities_, job_);
  ASSERT_THAT(leases_->permission(), IsOk());
  ASSERT_THAT(directory().publish_root(a_.signed_root(root(2))), IsOk());
  train(99);
  EXPECT_FALSE(leases_->wanted().has_value());
  EXPECT_FALSE(leases_->permission().ok()) << "the next start needs both";
  train(1);
  EXPECT_TRUE(leases_->wanted().has_value());
}

NodeTotal braking(const sign::Digest& lease) {
  NodeTotal other;
  other.node = "1f00ba5e";
  other.stop.emplace();
  other.stop->about = "lease " + sign::to_hex(lease);
  return other;
}

TEST_F(LeasesTest, FollowsAnotherNodeThatHasSeenNoRenewal) {
  const sign::Digest hash = publish(lease(1, 100));
  open();
  train(50);
  publish(lease(2, 1000));
  train(2);
  EXPECT_TRUE(trains());
  turn({{braking(hash)}, {}, true});
  const auto wanted = leases_->wanted();
  ASSERT_TRUE(wanted.has_value());
  EXPECT_EQ(wanted->order, hash);
  EXPECT_EQ(wanted->about, "lease " + sign::to_hex(hash)) << "so that their votes are one";

  open();
  EXPECT_TRUE(trains());
  turn({{braking(hash)}, {}, true});
  EXPECT_TRUE(trains()) << "what a node said of the session before";
}

TEST_F(LeasesTest, AKeeperThatFindsRanksHeldForOneStopsThemThoughItWasRenewed) {
  const sign::Digest hash = publish(lease(1, 100));
  open();
  publish(lease(2, 1000));
  open();
  leases_->take_up(sign::sha256("an order"));
  leases_->take_up(std::nullopt);
  EXPECT_TRUE(trains());
  leases_->take_up(hash);
  EXPECT_EQ(leases_->wanted()->order, hash);
}

}  // namespace
}  // namespace account::keeper
