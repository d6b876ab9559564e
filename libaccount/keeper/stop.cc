// From order to quiet.
#include "keeper/stop.h"

#include <algorithm>

namespace account::keeper {
namespace {

using order::StandingStop;
constexpr int64_t kSecond = 1'000'000'000;
std::string hex16(const sign::Digest& digest) { return sign::to_hex(digest).substr(0, 16); }

std::string reason_of(const StandingStop& stop) {
  std::string text = "stop " + hex16(stop.order);
  if (!stop.known) return text;
  const order::Order& order = stop.known->order;
  if (!order.ordered_by.empty()) text += " by " + order.ordered_by;
  return order.reason.empty() ? text : text + ": " + order.reason;
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
    const auto pin = event.get_string("pin");
    if (type == "order") {
      const auto hash = event.get_string("order");
      const auto digest =
          hash.ok() ? sign::digest_from_hex(*hash) : Result<sign::Digest>(hash.status());
      if (digest.ok()) {
        traces_.push_back(
            {*digest, pin.ok() ? *pin : "", "ledger", std::nullopt, order::Trace::Kind::own});
      }
    } else if (type == "lift") {
      const auto text = event.get_string("envelope");
      const auto envelope = text.ok() ? from_base64(*text) : Result<Bytes>(text.status());
      if (envelope.ok() && pin.ok()) accepted_[*pin].push_back({"ledger", *envelope});
    }
  }
}

order::StandingInput Stop::input() const {
  order::StandingInput input;
  for (const Authorities::One& one : authorities_.all()) {
    input.authorities.push_back(one.orders);
    const auto accepted = accepted_.find(one.orders.chain.pin());
    if (accepted != accepted_.end()) input.authorities.back().accepted = accepted->second;
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
  for (const order::Verified& lift : standing.newly_accepted) {
    // The chain that verified it is the one whose name it carries.
    for (const Authorities::One& one : authorities_.all()) {
      if (one.orders.chain.authority() != lift.order.authority) continue;
      lines_.push_back({"lift", Json::object({{"lift", lift.order.hash_hex()},
                                              {"pin", one.orders.chain.pin()},
                                              {"envelope", to_base64(lift.envelope)}})});
      accepted_[one.orders.chain.pin()].push_back({"ledger", lift.envelope});
    }
  }
  Json settled = Json::array();
  for (const order::Lifted& lifted : standing.lifted) {
    settled_.push_back(lifted.order);
    settled.push(sign::to_hex(lifted.order));
  }
  permission_ = standing.permission();
  if (permission_.ok()) {
    lines_.push_back({"start", Json::object({{"settled", settled}})});
  } else {
    lines_.push_back(
        {"start_refused", Json::object({{"order", sign::to_hex(standing.holding()->order)},
                                        {"because", standing.holding()->because}})});
  }
  wants_seal_ = true;
}

void Stop::note_refused(const std::vector<order::Refused>& refused) {
  for (const order::Refused& one : refused) {
    const std::string text = one.place + ": " + one.why.to_string();
    if (!said_.insert(text).second) continue;
    lines_.push_back({"order_refused", Json::object({{"place", one.place},
                                                     {"code", code_name(one.why.code())},
                                                     {"fault", one.why.fault()}})});
    remarks_.push_back("not obeyed: " + text);
  }
}

void Stop::turn(const JobTotals::View& view) {
  if (authorities_.due(clock_.monotonic_ns())) {
    authorities_.read();
    look_for_orders();
  }
  hear_peers(view);
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
  // Traces were judged when this start was permitted; a running job is stopped by orders.
  now.traces.clear();
  const order::Standing standing = order::judge_running(now, settled_);
  note_refused(standing.refused);
  for (const StandingStop& stop : standing.stops) {
    if (stop.in_scope) obey(stop);
  }
}

// A stop that another keeper obeys is joined, even if it was settled here: who stops first takes
// the others along. Its bytes are verified here like any other.
void Stop::hear_peers(const JobTotals::View& view) {
  order::StandingInput heard = input();
  heard.traces.clear();
  bool any = false;
  for (order::AuthorityOrders& authority : heard.authorities) {
    authority.found.clear();
    for (const NodeTotal& other : view.others) {
      if (!other.stop) continue;
      for (const std::string& envelope : other.stop->envelopes) {
        authority.found.push_back({"node " + other.node, envelope});
        any = true;
      }
    }
  }
  if (!any) return;
  for (const StandingStop& stop : order::judge_running(heard, {}).stops) {
    if (stop.in_scope) obey(stop);
  }
}

void Stop::obey(const StandingStop& stop) {
  if (!obeyed_.emplace(stop.order, stop).second) return;
  if (verified_unix_ns_ == 0) {
    first_ = stop.order;
    verified_unix_ns_ = clock_.unix_ns();
    permission_ = {Code::shutdown_ordered, reason_of(stop) + " (" + stop.because + ")",
                   "it ends with a lift that names it: account lift"};
  }
  Json body = Json::object({{"order", sign::to_hex(stop.order)},
                            {"pin", stop.authority},
                            {"because", stop.because},
                            {"job", order::to_json(options_.job)}});
  if (stop.known) {
    body.set("reason", stop.known->order.reason);
    body.set("ordered_by", stop.known->order.ordered_by);
    body.set("envelope", to_base64(stop.known->envelope));
  }
  lines_.push_back({"order", std::move(body)});
  remarks_.push_back(reason_of(stop) + " (" + stop.because + "): all ranks stop");
  wants_seal_ = true;
}

std::optional<Braking> Stop::wanted() const {
  if (obeyed_.empty()) return std::nullopt;
  Braking braking;
  braking.order = first_;
  braking.reason = reason_of(obeyed_.at(first_));
  braking.shuts_gate = braking.ends = true;
  for (const auto& [hash, stop] : obeyed_) {
    if (stop.quiet_seconds <= 0) continue;
    const int64_t least = braking.quiet_seconds;
    braking.quiet_seconds = least == 0 ? stop.quiet_seconds : std::min(least, stop.quiet_seconds);
  }
  return braking;
}

void Stop::note_quiet(const Brake& brake) {
  quiet_unix_ns_ = clock_.unix_ns();
  Json orders = Json::array();
  for (const auto& [hash, stop] : obeyed_) orders.push(sign::to_hex(hash));
  Json body = brake.ledger_body();
  body.set("orders", orders);
  lines_.push_back({"quiet", body});
  remarks_.push_back("quiet (" + std::string(brake.decision().how) + "): " + brake.spoken());
  wants_seal_ = true;
}

std::vector<EventLine> Stop::take_lines() { return std::exchange(lines_, {}); }
std::vector<std::string> Stop::take_remarks() { return std::exchange(remarks_, {}); }

// The seal that holds the order is on disk: only now may the order be acknowledged.
void Stop::latched(const Brake& brake) {
  wants_seal_ = false;
  if (obeyed_.empty()) return;
  if (latched_unix_ns_ == 0) latched_unix_ns_ = clock_.unix_ns();
  for (const auto& [hash, stop] : obeyed_) {
    order::Receipt receipt;
    receipt.order = hash;
    receipt.authority = stop.authority;
    receipt.run = options_.job.run;
    receipt.node = options_.node;
    receipt.state = quiet_unix_ns_ != 0 ? "quiet" : "stopping";
    receipt.how = brake.decision().how;
    receipt.stop_edge = brake.decision().stop_edge;
    receipt.verified_unix_ns = verified_unix_ns_;
    receipt.latched_unix_ns = latched_unix_ns_;
    receipt.quiet_unix_ns = quiet_unix_ns_;
    receipt.job = options_.job;
    for (const auto& [rank, last] : brake.last_steps()) {
      receipt.ranks.push_back({rank, last.state, last.step});
    }
    // Never a condition of the latch: an authority that cannot be written to has its receipts in
    // the ledger.
    if (Status put = authorities_.put_receipt(receipt);
        !put.ok() && said_.insert("receipt").second) {
      remarks_.push_back("no receipt could be left: " + put.to_string() + "; the ledger has it");
    }
  }
}

std::vector<std::string> Stop::authorities() const {
  std::vector<std::string> specs;
  for (const Authorities::One& one : authorities_.all()) {
    specs.push_back(one.directory.path() + "#" + one.orders.chain.pin());
  }
  return specs;
}

std::vector<std::string> Stop::envelopes() const {
  std::vector<std::string> envelopes;
  size_t bytes = 0;
  for (const auto& [hash, stop] : obeyed_) {
    if (!stop.known) continue;
    bytes += stop.known->envelope.size();
    // The vote must fit into one blob; a peer that is not told finds the order in its authority.
    if (bytes > Exchange::kMaxBlobBytes / 2) break;
    envelopes.push_back(stop.known->envelope);
  }
  return envelopes;
}

}  // namespace account::keeper
