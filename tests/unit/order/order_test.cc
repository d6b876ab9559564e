// Orders: whose signature counts, and what is refused before it can mean anything.
#include "order/order.h"

#include <fstream>
#include <functional>
#include <iterator>

#include "unit/order/support.h"

namespace account::order {
namespace {

Code verdict(const std::string& bytes, const RootChain& chain) {
  return verify_order(bytes, chain).status().code();
}

TEST(OrderTest, ObeysAStopByAnyOneStopKey) {
  const Authority a;
  for (const sign::SecretKey* key : {&a.stop_a, &a.stop_b}) {
    const auto verified = verify_order(sign_order(make_stop(), {key}), a.chain());
    ASSERT_TRUE(verified.ok()) << verified.status().to_string();
    EXPECT_EQ(verified->order.hash, hash_of(make_stop()));
    EXPECT_EQ(verified->order.reason, "evaluation 12 failed");
    ASSERT_EQ(verified->signers.size(), 1u);
    EXPECT_EQ(verified->signers[0], key->public_key());
  }
}

TEST(OrderTest, AStopLetsRanksSaveUnlessItSaysOtherwise) {
  const Order order = make_stop();
  EXPECT_EQ(parse_order(write_order(order).value())->grace, Grace::save);
  EXPECT_EQ(write_order(order)->find("grace"), std::string::npos);
  Order strict = order;
  for (const Grace grace : {Grace::hold, Grace::none}) {
    strict.grace = grace;
    EXPECT_EQ(parse_order(write_order(strict).value())->grace, grace);
    EXPECT_EQ(strict.waits(), grace == Grace::hold);
  }
  const std::string payload = write_order(strict).value();
  const auto with = [&](const char* grace) {
    std::string other = payload;
    const size_t at = other.find(R"("grace":"none")");
    return parse_order(other.replace(at, 14, std::string("\"grace\":") + grace));
  };
  EXPECT_EQ(with(R"("save")")->grace, Grace::save);
  EXPECT_EQ(with(R"("hold")")->grace, Grace::hold);
  for (const char* odd : {R"("Hold")", "7", "null", R"(["save"])"}) {
    ASSERT_TRUE(with(odd).ok()) << "obeyed all the same: " << odd;
    EXPECT_EQ(with(odd)->grace, Grace::none) << odd;
  }
}

TEST(OrderTest, AStopNamesTheClauseThatItRestsOn) {
  Order order = make_stop();
  EXPECT_EQ(write_order(order)->find("clause"), std::string::npos);
  order.clause = "4.2";
  EXPECT_EQ(parse_order(write_order(order).value())->clause, "4.2");
  order.clause = std::string(4097, 'x');
  EXPECT_EQ(write_order(order).status().code(), Code::invalid_argument);
}

TEST(OrderTest, IsThePayloadWhoeverSignedIt) {
  const Authority a;
  const auto one = verify_order(sign_order(make_stop(), {&a.stop_a}), a.chain());
  const auto both = verify_order(sign_order(make_stop(), {&a.stop_b, &a.stop_a}), a.chain());
  ASSERT_TRUE(one.ok() && both.ok());
  EXPECT_EQ(one->order.hash, both->order.hash);
}

TEST(OrderTest, RefusesForgedForeignAndMangledOrders) {
  const Authority a;
  const RootChain chain = a.chain();
  const std::string good = sign_order(make_stop(), {&a.stop_a});
  const std::string payload = write_order(make_stop()).value();
  Order other_authority = make_stop();
  other_authority.authority = "another";
  Order other_text = make_stop();
  other_text.reason = "another reason";
  sign::Envelope moved{std::string(kOrderType), write_order(other_text).value(), {}};
  moved.signatures = sign::parse_envelope(good, kMaxOrderBytes)->signatures;
  sign::Envelope lying = sign::parse_envelope(good, kMaxOrderBytes).value();
  lying.signatures[0].key_id = a.stop_b.public_key().id();
  const struct {
    const char* name;
    std::string bytes;
    Code code;
  } cases[] = {
      {"nothing", "", Code::corrupt},
      {"no JSON", "stop!", Code::corrupt},
      {"a bare payload", payload, Code::corrupt},
      {"oversize", good + std::string(kMaxOrderBytes, ' '), Code::corrupt},
      {"a text after it", good + "x", Code::corrupt},
      {"a foreign key", sign_order(make_stop(), {&a.foreign}), Code::unverified},
      {"a root key", sign_order(make_stop(), {&a.root_a, &a.root_b}), Code::unverified},
      {"lift keys", sign_order(make_stop(), {&a.lift_a, &a.lift_b}), Code::unverified},
      {"another's signature", order_file(moved), Code::unverified},
      {"a key id that lies", order_file(lying), Code::unverified},
      {"signed as a root", sign_payload(payload, {&a.stop_a}, kRootType), Code::unverified},
      {"another authority", sign_order(other_authority, {&a.stop_a}), Code::unverified},
      {"no order", sign_payload("{}", {&a.stop_a}), Code::corrupt},
      {"a list", sign_payload("[]", {&a.stop_a}), Code::corrupt},
  };
  for (const auto& c : cases) EXPECT_EQ(verdict(c.bytes, chain), c.code) << c.name;
}

TEST(OrderTest, ObeysAStopWhateverElseItSays) {
  const Authority a;
  const struct {
    const char* name;
    std::function<void(Json&)> change;
    bool obeyed;
  } cases[] = {
      {"an unknown member", [](Json& j) { j.set("x_clause", "4.2"); }, true},
      {"an old number", [](Json& j) { j.set("number", -1); }, true},
      {"a number that is none", [](Json& j) { j.set("number", "seventeen"); }, true},
      {"no time", [](Json& j) { j.set("issued", "yesterday"); }, true},
      {"a time to come", [](Json& j) { j.set("issued", "2199-01-01T00:00:00Z"); }, true},
      {"another root version", [](Json& j) { j.set("root_version", 9); }, true},
      {"no quiet seconds", [](Json& j) { j.set("quiet_seconds", "soon"); }, true},
      {"a reason that is none", [](Json& j) { j.set("reason", 1); }, true},
      {"another format", [](Json& j) { j.set("format", "account-order/2"); }, false},
      {"another action", [](Json& j) { j.set("action", "go"); }, false},
      {"no scope", [](Json& j) { j.set("scope", Json::object()); }, false},
      {"two scopes", [](Json& j) { j.set("scope", Json::object({{"all", true}, {"job", "r7"}})); },
       false},
      {"an unknown scope", [](Json& j) { j.set("scope", Json::object({{"moon", "x"}})); }, false},
      {"all: false", [](Json& j) { j.set("scope", Json::object({{"all", false}})); }, false},
      {"an empty job", [](Json& j) { j.set("scope", Json::object({{"job", ""}})); }, false},
  };
  for (const auto& c : cases) {
    Json document = Json::parse(write_order(make_stop()).value(), kMaxOrderBytes).value();
    c.change(document);
    const auto verified = verify_order(sign_payload(document.dump(), {&a.stop_a}), a.chain());
    EXPECT_EQ(verified.ok(), c.obeyed) << c.name << ": " << verified.status().to_string();
  }
  const std::string least =
      R"({"format":"account-order/1","action":"stop","authority":"acme-cluster","scope":{"all":true}})";
  EXPECT_EQ(verdict(sign_payload(least, {&a.stop_a}), a.chain()), Code::ok);
}

TEST(OrderTest, HoldsResumesAndRehearsalsToTheLetterAndAsksForAStopKey) {
  const Authority a;
  const struct {
    Order order;
    std::vector<std::function<void(Json&)>> changes;
  } cases[] = {
      {make_resume({hash_of(make_pause())}),
       {[](Json& j) { j.set("accept_until", "2199-01-01T00:00:00Z"); },
        [](Json& j) { j.set("lifts", Json::array()); },
        [](Json& j) { j.set("scope", Json::object({{"all", true}})); }}},
      {make_rehearsal(),
       {[](Json& j) { j.set("accept_until", "2026-01-15T08:00:00Z"); },
        [](Json& j) { j.set("lifts", Json::array()); }, [](Json& j) { j.set("quiet_seconds", 3); },
        [](Json& j) { j.set("scope", Json::object({{"moon", "x"}})); }}},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(verdict(sign_order(c.order, {&a.stop_b}), a.chain()), Code::ok);
    for (const auto keys : {std::initializer_list<const sign::SecretKey*>{&a.lift_a, &a.lift_b},
                            std::initializer_list<const sign::SecretKey*>{&a.foreign}}) {
      EXPECT_EQ(verdict(sign_order(c.order, keys), a.chain()), Code::unverified);
    }
    auto changes = c.changes;
    changes.push_back([](Json& j) { j.set("x", 1); });
    changes.push_back([](Json& j) { j.set("nonce", "short"); });
    changes.push_back([](Json& j) { j.set("number", 0); });
    for (const auto& change : changes) {
      Json document = Json::parse(write_order(c.order).value(), kMaxOrderBytes).value();
      change(document);
      EXPECT_EQ(verdict(sign_payload(document.dump(), {&a.stop_a}), a.chain()), Code::corrupt)
          << document.dump();
    }
  }
}

TEST(OrderTest, HoldsALiftToTheLetter) {
  const Authority a;
  const Order lift = make_lift({hash_of(make_stop())});
  ASSERT_EQ(verdict(sign_order(lift, {&a.lift_a, &a.lift_c}), a.chain()), Code::ok);
  const std::function<void(Json&)> changes[] = {
      [](Json& j) { j.set("x", 1); },
      [](Json& j) { j.set("number", 0); },
      [](Json& j) { j.set("root_version", 2); },
      [](Json& j) { j.set("issued", "2027-01-15"); },
      [](Json& j) { j.set("accept_until", "2026-01-15T08:00:00Z"); },
      [](Json& j) { j.set("nonce", "short"); },
      [](Json& j) { j.set("lifts", Json::array()); },
      [](Json& j) { j.set("lifts", Json::array({"*"})); },
      [](Json& j) { j.set("lifts", Json::array({std::string(64, 'a'), std::string(64, 'a')})); },
      [](Json& j) { j.set("scope", Json::object({{"all", true}})); },
      [](Json& j) { j.set("reason", 1); },
  };
  for (const auto& change : changes) {
    Json document = Json::parse(write_order(lift).value(), kMaxOrderBytes).value();
    change(document);
    EXPECT_NE(verdict(sign_payload(document.dump(), {&a.lift_a, &a.lift_b}), a.chain()), Code::ok)
        << document.dump();
  }
}

TEST(OrderTest, NeedsDistinctLiftKeysForALift) {
  const Authority a;
  const Order lift = make_lift({hash_of(make_stop())});
  const struct {
    const char* name;
    std::initializer_list<const sign::SecretKey*> keys;
    bool good;
  } cases[] = {
      {"two of three", {&a.lift_a, &a.lift_b}, true},
      {"all three", {&a.lift_c, &a.lift_a, &a.lift_b}, true},
      {"one", {&a.lift_a}, false},
      {"one twice", {&a.lift_a, &a.lift_a}, false},
      {"stop keys", {&a.stop_a, &a.stop_b}, false},
      {"root keys", {&a.root_a, &a.root_b}, false},
      {"a lift and a stop key", {&a.lift_a, &a.stop_a}, false},
      {"two and a foreign one", {&a.lift_a, &a.lift_b, &a.foreign}, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(verdict(sign_order(lift, c.keys), a.chain()), c.good ? Code::ok : Code::unverified)
        << c.name;
  }
}

TEST(OrderTest, RefusesEveryBitFlipOfAStopAndOfALift) {
  const Authority a;
  const RootChain chain = a.chain();
  for (const std::string& good :
       {sign_order(make_stop(), {&a.stop_a}),
        sign_order(make_lift({hash_of(make_stop())}), {&a.lift_a, &a.lift_b})}) {
    ASSERT_EQ(verdict(good, chain), Code::ok);
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      std::string flipped = good;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_NE(verdict(flipped, chain), Code::ok) << "bit " << bit;
    }
  }
}

TEST(OrderTest, RefusesEveryTruncationOfAStopAndOfALift) {
  const Authority a;
  const RootChain chain = a.chain();
  for (const std::string& good :
       {sign_order(make_stop(), {&a.stop_a}),
        sign_order(make_lift({hash_of(make_stop())}), {&a.lift_a, &a.lift_b})}) {
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_NE(verdict(good.substr(0, size), chain), Code::ok) << "cut at " << size;
    }
  }
}

TEST(OrderTest, ObeysAStopSignedBeforeTheKeysWereRotated) {
  const Authority a;
  Root second = a.root(2);
  second.stop.keys = {a.stop_b.public_key()};
  const std::string stop = sign_order(make_stop(), {&a.stop_a});
  std::vector<std::string> roots = {a.signed_root(a.root()), a.signed_root(second)};
  EXPECT_EQ(verdict(stop, RootChain::verify(roots, "").value()), Code::ok);
  second.version = 3;
  second.revoked = {a.stop_a.public_key().id()};
  roots.push_back(a.signed_root(second));
  EXPECT_EQ(verdict(stop, RootChain::verify(roots, "").value()), Code::unverified);
}

TEST(OrderTest, DoesNotWriteWhatItWouldNotRead) {
  Order order = make_stop({Scope::Kind::job, ""});
  EXPECT_FALSE(write_order(order).ok());
  EXPECT_FALSE(write_order(make_lift({})).ok());
  order = make_stop();
  order.reason = std::string(5000, 'x');
  EXPECT_FALSE(write_order(order).ok());
}

// Made by tests/independent/orders.py, which knows the format pages and not this code.
TEST(OrderTest, VerifiesTheVectorsOfAnIndependentSigner) {
  std::ifstream file(std::string(ACCOUNT_TESTS_DIR) + "/vectors/orders.json", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto vectors = Json::parse(bytes, 1 << 20);
  ASSERT_TRUE(vectors.ok()) << vectors.status().to_string();
  const auto chain = RootChain::verify({vectors->get_string("root").value()},
                                       vectors->get_string("root_sha256").value());
  ASSERT_TRUE(chain.ok()) << chain.status().to_string();
  ASSERT_FALSE(vectors->get_array("orders").value()->items().empty());
  for (const Json& vector : vectors->get_array("orders").value()->items()) {
    const auto verified = verify_order(vector.get_string("envelope").value(), *chain);
    const std::string name = vector.get_string("name").value();
    const bool valid = vector.get_bool("valid").value();
    EXPECT_EQ(verified.ok(), valid) << name << ": " << verified.status().to_string();
    if (!verified.ok()) continue;
    EXPECT_EQ(verified->order.hash_hex(), vector.get_string("sha256").value()) << name;
  }
}

}  // namespace
}  // namespace account::order
