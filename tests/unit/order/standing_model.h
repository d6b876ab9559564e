// What stands, a second time and written apart: from facts about orders, which the test knows
// because it made them, and without looking at a byte or a signature. The rules are those of
// libaccount/doc/order_format.md.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "order/order.h"
#include "order/traits.h"

namespace account::order::model {

struct Fact {
  Action action = Action::stop;
  int authority = 0;     // whose name and keys it bears
  bool genuine = false;  // whole, and signed as its action asks for
  bool held = false;     // a stop whose ranks wait in memory
  Scope scope;
  int64_t version = 0, number = 0, issued = 0, until = 0;
  std::set<sign::Digest> names;  // of a lift or resume
  sign::Digest hash{};
  std::string bytes;
};

struct Placed {
  int directory = 0;  // of which authority
  const Fact* fact = nullptr;
};

struct Authority {
  int64_t version = 0, expires = 0;
};

struct World {
  std::vector<Authority> authorities;
  std::vector<Placed> found, accepted;
  std::set<sign::Digest> traces;  // of this very job
  struct Receipt {
    int authority = 0;
    sign::Digest order{};
    Traits job;
  };
  std::vector<Receipt> receipts;
  Traits job;
  int64_t now = 0;
};

struct Verdict {
  std::set<sign::Digest> holding;  // in scope
  std::set<sign::Digest> taken;    // lifts that are new
};

class Model {
 public:
  Model(const World& world, bool running) : world_(world), running_(running) {}

  Verdict judge() {
    for (const Placed& placed : world_.found) {
      const bool halts =
          placed.fact->action == Action::stop || placed.fact->action == Action::pause;
      if (halts && counts(placed)) stands_[placed.fact->hash] = {placed.fact, placed.directory};
    }
    for (const sign::Digest& trace : world_.traces) {
      stands_.try_emplace(trace);
      stands_[trace].in_scope = true;
    }
    for (auto& [hash, stop] : stands_) {
      if (stop.fact != nullptr && covers(stop.fact->scope, world_.job)) stop.in_scope = true;
    }
    for (const World::Receipt& receipt : world_.receipts) widen(receipt);
    for (const Placed& placed : world_.accepted) {
      if (!counts(placed)) continue;
      known_.insert(placed.fact->hash);
      if (placed.fact->action == Action::lift) raise(placed);
      end(placed);
    }
    take_new();
    for (const auto& [hash, stop] : stands_) {
      if (stop.in_scope) verdict_.holding.insert(hash);
    }
    return verdict_;
  }

 private:
  struct Stop {
    const Fact* fact = nullptr;  // none: a trace alone
    int directory = -1;
    bool in_scope = false;
  };

  static bool counts(const Placed& placed) {
    return placed.fact->genuine && placed.fact->authority == placed.directory;
  }

  void widen(const World::Receipt& receipt) {
    const auto stop = stands_.find(receipt.order);
    if (stop == stands_.end() || stop->second.fact == nullptr) return;
    if (stop->second.directory != receipt.authority) return;
    if (!covers(stop->second.fact->scope, receipt.job)) return;
    if (receipt.job.run == world_.job.run) stop->second.in_scope = true;
  }

  void raise(const Placed& placed) {
    int64_t& highest = highest_[placed.directory];
    highest = std::max(highest, placed.fact->number);
  }

  bool end(const Placed& placed) {
    bool ended = false;
    for (const sign::Digest& name : placed.fact->names) {
      const auto stop = stands_.find(name);
      if (stop == stands_.end()) continue;
      const bool unknown = stop->second.fact == nullptr;
      if (unknown ? world_.authorities.size() != 1 : stop->second.directory != placed.directory) {
        continue;
      }
      const bool pause = !unknown && stop->second.fact->action == Action::pause;
      const bool held = !unknown && stop->second.fact->held;
      const bool may = pause || (placed.fact->action == Action::lift && (held || !running_));
      if (!may) continue;
      stands_.erase(stop);
      ended = true;
    }
    return ended;
  }

  bool in_time(const Placed& placed) const {
    const Fact& lift = *placed.fact;
    const Authority& authority = world_.authorities[static_cast<size_t>(placed.directory)];
    if (world_.now >= authority.expires) return false;
    if (lift.action == Action::resume) return true;
    const auto highest = highest_.find(placed.directory);
    const bool newer = highest == highest_.end() || lift.number > highest->second;
    return lift.version == authority.version && lift.issued <= world_.now + 600 &&
           lift.until >= world_.now && newer;
  }

  void take_new() {
    std::vector<Placed> lifts;
    for (const Placed& placed : world_.found) {
      const Action action = placed.fact->action;
      const bool ends = action == Action::lift || action == Action::resume;
      if (ends && counts(placed)) lifts.push_back(placed);
    }
    std::stable_sort(lifts.begin(), lifts.end(), [](const Placed& a, const Placed& b) {
      if (a.fact->number != b.fact->number) return a.fact->number < b.fact->number;
      return a.fact->hash < b.fact->hash;
    });
    for (const Placed& placed : lifts) {
      if (known_.contains(placed.fact->hash) || !in_time(placed)) continue;
      known_.insert(placed.fact->hash);
      if (placed.fact->action == Action::lift) raise(placed);
      const bool ended = end(placed);
      if (ended || !running_) verdict_.taken.insert(placed.fact->hash);
    }
  }

  const World& world_;
  const bool running_;
  std::map<sign::Digest, Stop> stands_;
  std::set<sign::Digest> known_;
  std::map<int, int64_t> highest_;
  Verdict verdict_;
};

}  // namespace account::order::model
