// From order to quiet.
#include "keeper/stop.h"

#include <algorithm>

namespace account::keeper {
namespace {

using order::Action;
using order::StandingStop;
constexpr int64_t kSecond = 1'000'000'000;
// How long ranks wait in a rehearsal once all of the node have come: by then every node has heard
// the others' votes, which come ten times a second.
constexpr int64_t kRehearsalHoldNs = 2 * kSecond;
std::string hex16(const sign::Digest& digest) { return sign::to_hex(digest).substr(0, 16); }

std::string reason_of(const StandingStop& stop) {
  std::string text = std::string(order::name(stop.action())) + " " + hex16(stop.order);
  if (!stop.known) return text;
  const order::Order& order = stop.known->order;
  if (!order.ordered_by.empty()) text += " by " + order.ordered_by;
  return order.reason.empty() ? text : text + ": " + order.reason;
}

// By what it says; who signed it is judged later.
bool lets_wait(std::string_view envelope) {
  const auto sealed = sign::parse_envelope(envelope, order::kMaxOrderBytes);
  if (!sealed.ok()) return false;
  const auto order = order::parse_order(sealed->payload);
  return order.ok() && order->waits();
}

}  // namespace

Stop::Stop(const Clock& clock, StopOptions options, Authorities authorities)
    : clock_(clock), options_(std::move(options)), authorities_(std::move(authorities)) {}

Result<std::unique_ptr<Stop>> Stop::open(FileSystem& files, const Clock& clock,
                                         const StopOptions& options,
                                         const std::vector<Json>& events) {
  std::map<std::string, std::string> pins;
  for (const Json& event : events) {
    const auto type = event.get_string("type");
    const auto path = event.get_string("path");
    const auto pin = event.get_string("pin");
    if (type.ok() && *type == "authority" && path.ok() && pin.ok()) pins[*path] = *pin;
  }
  ACCOUNT_ASSIGN_OR_RETURN(Authorities authorities,
                           Authorities::open(files, options.authorities, pins));
  std::unique_ptr<Stop> stop(new Stop(clock, options, std::move(authorities)));
  for (const Authorities::One& one : stop->authorities_.all()) {
    const order::RootChain& chain = one.orders.chain;
    stop->lines_.push_back({"authority", Json::object({{"path", one.directory.path()},
                                                       {"authority", chain.authority()},
                                                       {"pin", chain.pin()},
                                                       {"root_version", chain.newest().version}})});
  }
  stop->remember(events);
  stop->judge_start();
  return stop;
}

// Traces and accepted lifts of earlier sessions. A line that does not read as one of ours was
// refused by the ledger's own verification before this.
void Stop::remember(const std::vector<Json>& events) {
  for (const Json& event : events) {
    const std::string type = event.get_string("type").ok() ? *event.get_string("type") : "";
    if (const auto time = event.get_op_count("time_unix_ns"); time.ok()) {
      latest_seen_unix_ =
          std::max(latest_seen_unix_, static_cast<int64_t>(time->low() / uint64_t{kSecond}));
    }
    const std::string pin = event.get_string("pin").ok() ? *event.get_string("pin") : "";
    const auto text = event.get_string("envelope");
    const auto envelope = text.ok() ? from_base64(*text) : Result<Bytes>(text.status());
    const auto hash = event.get_string("order");
    const auto digest =
        hash.ok() ? sign::digest_from_hex(*hash) : Result<sign::Digest>(hash.status());
    if (type == "order" && digest.ok()) {
      traces_.push_back({*digest, pin, "ledger", std::nullopt, order::Trace::Kind::own});
      // What ranks wait for is known again by its bytes; a trace alone would stand as a stop.
      if (envelope.ok() && lets_wait(*envelope)) kept_[pin].push_back({"ledger", *envelope});
    } else if (type == "note") {
      learn(event);
    } else if (type == "rehearsal" && digest.ok()) {
      ended_.insert(*digest);
    } else if (type == "lift" && envelope.ok() && !pin.empty()) {
      accepted_[pin].push_back({"ledger", *envelope});
    }
  }
}

order::StandingInput Stop::input() const {
  order::StandingInput input;
  for (const Authorities::One& one : authorities_.all()) {
    input.authorities.push_back(one.orders);
    order::AuthorityOrders& orders = input.authorities.back();
    const auto accepted = accepted_.find(one.orders.chain.pin());
    if (accepted != accepted_.end()) orders.accepted = accepted->second;
    const auto kept = kept_.find(one.orders.chain.pin());
    if (kept != kept_.end()) {
      orders.found.insert(orders.found.end(), kept->second.begin(), kept->second.end());
    }
    const auto receipts = order::traces_of(one.receipts);
    input.traces.insert(input.traces.end(), receipts.begin(), receipts.end());
  }
  input.traces.insert(input.traces.end(), traces_.begin(), traces_.end());
  input.job = options_.job;
  input.now_unix = clock_.unix_ns() / kSecond;
  input.latest_seen_unix = latest_seen_unix_;
  return input;
}

void Stop::judge_start() {
  const order::Standing standing = order::judge_standing(input());
  note_refused(standing.refused);
  note_refused(authorities_.refused());
  for (const order::Verified& lift : standing.newly_accepted) accept(lift);
  Json settled = Json::array();
  for (const order::Lifted& lifted : standing.lifted) {
    settled_.push_back(lifted.order);
    settled.push(sign::to_hex(lifted.order));
    if (lifted.waited) ended_.insert(lifted.order);
  }
  for (const StandingStop& stop : standing.stops) {
    if (stop.in_scope) standing_.push_back(stop);
  }
  const StandingStop* holding = standing.holding();
  if (holding == nullptr) {
    lines_.push_back({"start", Json::object({{"settled", settled}})});
  } else {
    (holding->waits() ? pause_ : permission_) = order::refusal_of(*holding);
    lines_.push_back({"start_refused", Json::object({{"order", sign::to_hex(holding->order)},
                                                     {"because", holding->because}})});
  }
  wants_seal_ = true;
}

// A lift is in the ledger before anything builds on it.
void Stop::accept(const order::Verified& lift) {
  // The chain that verified it is the one whose name it carries.
  for (const Authorities::One& one : authorities_.all()) {
    if (one.orders.chain.authority() != lift.order.authority) continue;
    lines_.push_back({"lift", Json::object({{"lift", lift.order.hash_hex()},
                                            {"pin", one.orders.chain.pin()},
                                            {"envelope", to_base64(lift.envelope)}})});
    accepted_[one.orders.chain.pin()].push_back({"ledger", lift.envelope});
  }
}

void Stop::note_refused(const std::vector<order::Refused>& refused) {
  for (const order::Refused& one : refused) {
    const std::string text = one.place + ": " + one.why.to_string();
    if (!said_.insert(text).second) continue;
    lines_.push_back({"order_refused", order::to_json(one)});
    remarks_.push_back("not obeyed: " + text);
  }
}

void Stop::learn(const Json& note) {
  const auto kind = note.get_string("kind");
  if (!kind.ok() || *kind != "loaded") return;
  const auto add = [&](std::string_view member, std::vector<std::string>& items) {
    const auto found = note.get_array(member);
    if (!found.ok()) return;
    for (const Json& item : (*found)->items()) {
      if (item.kind() != Json::Kind::string) continue;
      const bool known = std::find(items.begin(), items.end(), item.as_string()) != items.end();
      if (known || item.as_string() == options_.job.run) continue;
      items.push_back(item.as_string());
      learned_ = true;
    }
  };
  add("runs", options_.job.origins);
  add("models", options_.job.lineage);
}

void Stop::obey_what_stands() {
  for (const StandingStop& stop : standing_) obey(stop);
}

void Stop::turn(const JobTotals::View& view, const Brake& brake) {
  if (authorities_.due(clock_.monotonic_ns()) || learned_) {
    authorities_.read();
    read_anew_ = true;
    look_for_orders();
  }
  hear_peers(view);
  watch_rehearsal(brake);
}

void Stop::look_for_orders() {
  for (const Status& problem : authorities_.problems()) {
    const std::string text = problem.to_string();
    if (!said_.insert(text).second) continue;
    lines_.push_back({"authority_unreadable", Json::object({{"fault", problem.fault()}})});
    remarks_.push_back(text + "; training goes on");
  }
  note_refused(authorities_.refused());
  order::StandingInput now = input();
  // Traces were judged when this start was permitted; a running job is stopped by orders. But those
  // of other jobs may turn out to be about the weights that this one has just begun from.
  if (!std::exchange(learned_, false)) now.traces.clear();
  std::erase_if(now.traces, [](const order::Trace& trace) { return !trace.frozen; });
  take(order::judge_running(now, settled_));
}

// What the other nodes obey, and what ended a pause there and has not ended it here.
std::vector<order::Found> Stop::told_by(const JobTotals::View& view) const {
  std::vector<order::Found> told;
  for (const NodeTotal& other : view.others) {
    const std::string place = "node " + other.node;
    if (other.stop) {
      for (const std::string& envelope : other.stop->envelopes) told.push_back({place, envelope});
    }
    for (const std::string& envelope : other.lifts) {
      const bool known = std::find(lifts_.begin(), lifts_.end(), envelope) != lifts_.end();
      if (!known) told.push_back({place, envelope});
    }
  }
  return told;
}

// A stop that another keeper obeys is joined, even if it was settled here: who stops first takes
// the others along. Its bytes are verified here like any other. So is what ended a pause there.
void Stop::hear_peers(const JobTotals::View& view) {
  const std::vector<order::Found> told = told_by(view);
  if (told.empty()) return;
  order::StandingInput heard = input();
  heard.traces.clear();
  for (order::AuthorityOrders& authority : heard.authorities) {
    authority.found = told;
    // What a lift that is heard of may end.
    for (const auto& [hash, obeyed] : obeyed_) {
      if (!obeyed.stop.known || obeyed.action() == Action::rehearse) continue;
      if (obeyed.stop.authority != authority.chain.pin()) continue;
      authority.found.push_back({"obeyed", obeyed.stop.known->envelope});
    }
  }
  take(order::judge_running(heard, {}));
}

void Stop::take(const order::Standing& standing) {
  note_refused(standing.refused);
  for (const order::Verified& lift : standing.newly_accepted) {
    accept(lift);
    lifts_.push_back(lift.envelope);
  }
  for (const order::Lifted& lifted : standing.lifted) {
    ended_.insert(lifted.order);
    end(lifted.order, "resumed");
  }
  for (const StandingStop& stop : standing.stops) {
    if (stop.in_scope) obey(stop);
  }
  // One at a time, and none while anything else holds the job.
  for (const StandingStop& rehearsal : standing.rehearsals) {
    if (obeyed_.empty() && !ended_.contains(rehearsal.order)) obey(rehearsal);
  }
  const Obeyed* first = leading();
  pause_ = first != nullptr && first->stop.waits() ? order::refusal_of(first->stop) : Status();
}

void Stop::obey(const StandingStop& stop) {
  if (obeyed_.contains(stop.order)) return;
  Obeyed obeyed;
  obeyed.stop = stop;
  obeyed.verified_unix_ns = clock_.unix_ns();
  obeyed.began_ns = clock_.monotonic_ns();
  const bool first_stop = stop.action() == Action::stop && !stop.waits() && !stopping();
  obeyed_.emplace(stop.order, obeyed);
  wants_seal_ = true;
  if (stop.action() == Action::rehearse) {
    remarks_.push_back(reason_of(stop) + " (" + stop.because +
                       "): all ranks come to one step, and go on");
    return;  // its line is written when it is over: a keeper that comes in between begins again
  }
  if (first_stop) {
    permission_ = {Code::shutdown_ordered, reason_of(stop) + " (" + stop.because + ")",
                   "it ends with a lift that names it: account lift"};
  }
  Json body = Json::object({{"order", sign::to_hex(stop.order)},
                            {"action", order::name(stop.action())},
                            {"pin", stop.authority},
                            {"because", stop.because},
                            {"job", order::to_json(options_.job)}});
  if (stop.known) {
    body.set("reason", stop.known->order.reason);
    body.set("ordered_by", stop.known->order.ordered_by);
    if (!stop.known->order.clause.empty()) body.set("clause", stop.known->order.clause);
    body.set("envelope", to_base64(stop.known->envelope));
  }
  lines_.push_back({"order", std::move(body)});
  remarks_.push_back(reason_of(stop) + " (" + stop.because + "): all ranks " +
                     (stop.action() == Action::pause ? "wait"
                      : stop.waits()                 ? "stop, and wait there for a lift"
                                                     : "stop"));
}

void Stop::end(const sign::Digest& order, std::string_view ending) {
  const auto found = obeyed_.find(order);
  if (found == obeyed_.end()) return;
  Obeyed& obeyed = over_.emplace_back(std::move(found->second));
  obeyed_.erase(found);
  obeyed.ending = ending;
  remarks_.push_back(reason_of(obeyed.stop) + ": " + obeyed.ending);
  wants_seal_ = true;
}

// Over when all have come, or will not; a stop or a pause takes its place at once.
void Stop::watch_rehearsal(const Brake& brake) {
  for (auto& [hash, rehearsal] : obeyed_) {
    if (rehearsal.action() != Action::rehearse) continue;
    const int64_t now = clock_.monotonic_ns();
    std::string ending;
    if (leading() != &rehearsal) {
      ending = "interrupted";
    } else if (rehearsal.quiet_ns != 0 && now - rehearsal.quiet_ns >= kRehearsalHoldNs) {
      // Without a rank nothing was shown.
      const bool agreed = brake.decision().how == "agreed" && !brake.last_steps().empty();
      ending = agreed ? "rehearsed" : "not agreed";
    } else if (rehearsal.quiet_ns == 0 && now - rehearsal.began_ns >= brake.quiet_ns()) {
      ending = "not quiet in time";
    } else {
      return;
    }
    rehearsal.decision = brake.decision();
    rehearsal.last_steps = brake.last_steps();
    Json body = brake.ledger_body();
    body.set("order", sign::to_hex(rehearsal.stop.order));
    body.set("pin", rehearsal.stop.authority);
    body.set("ending", ending);
    body.set("quiet_after_ns",
             OpCount(rehearsal.quiet_ns == 0
                         ? 0
                         : static_cast<uint64_t>(rehearsal.quiet_ns - rehearsal.began_ns)));
    lines_.push_back({"rehearsal", std::move(body)});
    const sign::Digest order = rehearsal.stop.order;
    ended_.insert(order);
    return end(order, ending);
  }
}

// By weight. Of those that end ranks the one that came first; of others the one with the lowest
// hash, so that all nodes come to wait for the same.
const Stop::Obeyed* Stop::leading() const {
  const Obeyed* first = nullptr;
  for (const auto& [hash, obeyed] : obeyed_) {
    if (first == nullptr || obeyed.stop.weight() < first->stop.weight()) first = &obeyed;
    const bool both_end = first->stop.weight() == 0 && obeyed.stop.weight() == 0;
    if (both_end && obeyed.verified_unix_ns < first->verified_unix_ns) first = &obeyed;
  }
  return first;
}

bool Stop::stopping() const {
  const Obeyed* first = leading();
  return first != nullptr && first->action() == Action::stop && !first->stop.waits();
}

Status Stop::stopped() const {
  const Obeyed* first = leading();
  if (first == nullptr || first->action() != Action::stop) return Status();
  return first->stop.waits() ? pause_ : permission_;
}

std::optional<Braking> Stop::wanted() const {
  const Obeyed* first = leading();
  if (first == nullptr) return std::nullopt;
  Braking braking;
  braking.reason = reason_of(first->stop);
  braking.rehearses = first->action() == Action::rehearse;
  braking.waits = braking.rehearses || first->stop.waits();
  if (braking.waits) braking.about = braking.reason.substr(0, braking.reason.find(':'));
  if (braking.rehearses) return braking;  // by no order that a rank would have to obey
  braking.order = first->stop.order;
  braking.shuts_gate = true;
  if (first->action() == Action::pause) return braking;
  braking.ends = true;
  if (!braking.waits) braking.savers = savers();
  for (const auto& [hash, obeyed] : obeyed_) {
    const int64_t asked = obeyed.stop.quiet_seconds;
    if (obeyed.action() != Action::stop || asked <= 0) continue;
    const int64_t least = braking.quiet_seconds;
    braking.quiet_seconds = least == 0 ? asked : std::min(least, asked);
  }
  return braking;
}

// Also of an order that comes when all are at rest already.
void Stop::note_quiet(const Brake& brake) {
  const Obeyed* first = leading();
  if (first == nullptr) return;
  const int weight = first->stop.weight();
  Json orders = Json::array();
  for (auto& [hash, obeyed] : obeyed_) {
    if (obeyed.stop.weight() != weight || obeyed.quiet_unix_ns != 0) continue;
    obeyed.quiet_unix_ns = clock_.unix_ns();
    obeyed.quiet_ns = clock_.monotonic_ns();
    obeyed.decision = brake.decision();
    obeyed.last_steps = brake.last_steps();
    orders.push(sign::to_hex(hash));
  }
  if (orders.items().empty()) return;
  remarks_.push_back((weight == 0 ? "quiet (" : "waiting (") + std::string(brake.decision().how) +
                     "): " + brake.spoken());
  if (first->action() == Action::rehearse) return;
  Json body = brake.ledger_body();
  body.set("orders", orders);
  lines_.push_back({"quiet", body});
  wants_seal_ = true;
}

std::vector<EventLine> Stop::take_lines() { return std::exchange(lines_, {}); }
std::vector<std::string> Stop::take_remarks() { return std::exchange(remarks_, {}); }

}  // namespace account::keeper
