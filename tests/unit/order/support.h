// What the tests of order/ share: an authority with fixed keys, and orders signed by them.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "order/lease.h"
#include "order/order.h"
#include "order/root.h"
#include "order/standing.h"
#include "sign/sign.h"

namespace account::order {

constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15T08:00:00Z
constexpr int64_t kDay = 86'400;

// A key that is the same in every run: its seed is 32 times `byte`.
inline sign::SecretKey fixed_key(int byte) {
  return sign::SecretKey::from_seed(std::string(32, static_cast<char>(byte)),
                                    sign::SecretAccess::i_know_what_i_am_doing())
      .value();
}

// Two root keys, two stop keys, three lift keys of which two lift.
struct Authority {
  sign::SecretKey root_a = fixed_key(1), root_b = fixed_key(2);
  sign::SecretKey stop_a = fixed_key(11), stop_b = fixed_key(12);
  sign::SecretKey lift_a = fixed_key(21), lift_b = fixed_key(22), lift_c = fixed_key(23);
  sign::SecretKey lease_a = fixed_key(31), lease_b = fixed_key(32), lease_c = fixed_key(33);
  sign::SecretKey foreign = fixed_key(99);

  Root root(int64_t version = 1) const {
    Root root;
    root.authority = "acme-cluster";
    root.version = version;
    root.issued_unix = kNow - 100 * kDay;
    root.expires_unix = kNow + 100 * kDay;
    for (const sign::SecretKey* key :
         {&root_a, &root_b, &stop_a, &stop_b, &lift_a, &lift_b, &lift_c}) {
      root.keys.push_back({"holder", key->public_key()});
    }
    root.root = {{root_a.public_key(), root_b.public_key()}, 2};
    root.stop = {{stop_a.public_key(), stop_b.public_key()}, 1};
    root.lift = {{lift_a.public_key(), lift_b.public_key(), lift_c.public_key()}, 2};
    return root;
  }
  // Two of three lease.
  Root leasing_root(int64_t version = 1) const {
    Root leasing = root(version);
    for (const sign::SecretKey* key : {&lease_a, &lease_b, &lease_c}) {
      leasing.keys.push_back({"clerk", key->public_key()});
    }
    leasing.lease = Role{{lease_a.public_key(), lease_b.public_key(), lease_c.public_key()}, 2};
    return leasing;
  }
  std::string signed_root(const Root& root) const { return sign_root(root, {&root_a, &root_b}); }
  RootChain chain() const { return RootChain::verify({signed_root(root())}, "").value(); }

  static std::string sign_root(const Root& root,
                               std::initializer_list<const sign::SecretKey*> keys) {
    sign::Envelope envelope{std::string(kRootType), write_root(root).value(), {}};
    for (const sign::SecretKey* key : keys) sign::add_signature(envelope, *key);
    return sign::write_envelope(envelope);
  }
};

inline Order make_stop(const Scope& scope = {Scope::Kind::job, "r7"}) {
  Order order;
  order.authority = "acme-cluster";
  order.root_version = 1;
  order.number = 17;
  order.issued_unix = kNow - 60;
  order.nonce = std::string(32, 'a');
  order.reason = "evaluation 12 failed";
  order.ordered_by = "safety officer";
  order.scope = scope;
  return order;
}

inline Order make_lift(std::vector<sign::Digest> lifts, int64_t number = 1) {
  Order order;
  order.action = Action::lift;
  order.authority = "acme-cluster";
  order.root_version = 1;
  order.number = number;
  order.issued_unix = kNow - 30;
  order.accept_until_unix = kNow + 30 * kDay;
  order.nonce = std::string(32, 'b');
  order.lifts = std::move(lifts);
  return order;
}

inline Order make_pause() {
  Order order = make_stop();
  order.action = Action::pause;
  return order;
}

inline Order make_rehearsal(const Scope& scope = {Scope::Kind::job, "r7"}) {
  Order order = make_stop(scope);
  order.action = Action::rehearse;
  order.accept_until_unix = kNow + 600;
  return order;
}

inline Order make_resume(std::vector<sign::Digest> pauses) {
  Order order = make_lift(std::move(pauses));
  order.action = Action::resume;
  order.accept_until_unix = 0;
  return order;
}

inline std::string sign_payload(std::string payload,
                                std::initializer_list<const sign::SecretKey*> keys,
                                std::string_view type = kOrderType) {
  sign::Envelope envelope{std::string(type), std::move(payload), {}};
  for (const sign::SecretKey* key : keys) sign::add_signature(envelope, *key);
  return order_file(envelope);
}

inline std::string sign_order(const Order& order,
                              std::initializer_list<const sign::SecretKey*> keys) {
  return sign_payload(write_order(order).value(), keys);
}

// About run "r7", for an hour from a minute ago.
inline Lease make_lease(int64_t number = 1) {
  Lease lease;
  lease.authority = "acme-cluster";
  lease.root_version = 1;
  lease.number = number;
  lease.issued_unix = kNow - 60;
  lease.expires_unix = kNow + 3'540;
  lease.scope = {Scope::Kind::job, "r7"};
  return lease;
}

inline std::string sign_lease(const Lease& lease,
                              std::initializer_list<const sign::SecretKey*> keys) {
  return sign_payload(write_lease(lease).value(), keys, kLeaseType);
}

inline sign::Digest hash_of(const Order& order) { return sign::sha256(write_order(order).value()); }

}  // namespace account::order
