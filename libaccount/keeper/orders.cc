// Keeper: orders. Opens the authorities before any rank is accepted, and gives Stop its turns.
#include <algorithm>
#include <chrono>
#include <thread>

#include "count/transcript.h"
#include "keeper/keeper.h"
#include "keeper/page_words.h"

namespace account::keeper {

namespace {

// How long a node that is just beginning may look like a damaged one.
constexpr auto kReadPatience = std::chrono::seconds(2);
constexpr auto kReadPause = std::chrono::milliseconds(100);

// What an authority's order or a limit did to this run on another node counts here as well. A job
// with neither reads its own node's ledger alone: each of its nodes would read those of all.
bool asks_all_nodes(const KeeperOptions& options) {
  if (!options.authorities.empty()) return true;
  return std::ranges::any_of(options.policies, [](const std::string& word) {
    const auto wish = parse_policy_wish(word);
    return wish.ok() && wish->limit.has_value();
  });
}

Result<std::vector<Json>> read_events(FileSystem& files, const KeeperOptions& options) {
  const std::string run = options.place.run_folder();
  const std::string folder =
      asks_all_nodes(options) ? run : join_path(run, "node-" + options.place.node);
  if (!files.exists(folder)) return std::vector<Json>();
  // A node that is just beginning looks like a damaged one for a moment; what stays damaged may
  // have held a stop, and permits nothing.
  const auto until = std::chrono::steady_clock::now() + kReadPatience;
  while (true) {
    ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report report,
                             ledger::verify(files, folder, std::nullopt, &count::recount));
    // Endorsements, anchors and runs that sealed nothing hold no orders.
    const auto problem = std::ranges::find_if(
        report.problems, [](const auto& one) { return one.place.starts_with("node-"); });
    if (problem == report.problems.end()) return ledger::events_of(report);
    if (std::chrono::steady_clock::now() >= until) {
      return Status(
          Code::corrupt,
          "what stands against this run cannot be told: " + problem->place + ": " + problem->fault,
          "see account verify " + run);
    }
    std::this_thread::sleep_for(kReadPause);
  }
}

Result<std::unique_ptr<Stop>> open_stop(FileSystem& files, const Clock& clock,
                                        const KeeperOptions& options,
                                        const std::vector<Json>& earlier) {
  if (options.authorities.empty()) return std::unique_ptr<Stop>();
  StopOptions asked;
  asked.authorities = options.authorities;
  asked.job = options.job;
  asked.job.run = options.place.run;
  asked.job.directory = options.place.run_folder();
  if (asked.job.model.empty()) asked.job.model = options.model;
  asked.node = options.place.node;
  return Stop::open(files, clock, asked, earlier);
}

// None where none is asked for.
std::unique_ptr<Leases> open_leases(const Clock& clock, const KeeperOptions& options,
                                    const std::vector<Json>& earlier, const Stop* stop) {
  if (!options.lease || stop == nullptr) return nullptr;
  auto leases = std::make_unique<Leases>(clock, earlier);
  leases->look(stop->sources(), stop->job());
  return leases;
}

}  // namespace

Status may_start(FileSystem& files, const Clock& clock, const KeeperOptions& options) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Json> earlier, read_events(files, options));
  ACCOUNT_ASSIGN_OR_RETURN(const auto stop, open_stop(files, clock, options, earlier));
  if (stop != nullptr) {
    ACCOUNT_RETURN_IF_ERROR(stop->permission());
    ACCOUNT_RETURN_IF_ERROR(stop->pause());
  }
  if (const auto leases = open_leases(clock, options, earlier, stop.get())) {
    ACCOUNT_RETURN_IF_ERROR(leases->permission());
  }
  Limits limits(files, clock, options.place.run_folder());
  limits.remember(earlier);
  return limits.permission();
}

// `earlier` is what this node's ledger holds, which was read already.
Status Keeper::judge_start(std::vector<Json> earlier) {
  // A host is about to start a command. Any other keeper may have come to ranks that train, or wait
  // at an edge: it stops or holds those, and refuses new ones one by one.
  const bool takes_up = !options_.hosted && ranks_train(world_.files, options_.place);
  if (asks_all_nodes(options_)) {
    auto all = read_events(world_.files, options_);
    if (!all.ok() && !takes_up) return all.status();
    if (all.ok()) earlier = std::move(all).value();
    if (!all.ok()) voice_.trouble(all.status().to_string());
  }
  ACCOUNT_ASSIGN_OR_RETURN(stop_, open_stop(world_.files, world_.clock, options_, earlier));
  if (stop_ != nullptr) status_.authorities = stop_->authorities();
  leases_ = open_leases(world_.clock, options_, earlier, stop_.get());
  if (leases_ != nullptr && !takes_up && !leases_->permission().ok()) {
    leases_->refuse_start(leases_->permission());
  }
  limits_.remember(earlier);
  queue_stop_lines();
  // What permitted the start, or forbade it, is on disk before any rank hears of it.
  if (!pending_.empty()) ACCOUNT_RETURN_IF_ERROR(try_seal(ledger::SealReason::order));
  if (stop_ != nullptr) stop_->latched(brake_);
  tell_stop();
  tell_recovery();
  if (!takes_up) return may_begin();
  if (stop_ != nullptr) stop_->obey_what_stands();
  return Status();
}

Status Keeper::may_begin() const {
  if (stop_ != nullptr) {
    ACCOUNT_RETURN_IF_ERROR(stop_->permission());
    ACCOUNT_RETURN_IF_ERROR(stop_->pause());
  }
  if (leases_ != nullptr) ACCOUNT_RETURN_IF_ERROR(leases_->permission());
  return limits_.permission();
}

// Refused are those that ask to start; the others are stopped, or held again.
Status Keeper::permission(const Watch& watch) const {
  const bool asks = acceptance(watch.page->layout()) == Acceptance::waiting;
  return asks ? may_begin() : Status();
}

Status Keeper::stopped() const {
  if (stop_ != nullptr) ACCOUNT_RETURN_IF_ERROR(stop_->stopped());
  if (leases_ != nullptr) ACCOUNT_RETURN_IF_ERROR(leases_->stopped());
  return limits_.stops() ? limits_.permission() : Status();
}

bool Keeper::stopping() const {
  return is_ended_by_order() || (leases_ != nullptr && !leases_->stopped().ok());
}

void Keeper::queue_stop_lines() {
  const auto take = [this](std::vector<EventLine> lines, const std::vector<std::string>& remarks) {
    for (EventLine& line : lines) {
      later(
          [line = std::move(line)](ledger::Writer& writer) { writer.event(line.type, line.body); });
    }
    for (const std::string& remark : remarks) voice_.trouble(remark);
  };
  if (stop_ != nullptr) take(stop_->take_lines(), stop_->take_remarks());
  const auto take_and_seal = [&](std::vector<EventLine> lines,
                                 const std::vector<std::string>& remarks) {
    if (!lines.empty()) want_seal(ledger::SealReason::order);
    take(std::move(lines), remarks);
  };
  if (leases_ != nullptr) take_and_seal(leases_->take_lines(), leases_->take_remarks());
  take_and_seal(limits_.take_lines(), limits_.take_remarks());
  take({}, brake_.take_remarks());
}

void Keeper::obey() {
  // The ranks of the newest start; forked helpers close no steps and leave with their rank.
  std::vector<Watch*> ranks;
  for (auto& [path, watch] : watches_) {
    if (watch.is_child() || watch.ended == "finished") continue;
    const bool newest = watch.line.restart_count == generations_.rbegin()->first;
    if (newest) ranks.push_back(&watch);
  }
  const std::shared_ptr<const JobTotals::View> view = totals_->view();
  if (stop_ != nullptr) stop_->turn(*view, brake_);
  if (leases_ != nullptr) {
    if (brake_.phase() == Brake::Phase::off) leases_->take_up(Brake::left_waiting(ranks));
    leases_->turn(stop_->sources(), stop_->job(), *view);
  }
  limits_.turn(*view);
  brake(ranks, *view);
  tell_recovery();
  queue_stop_lines();
  // Agreement did not wait for this; only the acknowledgement does.
  if (stop_ != nullptr && stop_->wants_seal() && try_seal(ledger::SealReason::order).ok()) {
    stop_->latched(brake_);
  }
  tell_stop();
}

// A stop goes before the end of a lease, that before a pause, a pause before a limit of the job's
// own, and that before a rehearsal.
void Keeper::brake(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  std::optional<Braking> wanted;
  if (stop_ != nullptr) wanted = stop_->wanted();
  bool ordered = wanted.has_value();
  const bool ended =
      leases_ != nullptr && (!ordered || wanted->waits) && leases_->wanted().has_value();
  if (ended) wanted = leases_->wanted(), ordered = false;
  if (!ended && (!ordered || wanted->rehearses)) {
    if (auto limit = limits_.wanted()) wanted = std::move(limit), ordered = false;
  }
  const bool braked = brake_.phase() != Brake::Phase::off;
  if (wanted) brake_.apply(*wanted, ranks);
  if (!wanted && (braked || may_go_on(ranks))) brake_.release(ranks);
  if (wanted.has_value() != braked) {
    totals_->hurry(wanted.has_value());
    refresh_status();  // posts the vote
  }
  const bool just_quiet = brake_.turn(ranks, view);
  if (ordered && brake_.phase() == Brake::Phase::quiet) stop_->note_quiet(brake_);
  if (ended && just_quiet) leases_->note_quiet(brake_);
  if (!ordered && !ended && just_quiet) limits_.note_quiet(brake_);
}

// At the beginning and when a root changes, never while a stop is obeyed: that waits for no disk.
// Where it cannot be written nothing is saved; it is tried at each reading.
void Keeper::tell_recovery() {
  if (stop_ == nullptr || stopping()) return;
  const auto recovery = stop_->take_recovery();
  if (!recovery) return;
  const std::string text = gate::write_recovery(*recovery);
  if (text == told_recovery_) return;
  constexpr int kMode = 0644;
  const Status told = world_.files.write_atomically(recovery_path(options_.place), text, kMode);
  if (told.ok()) told_recovery_ = text;
  if (!told.ok() && !std::exchange(recovery_fails_, true)) {
    voice_.trouble("no state can be saved by now: " + told.to_string());
  }
}

// For whoever looks at the job's folder, as a scheduler does; nobody misses it who reads the
// ledger.
void Keeper::tell_stop() {
  if (stop_ == nullptr) return;
  if (std::optional<Json> summary = stop_->take_summary()) order_summary_ = std::move(*summary);
  // A stop goes before the end of a lease, that before a pause.
  const bool lease = leases_ != nullptr && !stop_->stopping() &&
                     (order_summary_.is_null() || !leases_->stopped().ok());
  Json summary = lease ? leases_->summary() : order_summary_;
  if (lease && !summary.is_null()) summary.set("node", options_.place.node);
  const std::string text = summary.is_null() ? "" : summary.dump() + "\n";
  if (told_stop_ == text) return;
  told_stop_ = text;
  const std::string path = stop_path(options_.place);
  constexpr int kMode = 0644;
  Status told;
  if (!text.empty()) {
    told = world_.files.replace(path, text, kMode);
  } else if (world_.files.exists(path)) {
    told = world_.files.remove(path);  // it was about an earlier start
  }
  if (!told.ok()) voice_.trouble("stop.json is not up to date: " + told.to_string());
}

// Ranks that an earlier keeper made wait, for what ended before this one came.
bool Keeper::may_go_on(const std::vector<Watch*>& ranks) const {
  const auto order = Brake::left_waiting(ranks);
  if (!order) return false;
  return *order == sign::Digest{} || (stop_ != nullptr && stop_->has_ended(*order));
}

}  // namespace account::keeper
