// Leases: whose signatures count, what is refused, and which of several counts.
#include "order/lease.h"

#include <fstream>
#include <functional>
#include <iterator>

#include "base/bytes.h"
#include "support/matchers.h"
#include "unit/order/support.h"

namespace account::order {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class LeaseTest : public ::testing::Test {
 protected:
  std::string sealed(const Lease& lease) const {
    return sign_lease(lease, {&a_.lease_a, &a_.lease_b});
  }
  Result<VerifiedLease> verify(const std::string& bytes) const {
    return verify_lease({"leases/x.json", bytes}, chain_);
  }
  LeaseChoice choose(const std::vector<Lease>& leases, int64_t least = 0, int64_t now = kNow,
                     const std::string& run = "r7") const {
    std::vector<Found> found;
    for (const Lease& lease : leases) {
      found.push_back({"leases/" + std::to_string(found.size()), sealed(lease)});
    }
    Traits job;
    job.run = run;
    return newest_lease(chain_, found, job, now, least);
  }

  const Authority a_{};
  const RootChain chain_ = RootChain::verify({a_.signed_root(a_.leasing_root())}, "").value();
};

TEST_F(LeaseTest, VerifiesByTheThresholdOfLeaseKeys) {
  const auto verified = verify(sealed(make_lease(7)));
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->lease.number, 7);
  EXPECT_EQ(verified->lease.expires_unix, kNow + 3'540);
  EXPECT_EQ(to_string(verified->lease.scope), "job r7");
  EXPECT_EQ(verified->signers.size(), 2u);
  EXPECT_THAT(verify(sign_lease(make_lease(), {&a_.lease_c, &a_.lease_a, &a_.lease_b})), IsOk());
}

TEST_F(LeaseTest, RefusesEverySignatureThatIsNotTwoOfItsOwnKeys) {
  const struct {
    const char* what;
    std::initializer_list<const sign::SecretKey*> keys;
  } cases[] = {
      {"one key", {&a_.lease_a}},
      {"one key twice", {&a_.lease_a, &a_.lease_a}},
      {"two keys and one again", {&a_.lease_a, &a_.lease_b, &a_.lease_a}},
      {"two keys and a foreign one", {&a_.lease_a, &a_.lease_b, &a_.foreign}},
      {"foreign", {&a_.foreign}},
      {"stop keys", {&a_.stop_a, &a_.stop_b}},
      {"lift keys", {&a_.lift_a, &a_.lift_b}},
      {"root keys", {&a_.root_a, &a_.root_b}},
  };
  for (const auto& one : cases) {
    EXPECT_THAT(verify(sign_lease(make_lease(), one.keys)), StatusIs(Code::unverified)) << one.what;
  }
}

TEST_F(LeaseTest, IsNoOrderAndNoOrderIsALease) {
  const std::string payload = write_lease(make_lease()).value();
  EXPECT_THAT(verify(sign_payload(payload, {&a_.lease_a, &a_.lease_b}, kOrderType)),
              StatusIs(Code::unverified));
  EXPECT_THAT(verify(sign_payload(write_order(make_stop()).value(), {&a_.lease_a, &a_.lease_b},
                                  kLeaseType)),
              StatusIs(Code::corrupt));
  EXPECT_THAT(verify_order(sealed(make_lease()), chain_), StatusIs(Code::unverified));
}

TEST_F(LeaseTest, ARootWithoutLeaseKeysLeasesNothing) {
  EXPECT_THAT(verify_lease({"", sealed(make_lease())}, a_.chain()),
              StatusIs(Code::unverified, HasSubstr("names no lease keys")));
}

TEST_F(LeaseTest, IsOfThisAuthorityAndOfItsNewestRoot) {
  Lease foreign = make_lease();
  foreign.authority = "another";
  EXPECT_THAT(verify(sealed(foreign)), StatusIs(Code::unverified));
  Lease ahead = make_lease();
  ahead.root_version = 2;
  EXPECT_THAT(verify(sealed(ahead)), StatusIs(Code::replayed));
  const auto rotated = RootChain::verify(
      {a_.signed_root(a_.leasing_root()), a_.signed_root(a_.leasing_root(2))}, "");
  ASSERT_THAT(rotated, IsOk());
  EXPECT_THAT(verify_lease({"", sealed(make_lease())}, *rotated), StatusIs(Code::replayed));
  EXPECT_THAT(verify_lease({"", sealed(ahead)}, *rotated), IsOk());
}

TEST_F(LeaseTest, KeysThatARotationTookAwayLeaseNothing) {
  Root next = a_.leasing_root(2);
  next.lease = Role{{a_.lease_c.public_key()}, 1};
  const auto rotated =
      RootChain::verify({a_.signed_root(a_.leasing_root()), a_.signed_root(next)}, "");
  ASSERT_THAT(rotated, IsOk());
  Lease lease = make_lease();
  lease.root_version = 2;
  EXPECT_THAT(verify_lease({"", sealed(lease)}, *rotated), StatusIs(Code::unverified));
  EXPECT_THAT(verify_lease({"", sign_lease(lease, {&a_.lease_c})}, *rotated), IsOk());
}

TEST_F(LeaseTest, AKeyOfSmallOrderIsNoLeaseKey) {
  // The neutral element: under it, zeros would sign anything.
  std::string point(32, '\0');
  point[0] = 1;
  std::string payload = write_root(a_.leasing_root()).value();
  const std::string clerk = to_base64(a_.lease_a.public_key().bytes());
  payload.replace(payload.find(clerk), clerk.size(), to_base64(point));
  EXPECT_FALSE(parse_root(payload).ok());
  std::string forged = sealed(make_lease());
  const auto envelope = sign::parse_envelope(forged, kMaxLeaseBytes);
  for (const sign::EnvelopeSignature& signature : envelope->signatures) {
    const std::string good = to_base64(signature.signature);
    forged.replace(forged.find(good), good.size(), to_base64(point + std::string(32, '\0')));
  }
  EXPECT_THAT(verify(forged), StatusIs(Code::unverified));
}

TEST_F(LeaseTest, RefusesWhatTheFormatDoesNotSay) {
  const std::string good = write_lease(make_lease()).value();
  const struct {
    const char *from, *to;
  } cases[] = {
      {R"("account-lease/1")", R"("account-lease/2")"},
      {R"("number":1)", R"("number":0)"},
      {R"("number":1)", R"("number":"1")"},
      {R"("number":1,)", ""},
      {R"("root_version":1)", R"("root_version":0)"},
      {R"({"job":"r7"})", R"({"job":"r7","all":true})"},
      {R"({"job":"r7"})", R"({"planet":"earth"})"},
      {R"("authority":"acme-cluster")", R"("authority":"acme cluster")"},
      {R"("expires":"2027-01-15T08:59:00Z")", R"("expires":"2027-01-15T07:59:00Z")"},
      {R"("expires":"2027-01-15T08:59:00Z")", R"("expires":"2029-01-15T08:59:00Z")"},
      {R"("expires":"2027-01-15T08:59:00Z")", R"("expires":"2027-01-15T08:59:00+01:00")"},
      {R"({"format")", R"({"extra":1,"format")"},
      {R"({"format")", R"({"number":9,"format")"},
  };
  for (const auto& one : cases) {
    std::string bad = good;
    const size_t at = bad.find(one.from);
    ASSERT_NE(at, std::string::npos) << one.from << " in " << good;
    bad.replace(at, std::string(one.from).size(), one.to);
    EXPECT_THAT(parse_lease(bad), StatusIs(Code::corrupt)) << one.to;
    EXPECT_THAT(verify(sign_payload(bad, {&a_.lease_a, &a_.lease_b}, kLeaseType)),
                StatusIs(Code::corrupt))
        << one.to;
  }
  Lease forever = make_lease();
  forever.expires_unix = forever.issued_unix + kMaxLeaseSeconds;
  EXPECT_THAT(write_lease(forever), IsOk());
  ++forever.expires_unix;
  EXPECT_FALSE(write_lease(forever).ok());
}

TEST_F(LeaseTest, NeitherACutNorAFlippedBitVerifies) {
  const std::string good = sealed(make_lease());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(verify(good.substr(0, size)).ok()) << size;
  }
  std::string bad = good;
  for (size_t at = 0; at < good.size() * 8; ++at) {
    bad[at / 8] = static_cast<char>(bad[at / 8] ^ (1 << at % 8));
    EXPECT_FALSE(verify(bad).ok()) << at;
    bad[at / 8] = good[at / 8];
  }
  EXPECT_THAT(verify(good + std::string(kMaxLeaseBytes, ' ')), StatusIs(Code::corrupt));
}

TEST_F(LeaseTest, TheHighestNumberCountsBeItLongerOrShorter) {
  Lease shorter = make_lease(3);
  shorter.expires_unix = kNow + 60;
  const LeaseChoice choice = choose({make_lease(2), shorter, make_lease(1)});
  ASSERT_TRUE(choice.newest.has_value());
  EXPECT_EQ(choice.newest->lease.number, 3);
  EXPECT_EQ(choice.newest->lease.expires_unix, kNow + 60);
  EXPECT_TRUE(choice.refused.empty());
  Lease same = make_lease(3);
  EXPECT_EQ(choose({same, shorter}).newest->lease.expires_unix, kNow + 60);
  EXPECT_EQ(choose({shorter, same}).newest->lease.expires_unix, kNow + 60);
}

TEST_F(LeaseTest, AnOlderOneThatIsReplayedIsRefused) {
  const LeaseChoice choice = choose({make_lease(4)}, 5);
  EXPECT_FALSE(choice.newest.has_value());
  ASSERT_EQ(choice.refused.size(), 1u);
  EXPECT_EQ(choice.refused[0].why.code(), Code::replayed);
  EXPECT_TRUE(choose({make_lease(5)}, 5).newest.has_value()) << "the one that was seen";
}

TEST_F(LeaseTest, OneOfAnotherJobIsNone) {
  EXPECT_FALSE(choose({make_lease()}, 0, kNow, "r8").newest.has_value());
  Lease all = make_lease();
  all.scope = {};
  EXPECT_TRUE(choose({all}, 0, kNow, "r8").newest.has_value());
  // Signed for r7, written over for r8.
  std::string moved = write_lease(make_lease()).value();
  moved.replace(moved.find("r7"), 2, "r8");
  auto envelope = sign::parse_envelope(sealed(make_lease()), kMaxLeaseBytes).value();
  envelope.payload = moved;
  EXPECT_THAT(verify(order_file(envelope)), StatusIs(Code::unverified));
}

TEST_F(LeaseTest, OneThatIsYetToComeCountsFromThenOn) {
  Lease later = make_lease(2);
  later.issued_unix = kNow + kClockSkewSeconds + 1;
  EXPECT_EQ(choose({make_lease(1), later}).newest->lease.number, 1);
  EXPECT_EQ(choose({make_lease(1), later}, 0, kNow + 1).newest->lease.number, 2);
}

TEST_F(LeaseTest, AgreesWithTheIndependentSigner) {
  std::ifstream file(std::string(ACCOUNT_TESTS_DIR) + "/vectors/leases.json", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto vectors = Json::parse(bytes, 1 << 20);
  ASSERT_THAT(vectors, IsOk());
  const auto chain = RootChain::verify({vectors->get_string("root").value()},
                                       vectors->get_string("root_sha256").value());
  ASSERT_THAT(chain, IsOk());
  ASSERT_FALSE(vectors->get_array("leases").value()->items().empty());
  for (const Json& vector : vectors->get_array("leases").value()->items()) {
    const std::string name = vector.get_string("name").value();
    const auto lease = verify_lease({"", vector.get_string("envelope").value()}, *chain);
    EXPECT_EQ(lease.ok(), vector.get_bool("valid").value()) << name;
    if (!lease.ok()) continue;
    EXPECT_EQ(lease->lease.hash_hex(), vector.get_string("sha256").value()) << name;
    EXPECT_EQ(sign::sha256(write_lease(lease->lease).value()), lease->lease.hash)
        << "written anew it is the same: " << name;
  }
}

TEST_F(LeaseTest, AnExpiredRootRenewsNothing) {
  const LeaseChoice choice = choose({make_lease()}, 0, kNow + 100 * kDay);
  EXPECT_FALSE(choice.newest.has_value());
  ASSERT_EQ(choice.refused.size(), 1u);
  EXPECT_EQ(choice.refused[0].why.code(), Code::expired);
}

}  // namespace
}  // namespace account::order
