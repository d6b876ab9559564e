// What the tests of orders share: an authority as a directory, and jobs under the real `account
// run` with ranks as processes.
#pragma once

#include <gmock/gmock.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "account/order_sender.h"
#include "base/random.h"
#include "e2e/cpp/support.h"
#include "order/authority.h"
#include "unit/order/support.h"

namespace account::e2e {

using order::Authority;
using ::testing::HasSubstr;

class StopTest : public EndToEnd {
 protected:
  StopTest() {
    std::filesystem::create_directories(authority_ + "/orders");
    std::filesystem::create_directories(authority_ + "/receipts");
    publish(root_of_now(1));
  }

  order::Root root_of_now(int64_t version) const {
    order::Root root = keys_.root(version);
    root.issued_unix = now() - order::kDay;
    root.expires_unix = now() + order::kDay;
    return root;
  }
  // Orders that a ledger of run "r" has as refused.
  int refusals() const {
    int refused = 0;
    const ledger::Report report = verify();
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& event : node.events) {
        refused += *event.get_string("type") == "order_refused" ? 1 : 0;
      }
    }
    return refused;
  }

  static int64_t now() { return Clock::real().unix_ns() / 1'000'000'000; }
  order::AuthorityDirectory directory() const {
    return {FileSystem::real(), *order::parse_authority_spec(authority_)};
  }
  void publish(const order::Root& root) {
    std::filesystem::remove(authority_ + "/root.json");
    const Status status = directory().publish_root(keys_.signed_root(root));
    ASSERT_TRUE(status.ok()) << status.to_string();
  }

  order::Order stop_order(const order::Scope& scope) const {
    order::Order order;
    order.action = order::Action::stop;
    order.authority = "acme-cluster";
    order.root_version = 1;
    order.number = 1;
    order.issued_unix = now();
    order.nonce = to_hex(random_bytes(16));
    order.reason = "drill in the tests";
    order.scope = scope;
    return order;
  }
  static sign::Envelope sealed(const order::Order& order,
                               std::initializer_list<const sign::SecretKey*> keys) {
    const auto payload = order::write_order(order);
    EXPECT_TRUE(payload.ok()) << payload.status().to_string();
    sign::Envelope envelope{std::string(order::kOrderType), payload.ok() ? *payload : "", {}};
    for (const sign::SecretKey* key : keys) sign::add_signature(envelope, *key);
    return envelope;
  }
  // Put where a keeper looks, without asking whether it is any good.
  void drop(const sign::Envelope& envelope, const std::string& name) const {
    ASSERT_TRUE(FileSystem::real()
                    .write_atomically(authority_ + "/orders/" + name + ".json",
                                      order::order_file(envelope), 0644)
                    .ok());
  }
  std::string send_stop(const order::Scope& scope) { return send(stop_order(scope)); }
  // By a stop key.
  std::string send(const order::Order& order) {
    auto hash = OrderSender(authority_).send(order::order_file(sealed(order, {&keys_.stop_a})));
    EXPECT_TRUE(hash.ok()) << hash.status().to_string();
    return hash.ok() ? *hash : "";
  }
  void send_lift(const std::vector<std::string>& hashes, int64_t number,
                 std::initializer_list<const sign::SecretKey*> keys, int64_t root_version = 1) {
    order::Order lift;
    lift.action = order::Action::lift;
    lift.authority = "acme-cluster";
    lift.root_version = root_version;
    lift.number = number;
    lift.issued_unix = now();
    lift.accept_until_unix = now() + 3600;
    lift.nonce = to_hex(random_bytes(16));
    lift.reason = "drill is over";
    for (const std::string& hash : hashes) lift.lifts.push_back(*sign::digest_from_hex(hash));
    drop(sealed(lift, keys), "lift-" + std::to_string(number));
  }

  // One `account run` a node, each over a shell that starts `local` ranks.
  Process job(int world, const std::vector<std::string>& words, const std::string& run = "r",
              const std::string& node = "", int first_rank = 0, int local = -1,
              const std::vector<std::string>& options = {}, const Process::Environment& more = {}) {
    if (local < 0) local = world;
    std::string script;
    for (int i = 0; i < local; ++i) {
      script += "RANK=" + std::to_string(first_rank + i) + " LOCAL_RANK=" + std::to_string(i) +
                " LOCAL_WORLD_SIZE=" + std::to_string(local) +
                " WORLD_SIZE=" + std::to_string(world) + " " + RANK_PROGRAM + " " + log() + "-" +
                std::to_string(first_rank + i);
      for (const std::string& word : words) script += " " + word;
      script += " & p" + std::to_string(i) + "=$!; ";
    }
    script += "c=0; ";
    for (int i = 0; i < local; ++i) script += "wait $p" + std::to_string(i) + " || c=$?; ";
    script += "exit $c # " + run;
    auto environment = base_environment();
    environment["ACCOUNT_RUN"] = run;
    environment["ACCOUNT_AUTHORITY"] = authority_;
    for (const auto& [name, value] : more) environment[name] = value;
    if (!node.empty()) environment["ACCOUNT_NODE"] = node;
    return account_run(options, {"/bin/sh", "-c", script}, environment);
  }
  // What a scheduler reads of run "r"; empty where there is nothing.
  std::string stop_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(dir_ + "/r")) {
      const auto bytes = FileSystem::real().read(entry.path() / "stop.json", 1 << 20);
      if (bytes.ok()) return *bytes;
    }
    return "";
  }
  // With as many other nodes of it heard.
  bool run_trains(const std::string& run, size_t others = 0) const {
    const std::string folder = dir_ + "/" + run;  // others may have a run of that name, too
    return eventually(
        [&] {
          for (const auto& status : keeper::live_runs(FileSystem::real())) {
            if (status.run_folder == folder && status.steps > 3 &&
                status.nodes_seen.size() == others) {
              return true;
            }
          }
          return false;
        },
        seconds(20));
  }
  bool trains(int rank = 0, int steps = 3) const {
    return eventually(
        [&] {
          const auto status = live();
          if (!status) return false;
          for (const auto& one : status->ranks) {
            if (one.rank == rank && one.steps >= static_cast<uint64_t>(steps)) return true;
          }
          return false;
        },
        seconds(15));
  }
  std::vector<uint64_t> last_steps(const std::string& hash) const {
    std::vector<uint64_t> steps;
    const auto receipts = OrderSender(authority_).receipts(hash);
    EXPECT_TRUE(receipts.ok());
    for (const OrderReceipt& receipt : *receipts) {
      for (const auto& rank : receipt.ranks) steps.push_back(rank.last_step);
    }
    return steps;
  }

  Authority keys_;
  const std::string authority_ = folder_ + "/authority";
  const order::Scope everything_{order::Scope::Kind::all, ""};
  const order::Scope this_job_{order::Scope::Kind::job, "r"};
};

}  // namespace account::e2e
