// Leases end to end: the real `account run`, ranks as processes, an authority as a directory.
#include "order/lease.h"

#include "e2e/cpp/stop_support.h"

namespace account::e2e {
namespace {

class LeaseTest : public StopTest {
 protected:
  LeaseTest() {
    order::Root root = root_of_now(1);
    root.keys.push_back({"clerk", keys_.lease_a.public_key()});
    root.lease = order::Role{{keys_.lease_a.public_key()}, 1};
    root.recovery = order::Role{{keys_.lift_b.public_key()}, 1};
    publish(root);
  }
  // From now on for so many seconds; its end.
  int64_t renew(int64_t number, int64_t for_seconds) const {
    order::Lease lease;
    lease.authority = "acme-cluster";
    lease.root_version = 1;
    lease.number = number;
    lease.issued_unix = now();
    lease.expires_unix = now() + for_seconds;
    lease.scope = this_job_;
    const auto put = directory().publish_lease(
        *sign::parse_envelope(order::sign_lease(lease, {&keys_.lease_a}), order::kMaxLeaseBytes));
    EXPECT_TRUE(put.ok()) << put.status().to_string();
    return lease.expires_unix;
  }
  bool sees(int64_t number) const {
    return eventually(
        [&] {
          const auto status = live();
          return status && status->lease.starts_with(std::to_string(number) + " of ");
        },
        seconds(15));
  }
  std::vector<Json> lines(std::string_view type) const {
    std::vector<Json> found;
    const ledger::Report report = verify();
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& event : node.events) {
        if (*event.get_string("type") == type) found.push_back(event);
      }
    }
    return found;
  }
  Process leased(const std::vector<std::string>& more) {
    std::filesystem::remove(folder_ + "/couple");
    std::vector<std::string> words = {"calls=5", "couple=" + folder_ + "/couple"};
    words.insert(words.end(), more.begin(), more.end());
    return job(2, words, "r", "", 0, -1, {"--lease"});
  }
};

TEST_F(LeaseTest, AJobGoesOnWhileItIsRenewedStopsAtTheEndAndStartsAfterARenewal) {
  Process without = leased({"steps=3"});
  EXPECT_EQ(without.wait(), 86) << "refused before the command starts";
  EXPECT_THAT(without.err(), HasSubstr("no lease: authority 'acme-cluster' leases this job"));
  EXPECT_THAT(without.err(), HasSubstr("account lease renew job:r --for 24h"));

  renew(1, 600);
  Process run = leased({"steps=4000", "seconds=200", "state=in-plain-words"});
  ASSERT_TRUE(trains());
  const int64_t first_end = renew(2, 15);
  ASSERT_TRUE(sees(2)) << "the newest counts, though it is the shorter";
  renew(3, first_end - now() + 6);
  ASSERT_TRUE(sees(3));
  ASSERT_TRUE(eventually([&] { return now() > first_end; }, seconds(60)));
  const auto status = live();
  ASSERT_TRUE(status.has_value()) << run.err();
  EXPECT_EQ(status->ranks.size(), 2u);
  EXPECT_EQ(run.err().find("lease ended"), std::string::npos) << run.err();

  EXPECT_EQ(run.wait(), 86) << run.err();
  EXPECT_THAT(run.err(), HasSubstr("lease ended: lease 3 of authority 'acme-cluster' was until"));
  EXPECT_EQ(lines("lease").size(), 3u);
  ASSERT_EQ(lines("lease_ended").size(), 1u);
  const auto quiet = lines("quiet");
  ASSERT_EQ(quiet.size(), 1u);
  const auto& ranks = (*quiet[0].get_array("ranks"))->items();
  ASSERT_EQ(ranks.size(), 2u);
  EXPECT_EQ(*quiet[0].get_string("how"), "agreed");
  EXPECT_EQ(*ranks[0].get_integer("last_step"), *ranks[1].get_integer("last_step"));
  EXPECT_EQ(*ranks[0].get_integer("last_step"), *quiet[0].get_integer("stop_edge"));
  const std::filesystem::path saved =
      std::filesystem::directory_iterator(dir_ + "/r/locked")->path();
  EXPECT_TRUE(std::filesystem::exists(saved / "rank-0.locked"));
  EXPECT_TRUE(std::filesystem::exists(saved / "rank-1.locked"));

  const auto told = Json::parse(stop_file(), 1 << 20);
  ASSERT_TRUE(told.ok()) << told.status().to_string();
  EXPECT_EQ(*told->get_string("action"), "lease");
  EXPECT_EQ(*told->get_string("state"), "quiet");
  EXPECT_EQ(*told->get_integer("exit_code"), 86);
  EXPECT_EQ(told->find("ranks")->dump(), quiet[0].find("ranks")->dump());

  Process why({ACCOUNT_BINARY, "order", "why", dir_ + "/r"}, base_environment(), output());
  EXPECT_EQ(why.wait(), 0);
  EXPECT_THAT(why.out(), HasSubstr("lease 3 of authority 'acme-cluster' was until"));

  Process again = leased({"steps=3"});
  EXPECT_EQ(again.wait(), 86);
  EXPECT_THAT(again.err(), HasSubstr("lease 3 of authority 'acme-cluster' was until"));
  EXPECT_THAT(stop_file(), HasSubstr("\"state\":\"refused\""));
  renew(2, 600);
  Process replayed = leased({"steps=3"});
  EXPECT_EQ(replayed.wait(), 86) << "an older number";
  renew(4, 600);
  Process renewed = leased({"steps=5"});
  EXPECT_EQ(renewed.wait(), 0) << renewed.err();
  EXPECT_EQ(stop_file(), "") << "it was about an earlier start";
}

TEST_F(LeaseTest, OnlyWhoAsksForALeaseNeedsOne) {
  Process run = job(1, {"steps=5"});
  EXPECT_EQ(run.wait(), 0) << run.err();
  EXPECT_TRUE(lines("lease").empty());
}

TEST_F(LeaseTest, ARankWithoutAHostIsUnderItsLeaseToo) {
  auto environment = rank_environment(0, 1, 0, 1);
  environment["ACCOUNT_AUTHORITY"] = authority_;
  environment["ACCOUNT_LEASE"] = "required";
  Process refused(rank_words({"steps=5"}), environment, output());
  EXPECT_EQ(refused.wait(), 86) << refused.err();
  EXPECT_THAT(refused.err(), HasSubstr("no lease"));
  ASSERT_TRUE(keeper_ends());
  renew(1, 600);
  Process leased(rank_words({"steps=2000", "seconds=100"}), environment, output());
  ASSERT_TRUE(trains());
  renew(2, 5);
  EXPECT_EQ(leased.wait(), 86) << leased.err();
  EXPECT_THAT(leased.err(), HasSubstr("a restart needs no lift"));
  EXPECT_TRUE(keeper_ends());
}

TEST_F(LeaseTest, AStopGoesBeforeTheEndOfALeaseAndNeedsItsLift) {
  renew(1, 600);
  Process run = leased({"steps=4000", "seconds=200"});
  ASSERT_TRUE(trains());
  renew(2, 3);
  send_stop(this_job_);
  EXPECT_EQ(run.wait(), 86) << run.err();
  renew(3, 600);
  Process again = leased({"steps=3"});
  EXPECT_EQ(again.wait(), 86) << "a renewal is no lift";
  EXPECT_THAT(again.err(), HasSubstr("drill in the tests"));
}

}  // namespace
}  // namespace account::e2e
