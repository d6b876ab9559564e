// Which orders stand. The order of the steps is the argument: first everything that verifies as a
// stop or a pause, from any place; then traces without an order; only then lifts, each held against
// its authority, root, window and number.
#include "order/standing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "order/fields.h"

namespace account::order {
namespace {

struct FoundLift {
  size_t authority = 0;
  std::string place;
  Verified verified;
};

class Judge {
 public:
  // Where `lifting` is false, lifts are held against the rules and end only what ranks wait for.
  Judge(const StandingInput& input, bool lifting)
      : input_(input),
        now_unix_(std::max(input.now_unix, input.latest_seen_unix)),
        lifting_(lifting) {}

  Standing run() {
    for (size_t i = 0; i < input_.authorities.size(); ++i) {
      for (const Found& found : input_.authorities[i].found) sort_in(i, found);
    }
    for (const Trace& trace : input_.traces) add_trace(trace);
    for (auto& [hash, stop] : stops_) decide_scope(stop);
    for (auto& [hash, stop] : rehearsals_) decide_scope(stop);
    for (size_t i = 0; i < input_.authorities.size(); ++i) {
      for (const Found& found : input_.authorities[i].accepted) take_accepted(i, found);
    }
    take_new();
    for (auto& [hash, stop] : stops_) result_.stops.push_back(std::move(stop));
    for (auto& [hash, stop] : rehearsals_) result_.rehearsals.push_back(std::move(stop));
    return std::move(result_);
  }

 private:
  const RootChain& chain(size_t authority) const { return input_.authorities[authority].chain; }

  void refuse(const std::string& place, Status why) {
    result_.refused.push_back({place, std::move(why)});
  }

  // A stop that verifies is obeyed: its number, its age and the clock are not even looked at.
  void sort_in(size_t authority, const Found& found) {
    Result<Verified> verified = verify_order(found.bytes, chain(authority));
    if (!verified.ok()) return refuse(found.place, verified.status());
    const Order& order = verified->order;
    if (ends_others(order.action)) {
      lifts_.push_back({authority, found.place, std::move(verified).value()});
      return;
    }
    const bool rehearses = order.action == Action::rehearse;
    if (rehearses && !is_due(authority, order)) return;
    StandingStop& stop = rehearses ? rehearsals_[order.hash] : stops_[order.hash];
    stop.order = verified->order.hash;
    stop.authority = chain(authority).pin();
    stop.quiet_seconds =
        std::min(verified->order.quiet_seconds, chain(authority).newest().max_quiet_seconds);
    stop.places.push_back(found.place);
    stop.known = std::move(verified).value();
  }

  // Nothing is lost with a rehearsal that comes too late: an old one, copied back, is passed over.
  bool is_due(size_t authority, const Order& order) const {
    return covers(order.scope, input_.job) && !chain(authority).newest().expired(now_unix_) &&
           order.issued_unix <= now_unix_ + kClockSkewSeconds &&
           order.accept_until_unix >= now_unix_;
  }

  // A receipt widens the scope of a stop to the other names of a job that the stop is about; it
  // makes no stop, and none wider than what was signed.
  bool counts(const Trace& trace) const {
    if (trace.kind == Trace::Kind::own) return true;
    const auto stop = stops_.find(trace.order);
    return stop != stops_.end() && stop->second.known && trace.frozen &&
           trace.authority == stop->second.authority &&
           covers(stop->second.known->order.scope, *trace.frozen);
  }

  void add_trace(const Trace& trace) {
    if (!counts(trace)) return;
    StandingStop& stop = stops_[trace.order];
    stop.order = trace.order;
    if (stop.authority.empty()) stop.authority = trace.authority;
    stop.places.push_back(trace.place);
    const bool this_job = !trace.frozen.has_value();
    const auto shared = this_job ? std::nullopt : shared_trait(*trace.frozen, input_.job);
    if (!this_job && !shared) return;
    stop.in_scope = true;
    stop.because =
        this_job ? "this job was stopped by it" : "shares " + *shared + " with the stopped job";
  }

  void decide_scope(StandingStop& stop) const {
    if (!stop.known || !covers(stop.known->order.scope, input_.job)) return;
    stop.in_scope = true;
    stop.because = to_string(stop.known->order.scope);
  }

  // Each authority lifts its own. A trace that does not say whose it is belongs to the only one.
  bool may_lift(const StandingStop& stop, size_t authority) const {
    if (stop.authority.empty()) return input_.authorities.size() == 1;
    return stop.authority == chain(authority).pin();
  }

  // Whether it ended anything.
  bool lift(size_t authority, const Verified& verified) {
    bool ended = false;
    for (const sign::Digest& named : verified.order.lifts) {
      const auto stop = stops_.find(named);
      if (stop == stops_.end() || !may_lift(stop->second, authority)) continue;
      const bool waited = stop->second.waits();
      const bool lifts_stops = verified.order.action == Action::lift && (lifting_ || waited);
      if (stop->second.action() != Action::pause && !lifts_stops) continue;
      result_.lifted.push_back({named, verified.order.hash, waited});
      stops_.erase(stop);
      ended = true;
    }
    return ended;
  }

  void take_accepted(size_t authority, const Found& found) {
    const Result<Verified> verified = verify_order(found.bytes, chain(authority));
    if (!verified.ok()) return refuse(found.place, verified.status());
    const Order& order = verified->order;
    if (!ends_others(order.action)) {
      return refuse(found.place, Status(Code::corrupt, "recorded as a lift, and is none"));
    }
    accepted_.push_back(order.hash);
    if (order.action == Action::lift) {
      highest_[authority] = std::max(highest_[authority], order.number);
    }
    lift(authority, *verified);
  }

  Status judge_new(const FoundLift& found) const {
    const Root& root = chain(found.authority).newest();
    const Order& order = found.verified.order;
    if (root.expired(now_unix_)) {
      return {
          Code::expired,
          fmt::format("the root expired at {}, and lifts nothing", time_text(root.expires_unix)),
          "the authority has to publish its next root"};
    }
    // A resume names pauses by their hashes, which end once: copied back, it has nothing to end.
    if (order.action == Action::resume) return {};
    if (order.root_version != root.version) {
      return {Code::replayed, fmt::format("a lift under root version {}; the root is at {}",
                                          order.root_version, root.version)};
    }
    if (order.issued_unix > now_unix_ + kClockSkewSeconds) {
      return {Code::expired, fmt::format("a lift issued at {}, which is yet to come",
                                         time_text(order.issued_unix))};
    }
    if (order.accept_until_unix < now_unix_) {
      return {Code::expired,
              fmt::format("a lift to be accepted until {}", time_text(order.accept_until_unix))};
    }
    const auto highest = highest_.find(found.authority);
    if (highest != highest_.end() && order.number <= highest->second) {
      return {Code::replayed, fmt::format("lift number {} after number {} was accepted",
                                          order.number, highest->second)};
    }
    return {};
  }

  void take_new() {
    std::sort(lifts_.begin(), lifts_.end(), [](const FoundLift& a, const FoundLift& b) {
      const Order &x = a.verified.order, &y = b.verified.order;
      return std::tie(x.number, x.hash) < std::tie(y.number, y.hash);
    });
    for (FoundLift& found : lifts_) {
      const sign::Digest& hash = found.verified.order.hash;
      if (std::find(accepted_.begin(), accepted_.end(), hash) != accepted_.end()) continue;
      const Status status = judge_new(found);
      if (!status.ok()) {
        refuse(found.place, status);
        continue;
      }
      accepted_.push_back(hash);
      if (found.verified.order.action == Action::lift) {
        highest_[found.authority] = found.verified.order.number;
      }
      const bool ended = lift(found.authority, found.verified);
      if (lifting_ || ended) result_.newly_accepted.push_back(std::move(found.verified));
    }
  }

  const StandingInput& input_;
  const int64_t now_unix_;
  const bool lifting_;
  std::map<sign::Digest, StandingStop> stops_, rehearsals_;
  std::vector<FoundLift> lifts_;
  std::vector<sign::Digest> accepted_;
  std::map<size_t, int64_t> highest_;  // number of the last accepted lift, by authority
  Standing result_;
};

}  // namespace

const StandingStop* Standing::holding() const {
  const StandingStop* first = nullptr;
  for (const StandingStop& stop : stops) {
    if (stop.in_scope && (first == nullptr || stop.weight() < first->weight())) first = &stop;
  }
  return first;
}

Status refusal_of(const StandingStop& stop) {
  const std::string hash = sign::to_hex(stop.order).substr(0, 16);
  const std::string why =
      stop.known
          ? fmt::format(
                "{}{}",
                stop.known->order.ordered_by.empty() ? std::string()
                                                     : "by " + stop.known->order.ordered_by + ": ",
                stop.known->order.reason.empty() ? "no reason given" : stop.known->order.reason)
          : "the order itself is gone, its trace is not";
  return {Code::shutdown_ordered,
          fmt::format("{} {} stands ({}; {})", name(stop.action()), hash, stop.because, why),
          stop.action() == Action::pause ? "it ends with a resume that names it: account resume"
                                         : "it ends with a lift that names it: account lift"};
}

Status Standing::permission() const {
  const StandingStop* stop = holding();
  return stop == nullptr ? Status() : refusal_of(*stop);
}

Standing judge_standing(const StandingInput& input) { return Judge(input, true).run(); }

Standing judge_running(const StandingInput& input, const std::vector<sign::Digest>& settled) {
  Standing standing = Judge(input, false).run();
  std::erase_if(standing.stops, [&](const StandingStop& stop) {
    return std::find(settled.begin(), settled.end(), stop.order) != settled.end();
  });
  return standing;
}

Json to_json(const Refused& refused) {
  return Json::object({{"place", refused.place},
                       {"code", code_name(refused.why.code())},
                       {"fault", refused.why.fault()}});
}

}  // namespace account::order
