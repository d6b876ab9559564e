// A million orders, most of them forged, foreign, re-scoped, replayed or rolled back, thrown at the
// rules of standing: what is obeyed is what a model says that was written apart (standing_model.h).
//
// ACCOUNT_PROPERTY_ORDERS (default 1,000,000) and ACCOUNT_PROPERTY_SEED choose another walk.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/bytes.h"
#include "unit/order/standing_model.h"
#include "unit/order/support.h"

namespace account::order {
namespace {

using model::Fact;

int64_t number(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoll(text);
}

// Two authorities with two roots each. The second root revokes a stop key and changes a lift key.
struct House {
  explicit House(int which) : base(which * 40) {
    for (int i = 0; i < 9; ++i) keys.push_back(fixed_key(base + 1 + i));
    name = which == 0 ? "acme-cluster" : "other-cluster";
    std::vector<std::string> envelopes;
    for (int64_t version : {1, 2}) {
      const Root root = make_root(version);
      sign::Envelope envelope{std::string(kRootType), write_root(root).value(), {}};
      for (const sign::SecretKey* key : {&root_a(), &root_b()}) sign::add_signature(envelope, *key);
      envelopes.push_back(sign::write_envelope(envelope));
    }
    chain = RootChain::verify(envelopes, "").value();
  }
  Root make_root(int64_t version) const {
    Root root;
    root.authority = name;
    root.version = version;
    root.issued_unix = kNow - (100 - version) * kDay;
    root.expires_unix = kNow + 100 * kDay;
    for (const sign::SecretKey& key : keys) root.keys.push_back({"holder", key.public_key()});
    root.root = {{root_a().public_key(), root_b().public_key()}, 2};
    root.stop = {{stop_a().public_key()}, 1};
    root.lift = {{lift_b().public_key(), lift_c().public_key()}, 2};
    if (version == 1) {
      root.stop.keys.push_back(revoked().public_key());
      root.lift.keys.push_back(lift_a().public_key());
    } else {
      root.revoked = {revoked().public_key().id()};
      root.lift.keys.push_back(lift_d().public_key());
    }
    return root;
  }
  const sign::SecretKey& root_a() const { return keys[0]; }
  const sign::SecretKey& root_b() const { return keys[1]; }
  const sign::SecretKey& stop_a() const { return keys[2]; }
  const sign::SecretKey& revoked() const { return keys[3]; }
  const sign::SecretKey& lift_a() const { return keys[4]; }  // of the first root only
  const sign::SecretKey& lift_b() const { return keys[5]; }
  const sign::SecretKey& lift_c() const { return keys[6]; }
  const sign::SecretKey& lift_d() const { return keys[7]; }  // of the second root only
  const sign::SecretKey& foreign() const { return keys[8]; }

  int base;
  std::string name;
  std::vector<sign::SecretKey> keys;
  RootChain chain = Authority().chain();
};

class StandingProperty : public testing::Test {
 protected:
  StandingProperty() : random_(static_cast<unsigned>(number("ACCOUNT_PROPERTY_SEED", 1))) {
    for (int which : {0, 1}) houses_.emplace_back(which);
    for (int i = 0; i < 400; ++i) halting_.push_back(make(i));
    for (int i = 0; i < 1200; ++i) ending_.push_back(make(400 + i));
  }

  size_t below(size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random_); }
  bool one_in(size_t n) { return below(n) == 0; }
  template <typename T>
  const T& any(const std::vector<T>& items) {
    return items[below(items.size())];
  }

  Scope any_scope() {
    const std::vector<Scope> scopes = {{Scope::Kind::job, "r7"},
                                       {Scope::Kind::job, "r8"},
                                       {Scope::Kind::job, "4711"},
                                       {Scope::Kind::model, "acme/chat-7b"},
                                       {Scope::Kind::model, "acme/base"},
                                       {Scope::Kind::developer, "acme"},
                                       {Scope::Kind::customer, "bank"},
                                       {Scope::Kind::cluster, "alps"},
                                       {Scope::Kind::all, ""}};
    return any(scopes);
  }

  // An order of some action, genuine or with one thing wrong.
  Fact make(int index) {
    Fact fact;
    fact.authority = static_cast<int>(below(2));
    const House& house = houses_[static_cast<size_t>(fact.authority)];
    const bool ends = index >= 400;
    fact.action = ends ? (one_in(3) ? Action::resume : Action::lift)
                       : (one_in(3) ? Action::pause : Action::stop);
    Order order;
    order.action = fact.action;
    order.authority = house.name;
    fact.version = order.root_version = one_in(4) ? 1 : 2;
    fact.number = order.number = 1 + static_cast<int64_t>(below(30));
    fact.issued = order.issued_unix =
        kNow + (one_in(5) ? 900 : -static_cast<int64_t>(below(20) * kDay));
    order.nonce =
        to_hex(std::string(8, static_cast<char>(index)) + std::to_string(10'000'000 + index));
    fact.until = order.accept_until_unix = order.issued_unix + (one_in(4) ? 60 : 40 * kDay);
    if (ends) {
      const size_t names = 1 + below(3);
      while (fact.names.size() < names) fact.names.insert(any(halting_).hash);
      order.lifts.assign(fact.names.begin(), fact.names.end());
    } else {
      fact.scope = order.scope = any_scope();
      fact.held = fact.action == Action::stop && one_in(3);
      if (fact.held) order.grace = Grace::hold;
    }
    if (fact.action == Action::resume) order.accept_until_unix = 0;
    std::string payload = write_order(order).value();
    fact.genuine = true;
    std::vector<const sign::SecretKey*> signers = {&house.stop_a()};
    if (fact.action == Action::lift) {
      signers = {&house.lift_b(), fact.version == 1 ? &house.lift_a() : &house.lift_d()};
      if (one_in(3)) signers[0] = &house.lift_c();
    }
    sign::Envelope envelope{std::string(kOrderType), payload, {}};
    const auto sign_by = [&](std::vector<const sign::SecretKey*> by) {
      envelope.signatures.clear();
      for (const sign::SecretKey* key : by) sign::add_signature(envelope, *key);
    };
    sign_by(signers);
    if (!one_in(2)) spoil(fact, house, envelope, sign_by);
    fact.hash = sign::sha256(envelope.payload);
    fact.bytes = fact.bytes.empty() ? order_file(envelope) : fact.bytes;
    return fact;
  }

  template <typename SignBy>
  void spoil(Fact& fact, const House& house, sign::Envelope& envelope, const SignBy& sign_by) {
    fact.genuine = false;
    const bool lift = fact.action == Action::lift;
    std::string& payload = envelope.payload;
    switch (below(12)) {
      case 0:
        return sign_by({&house.foreign(), &house.root_a()});
      case 1:  // the keys of the other role
        return lift ? sign_by({&house.stop_a()}) : sign_by({&house.lift_b(), &house.lift_c()});
      case 2:  // re-scoped, or another target: the signature stays
        payload = payload.substr(0, payload.size() - 1) + R"(,"reason":"more"})";
        return;
      case 3:
        payload[payload.size() / 2] ^= 1;
        return;
      case 4:
        envelope.payload_type = kRootType;
        return;
      case 5:  // a revoked key; one lift key twice
        if (!lift) return sign_by({&house.revoked()});
        sign_by({&house.lift_b(), &house.lift_b()});
        return;
      case 6:  // a lift with a signature too many; a stop by the other house
        if (lift) return sign_by({&house.lift_b(), &house.lift_c(), &house.foreign()});
        return sign_by({&houses_[static_cast<size_t>(1 - fact.authority)].stop_a()});
      case 7:  // too few; lift keys of another version than it says
        if (!lift) return sign_by({&house.root_a(), &house.root_b()});
        return sign_by({&house.lift_b()});
      case 8:
        if (!lift) return sign_by({&house.lift_b(), &house.foreign()});
        return sign_by({&house.lift_c(), fact.version == 1 ? &house.lift_d() : &house.lift_a()});
      case 9: {  // genuine, but cut short
        const std::string whole = order_file(envelope);
        fact.bytes = whole.substr(0, whole.size() - 1 - below(whole.size() / 2));
        return;
      }
      case 10:  // signed all right, and a member twice: no JSON
        payload = payload.substr(0, payload.size() - 1) + R"(,"action":"stop"})";
        sign_by(lift ? std::vector<const sign::SecretKey*>{&house.lift_b(), &house.lift_c()}
                     : std::vector<const sign::SecretKey*>{&house.stop_a()});
        return;
      default: {  // no fault at all, but odd: a stop is obeyed whatever else it says
        if (ends_others(fact.action)) {
          payload = payload.substr(0, payload.size() - 1) + R"(,"x_more":1})";
          return lift ? sign_by({&house.lift_b(), &house.lift_c()}) : sign_by({&house.stop_a()});
        }
        payload = payload.substr(0, payload.size() - 1) + R"(,"x_more":[1,{"y":null}]})";
        fact.genuine = true;
        return sign_by({&house.foreign(), &house.stop_a()});
      }
    }
  }

  struct Both {
    model::World world;
    StandingInput input;
  };

  // One of the orders that it is about.
  const Fact& named_by(const Fact& ending) const {
    return *std::find_if(halting_.begin(), halting_.end(),
                         [&](const Fact& order) { return order.hash == *ending.names.begin(); });
  }

  Both any_world() {
    Both both;
    const int authorities = one_in(3) ? 1 : 2;
    const std::vector<int64_t> times = {kNow, kNow, kNow, kNow + 30 * kDay, kNow + 200 * kDay};
    both.world.now = any(times);
    both.input.now_unix = both.world.now;
    if (one_in(4)) {  // a clock set back, and a ledger that knows better
      both.input.latest_seen_unix = both.world.now;
      both.input.now_unix = both.world.now - 50 * kDay;
    }
    Traits& job = both.world.job;
    job.run = one_in(2) ? "r7" : "r8";
    job.model = one_in(2) ? "acme/chat-7b" : "acme/vision";
    if (one_in(2)) job.scheduler_id = "4711";
    if (one_in(3)) job.lineage = {"acme/base"};
    if (one_in(3)) job.developer = "acme", job.customer = "bank", job.cluster = "alps";
    both.input.job = job;
    for (int i = 0; i < authorities; ++i) {
      const House& house = houses_[static_cast<size_t>(i)];
      both.input.authorities.push_back({house.chain, {}, {}});
      both.world.authorities.push_back({2, kNow + 100 * kDay});
    }
    const auto directory = [&] {
      return static_cast<int>(below(static_cast<size_t>(authorities)));
    };
    const auto find = [&](const Fact& fact, int d) {
      both.world.found.push_back({d, &fact});
      both.input.authorities[static_cast<size_t>(d)].found.push_back({"orders/x", fact.bytes});
    };
    for (size_t i = below(7); i > 0; --i) {
      const int d = directory();
      if (one_in(2)) {
        find(any(halting_), d);
        continue;
      }
      const Fact& ending = any(ending_);
      find(ending, d);
      if (one_in(2)) find(named_by(ending), one_in(4) ? directory() : d);
    }
    for (size_t i = below(3); i > 0; --i) {
      const Fact& fact = any(ending_);
      const int d = directory();
      both.world.accepted.push_back({d, &fact});
      both.input.authorities[static_cast<size_t>(d)].accepted.push_back({"ledger", fact.bytes});
      if (one_in(2)) find(named_by(fact), d);
    }
    if (one_in(3)) {
      const sign::Digest trace = any(halting_).hash;
      both.world.traces.insert(trace);
      both.input.traces.push_back({trace, "", "ledger", std::nullopt, Trace::Kind::own});
    }
    if (one_in(3)) {
      Traits frozen;
      frozen.run = one_in(2) ? "r7" : "r8";
      const int d = directory();
      const sign::Digest order = any(halting_).hash;
      both.world.receipts.push_back({d, order, frozen});
      both.input.traces.push_back({order, houses_[static_cast<size_t>(d)].chain.pin(), "receipt",
                                   frozen, Trace::Kind::receipt});
    }
    return both;
  }

  std::mt19937 random_;
  std::vector<House> houses_;
  std::vector<Fact> halting_, ending_;
};

std::set<sign::Digest> holding(const Standing& standing) {
  std::set<sign::Digest> hashes;
  for (const StandingStop& stop : standing.stops) {
    if (stop.in_scope) hashes.insert(stop.order);
  }
  return hashes;
}

std::set<sign::Digest> taken(const Standing& standing) {
  std::set<sign::Digest> hashes;
  for (const Verified& lift : standing.newly_accepted) hashes.insert(lift.order.hash);
  return hashes;
}

TEST_F(StandingProperty, ObeysWhatItShouldAndNothingElse) {
  const int64_t wanted = number("ACCOUNT_PROPERTY_ORDERS", 1'000'000);
  int64_t orders = 0, worlds = 0, held = 0, lifted = 0;
  while (orders < wanted && !HasFailure()) {
    const Both both = any_world();
    orders += static_cast<int64_t>(both.world.found.size() + both.world.accepted.size());
    const bool running = worlds++ % 4 == 3;
    const Standing standing = running ? judge_running(both.input, {}) : judge_standing(both.input);
    const model::Verdict verdict = model::Model(both.world, running).judge();
    EXPECT_EQ(holding(standing), verdict.holding) << "in world " << worlds;
    EXPECT_EQ(taken(standing), verdict.taken) << "in world " << worlds;
    EXPECT_EQ(standing.permission().ok(), verdict.holding.empty());
    held += verdict.holding.empty() ? 0 : 1;
    lifted += standing.lifted.empty() ? 0 : 1;
  }
  // The walk meets both sides of every rule often.
  EXPECT_GT(held, worlds / 10);
  EXPECT_GT(worlds - held, worlds / 10);
  EXPECT_GT(lifted, worlds / 200);
  std::printf("%lld orders in %lld worlds: %lld held, %lld with a stop that was lifted\n",
              static_cast<long long>(orders), static_cast<long long>(worlds),
              static_cast<long long>(held), static_cast<long long>(lifted));
}

}  // namespace
}  // namespace account::order
