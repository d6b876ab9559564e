// Root documents and their chain.
#include "order/root.h"

#include <functional>

#include "unit/order/support.h"

namespace account::order {
namespace {

TEST(RootTest, ReadsBackWhatItWrites) {
  const Authority a;
  Root root = a.root();
  root.lease = Role{{a.stop_a.public_key()}, 1};
  root.recovery = Role{{a.stop_b.public_key()}, 1};
  root.protocol_sha256 = std::string(64, '5');
  root.revoked = {a.foreign.public_key().id()};
  const std::string payload = write_root(root).value();
  const auto read = parse_root(payload);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->authority, "acme-cluster");
  EXPECT_EQ(read->expires_unix, root.expires_unix);
  EXPECT_EQ(read->lift.threshold, 2);
  EXPECT_EQ(read->keys.size(), 7u);
  EXPECT_TRUE(read->lease.has_value());
  ASSERT_TRUE(read->recovery.has_value());
  EXPECT_EQ(read->recovery->keys, root.recovery->keys);
  EXPECT_EQ(read->hash, sign::sha256(payload));
  EXPECT_EQ(write_root(*read).value(), payload);
}

TEST(RootTest, RefusesWhatCannotBeHeldTo) {
  const Authority a;
  const struct {
    const char* name;
    std::function<void(Root&)> spoil;
  } cases[] = {
      {"no authority", [](Root& r) { r.authority = ""; }},
      {"a path as authority", [](Root& r) { r.authority = "../x"; }},
      {"version 0", [](Root& r) { r.version = 0; }},
      {"expires before it begins", [](Root& r) { r.expires_unix = r.issued_unix; }},
      {"no quiet seconds", [](Root& r) { r.max_quiet_seconds = 0; }},
      {"quiet for two days", [](Root& r) { r.max_quiet_seconds = 2 * kDay; }},
      {"no keys", [](Root& r) { r.keys.clear(); }},
      {"a key twice", [](Root& r) { r.keys.push_back(r.keys[0]); }},
      {"a role twice by one key", [](Root& r) { r.lift.keys[1] = r.lift.keys[0]; }},
      {"a role of an unlisted key",
       [&](Root& r) { r.stop.keys.push_back(a.foreign.public_key()); }},
      {"a role without keys", [](Root& r) { r.stop.keys.clear(); }},
      {"two stop keys needed", [](Root& r) { r.stop.threshold = 2; }},
      {"two recovery keys needed",
       [&](Root& r) { r.recovery = Role{{a.stop_a.public_key(), a.stop_b.public_key()}, 2}; }},
      {"one lift key enough", [](Root& r) { r.lift.threshold = 1; }},
      {"four of three lift keys", [](Root& r) { r.lift.threshold = 4; }},
      {"no threshold", [](Root& r) { r.root.threshold = 0; }},
      {"a protocol that is no digest", [](Root& r) { r.protocol_sha256 = "5"; }},
      {"a stop key revoked and in use", [](Root& r) { r.revoked = {r.stop.keys[0].id()}; }},
  };
  for (const auto& c : cases) {
    Root root = a.root();
    c.spoil(root);
    EXPECT_FALSE(write_root(root).ok()) << c.name;
  }
}

TEST(RootTest, RefusesUnknownMembersAndKeysThatLie) {
  const Authority a;
  Json document = Json::parse(write_root(a.root()).value(), kMaxRootBytes).value();
  document.set("extra", 1);
  EXPECT_EQ(parse_root(document.dump()).status().code(), Code::corrupt);
  std::string payload = write_root(a.root()).value();
  const std::string id = a.stop_a.public_key().id();
  const std::string other = a.foreign.public_key().id();
  for (size_t at; (at = payload.find(id)) != std::string::npos;) payload.replace(at, 64, other);
  EXPECT_EQ(parse_root(payload).status().code(), Code::corrupt);
}

TEST(RootTest, WarnsOfRootsThatWillBeRegretted) {
  const Authority a;
  Root root = a.root();
  root.root.keys.push_back(root.lift.keys[0]);
  EXPECT_TRUE(root_warnings(root).empty());
  root.lift.threshold = 3;
  root.stop.keys = {root.lift.keys[0]};
  root.root.threshold = 1;
  EXPECT_EQ(root_warnings(root).size(), 4u);
}

TEST(RootTest, IsFrailWhereTheLossOfOneKeyCannotBeMadeGood) {
  const Authority a;
  Root sound = a.root();
  sound.root.keys.push_back(sound.lift.keys[0]);
  sound.recovery = Role{sound.lift.keys, 1};
  EXPECT_TRUE(root_frailties(sound).empty());
  const std::function<void(Root&)> spoils[] = {
      [](Root& r) { r.lift.threshold = 3; },
      [](Root& r) { r.stop.keys.resize(1, r.stop.keys[0]); },
      [](Root& r) { r.root.threshold = 3; },
      [](Root& r) { r.recovery->keys.resize(1, r.recovery->keys[0]); },
  };
  for (const auto& spoil : spoils) {
    Root root = sound;
    spoil(root);
    EXPECT_EQ(root_frailties(root).size(), 1u);
  }
}

TEST(RootChainTest, TakesTheFirstRootOrThePinnedOne) {
  const Authority a;
  const std::string first = a.signed_root(a.root());
  const std::string pin = a.chain().pin();
  EXPECT_TRUE(RootChain::verify({first}, "").ok());
  EXPECT_TRUE(RootChain::verify({first}, pin).ok());
  EXPECT_EQ(RootChain::verify({first}, std::string(64, '0')).status().code(), Code::unverified);
  EXPECT_EQ(RootChain::verify({}, "").status().code(), Code::not_found);
}

TEST(RootChainTest, NeedsTheRootKeysOfTheFirst) {
  const Authority a;
  const Root root = a.root();
  EXPECT_EQ(RootChain::verify({Authority::sign_root(root, {&a.root_a})}, "").status().code(),
            Code::unverified);
  EXPECT_FALSE(RootChain::verify({Authority::sign_root(root, {&a.root_a, &a.root_a})}, "").ok());
  EXPECT_FALSE(RootChain::verify({Authority::sign_root(root, {&a.stop_a, &a.stop_b})}, "").ok());
  EXPECT_FALSE(RootChain::verify({a.signed_root(a.root(2))}, "").ok());
}

TEST(RootChainTest, RotatesOnlyByOldAndNewKeys) {
  const Authority a;
  const sign::SecretKey next_a = fixed_key(3), next_b = fixed_key(4);
  Root second = a.root(2);
  second.keys.push_back({"next a", next_a.public_key()});
  second.keys.push_back({"next b", next_b.public_key()});
  second.root = {{next_a.public_key(), next_b.public_key()}, 2};
  const std::string first = a.signed_root(a.root());
  const struct {
    const char* name;
    std::initializer_list<const sign::SecretKey*> keys;
    bool good;
  } cases[] = {
      {"old and new", {&a.root_a, &a.root_b, &next_a, &next_b}, true},
      {"old only", {&a.root_a, &a.root_b}, false},
      {"new only", {&next_a, &next_b}, false},
      {"one of each", {&a.root_a, &next_a}, false},
  };
  for (const auto& c : cases) {
    const auto chain = RootChain::verify({first, Authority::sign_root(second, c.keys)}, "");
    ASSERT_TRUE(chain.ok()) << c.name;
    EXPECT_EQ(chain->newest().version, c.good ? 2 : 1) << c.name;
    EXPECT_EQ(chain->problems().empty(), c.good) << c.name;
  }
}

TEST(RootChainTest, RefusesAVersionThatIsSkippedRepeatedOrForeign) {
  const Authority a;
  const std::string first = a.signed_root(a.root());
  Root other_name = a.root(2);
  other_name.authority = "another";
  for (const Root& next : {a.root(3), a.root(1), other_name}) {
    const auto chain = RootChain::verify({first, a.signed_root(next)}, "");
    ASSERT_TRUE(chain.ok());
    EXPECT_EQ(chain->newest().version, 1);
    ASSERT_EQ(chain->problems().size(), 1u);
  }
}

TEST(RootChainTest, NoticesThatItWasSeenLonger) {
  const Authority a;
  const std::string first = a.signed_root(a.root()), second = a.signed_root(a.root(2));
  EXPECT_TRUE(RootChain::verify({first, second}, "", 2).ok());
  EXPECT_EQ(RootChain::verify({first}, "", 2).status().code(), Code::replayed);
  EXPECT_EQ(RootChain::verify({first, "rubbish"}, "", 2).status().code(), Code::replayed);
}

TEST(RootChainTest, KeepsStopKeysOverARotationUntilTheyAreRevoked) {
  const Authority a;
  Root second = a.root(2);
  second.stop.keys = {a.stop_b.public_key()};
  Root third = second;
  third.version = 3;
  third.revoked = {a.stop_a.public_key().id()};
  const std::vector<std::string> envelopes = {a.signed_root(a.root()), a.signed_root(second),
                                              a.signed_root(third)};
  EXPECT_EQ(RootChain::verify({envelopes[0], envelopes[1]}, "")->stop_keys().size(), 2u);
  const auto revoked = RootChain::verify(envelopes, "")->stop_keys();
  ASSERT_EQ(revoked.size(), 1u);
  EXPECT_EQ(revoked[0], a.stop_b.public_key());
}

TEST(RootChainTest, RefusesEveryBitFlipAndTruncation) {
  const Authority a;
  const std::string good = a.signed_root(a.root());
  for (size_t i = 0; i + 1 < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << (i % 8)));
    EXPECT_FALSE(RootChain::verify({flipped}, "").ok()) << "byte " << i;
    if (i % 7 == 0) {
      EXPECT_FALSE(RootChain::verify({good.substr(0, i)}, "").ok()) << "cut at " << i;
    }
  }
}

}  // namespace
}  // namespace account::order
