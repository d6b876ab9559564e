// From order to quiet.
#include "keeper/stop.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace account::keeper {
namespace {

using order::StandingStop;
using tally::Command;
using tally::RankState;

constexpr int64_t kSecond = 1'000'000'000;
// design.md §4, the quiet clock: max(10 s, 3 x the slowest of the last 20 steps + 2 s).
constexpr int64_t kLeastQuietNs = 10 * kSecond;
constexpr size_t kStepTimes = 20;

RankState state_of(const Watch& watch) {
  return static_cast<RankState>(watch.page->layout().edge.state.load(std::memory_order_acquire));
}

bool is_quiet(const Watch& watch) {
  return !watch.ended.empty() || state_of(watch) == RankState::stopped;
}

void wake(tally::Control& control) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&control.command), FUTEX_WAKE, INT_MAX, nullptr,
          nullptr, 0);
}

void write_reason(tally::Control& control, std::string_view reason) {
  const size_t bytes = std::min(reason.size(), sizeof(control.reason) - 1);
  std::memcpy(control.reason, reason.data(), bytes);
  control.reason[bytes] = '\0';
}

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

void Stop::turn(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  watch_step_times(ranks);
  if (authorities_.due(clock_.monotonic_ns())) {
    authorities_.read();
    look_for_orders();
  }
  hear_peers(view);
  if (phase_ == Phase::none && !obeyed_.empty()) hold(ranks);
  if (phase_ == Phase::held) decide_edge(ranks, view);
  if (phase_ == Phase::held || phase_ == Phase::decided) {
    enforce(ranks);
    look_whether_quiet(ranks);
  }
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
  if (verified_ns_ == 0) {
    verified_ns_ = clock_.monotonic_ns();
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

void Stop::hold(const std::vector<Watch*>& ranks) {
  const StandingStop& first = obeyed_.begin()->second;
  for (Watch* watch : ranks) {
    tally::Control& control = watch->page->layout().control;
    std::memcpy(control.order, first.order.data(), first.order.size());
    write_reason(control, reason_of(first));
    control.gate.store(1, std::memory_order_release);
    control.command.store(static_cast<uint32_t>(Command::hold), std::memory_order_seq_cst);
  }
  // halt/edge.cc, Note: [edge and hold]
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::vector<RankEdge> edges;
  for (const Watch* watch : ranks) {
    const tally::Edge& edge = watch->page->layout().edge;
    edges.push_back({edge.steps_closed.load(), edge.next_edge.load(), !watch->ended.empty()});
  }
  vote_ = vote_of(edges);
  for (Watch* watch : ranks) watch->page->layout().control.stop_edge.store(vote_);
  phase_ = Phase::held;
}

void Stop::decide_edge(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  int world = 0;
  uint32_t start = 0;
  for (const Watch* watch : ranks) {
    world = std::max(world, watch->line.world_size);
    start = std::max(start, watch->line.restart_count);
  }
  std::vector<std::optional<uint64_t>> votes = {vote_};
  int covered = static_cast<int>(ranks.size());
  for (const NodeTotal& other : view.others) {
    if (!other.stop || other.stop->start != start || other.world_size != world) continue;
    votes.emplace_back(other.stop->vote);
    covered += static_cast<int>(other.ranks.size());
  }
  if (covered < world) {
    if (clock_.monotonic_ns() - verified_ns_ < kVotePatienceNs) return;
    votes.emplace_back(std::nullopt);
  }
  decision_ = decide(votes);
  for (Watch* watch : ranks) {
    tally::Control& control = watch->page->layout().control;
    control.stop_edge.store(decision_.stop_edge, std::memory_order_release);
    control.command.store(static_cast<uint32_t>(decision_.command), std::memory_order_seq_cst);
    wake(control);
  }
  phase_ = Phase::decided;
}

int64_t Stop::quiet_ns() const {
  int64_t ordered = 0;
  for (const auto& [hash, stop] : obeyed_) {
    if (stop.quiet_seconds <= 0) continue;
    const int64_t ns = stop.quiet_seconds * kSecond;
    ordered = ordered == 0 ? ns : std::min(ordered, ns);
  }
  if (ordered > 0) return ordered;
  const auto slowest = std::max_element(step_times_ns_.begin(), step_times_ns_.end());
  const int64_t slow = slowest == step_times_ns_.end() ? 0 : *slowest;
  return std::max(kLeastQuietNs, 3 * slow + 2 * kSecond);
}

void Stop::watch_step_times(const std::vector<Watch*>& ranks) {
  if (phase_ != Phase::none) return;
  for (const Watch* watch : ranks) {
    const tally::Edge& edge = watch->page->layout().edge;
    const uint64_t step = edge.steps_closed.load(std::memory_order_relaxed);
    const auto at = static_cast<int64_t>(edge.last_edge_ns.load(std::memory_order_relaxed));
    auto& [last_step, last_at] = last_edges_[watch->line.id];
    if (last_step > 0 && step > last_step && at > last_at) {
      step_times_ns_.push_back((at - last_at) / static_cast<int64_t>(step - last_step));
      if (step_times_ns_.size() > kStepTimes) step_times_ns_.pop_front();
    }
    last_step = step;
    last_at = at;
  }
}

// SIGCONT first: a process under SIGSTOP would not act on SIGTERM.
void Stop::enforce(const std::vector<Watch*>& ranks) {
  const int64_t left = verified_ns_ + quiet_ns() - clock_.monotonic_ns();
  if (left > kTermBeforeNs) return;
  bool forced = false;
  for (const Watch* watch : ranks) {
    if (is_quiet(*watch) || !watch->page->alive()) continue;
    const auto pid = static_cast<pid_t>(watch->header().pid);
    if (!forced_) {
      remarks_.push_back("rank " + std::to_string(watch->line.rank) +
                         " has not stopped; it is ended before the deadline");
    }
    ::kill(pid, SIGCONT);
    ::kill(pid, left > kKillBeforeNs ? SIGTERM : SIGKILL);
    forced = true;
  }
  // Only where somebody had to be ended: the receipt says "deadline" for no other reason.
  forced_ = forced_ || forced;
}

void Stop::look_whether_quiet(const std::vector<Watch*>& ranks) {
  if (phase_ != Phase::decided) return;
  bool all = true;
  for (const Watch* watch : ranks) {
    const bool quiet = is_quiet(*watch);
    all = all && quiet;
    last_ranks_[watch->line.rank] = {
        watch->line.rank, watch->ended.empty() ? (quiet ? "quiet" : "training") : "ended",
        watch->page->layout().edge.steps_closed.load()};
  }
  if (all) declare_quiet();
}

void Stop::declare_quiet() {
  phase_ = Phase::quiet;
  quiet_unix_ns_ = clock_.unix_ns();
  if (forced_) decision_.how = "deadline";
  Json rows = Json::array();
  std::string spoken;
  for (const auto& [number, rank] : last_ranks_) {
    rows.push(
        Json::object({{"rank", number}, {"state", rank.state}, {"last_step", rank.last_step}}));
    spoken += (spoken.empty() ? "" : ", ") + std::to_string(number) + " at step " +
              std::to_string(rank.last_step);
  }
  Json orders = Json::array();
  for (const auto& [hash, stop] : obeyed_) orders.push(sign::to_hex(hash));
  lines_.push_back({"quiet", Json::object({{"orders", orders},
                                           {"how", decision_.how},
                                           {"stop_edge", decision_.stop_edge},
                                           {"ranks", rows}})});
  remarks_.push_back("quiet (" + std::string(decision_.how) + "): rank " + spoken);
  wants_seal_ = true;
}

std::vector<Stop::Line> Stop::take_lines() { return std::exchange(lines_, {}); }
std::vector<std::string> Stop::take_remarks() { return std::exchange(remarks_, {}); }

// The seal that holds the order is on disk: only now may the order be acknowledged.
void Stop::latched() {
  wants_seal_ = false;
  if (obeyed_.empty()) return;
  if (latched_unix_ns_ == 0) latched_unix_ns_ = clock_.unix_ns();
  for (const auto& [hash, stop] : obeyed_) {
    order::Receipt receipt;
    receipt.order = hash;
    receipt.authority = stop.authority;
    receipt.run = options_.job.run;
    receipt.node = options_.node;
    receipt.state = phase_ == Phase::quiet ? "quiet" : "stopping";
    receipt.how = decision_.how;
    receipt.stop_edge = decision_.stop_edge;
    receipt.verified_unix_ns = verified_unix_ns_;
    receipt.latched_unix_ns = latched_unix_ns_;
    receipt.quiet_unix_ns = quiet_unix_ns_;
    receipt.job = options_.job;
    for (const auto& [number, rank] : last_ranks_) receipt.ranks.push_back(rank);
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

std::optional<NodeStop> Stop::to_tell() const {
  if (phase_ == Phase::none) return std::nullopt;
  NodeStop tell;
  tell.vote = vote_;
  size_t bytes = 0;
  for (const auto& [hash, stop] : obeyed_) {
    if (!stop.known) continue;
    bytes += stop.known->envelope.size();
    // The vote must fit into one blob; a peer that is not told finds the order in its authority.
    if (bytes > Exchange::kMaxBlobBytes / 2) break;
    tell.envelopes.push_back(stop.known->envelope);
  }
  return tell;
}

}  // namespace account::keeper
