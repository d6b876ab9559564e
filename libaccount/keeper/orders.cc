// Keeper: orders. Opens the authorities before any rank is accepted, and gives Stop its turns.
#include <algorithm>

#include "count/transcript.h"
#include "keeper/keeper.h"

namespace account::keeper {

namespace {

Result<std::vector<Json>> events_of(FileSystem& files, const std::string& run_folder) {
  std::vector<Json> events;
  if (!files.exists(run_folder)) return events;
  ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report report,
                           ledger::verify(files, run_folder, std::nullopt, &count::recount));
  for (const ledger::NodeReport& node : report.nodes) {
    events.insert(events.end(), node.events.begin(), node.events.end());
  }
  return events;
}

}  // namespace

Result<std::unique_ptr<Stop>> judge_start(FileSystem& files, const Clock& clock,
                                          const KeeperOptions& options) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Json> events,
                           events_of(files, options.place.run_folder()));
  StopOptions asked;
  asked.authorities = options.authorities;
  asked.job = options.job;
  asked.job.run = options.place.run;
  asked.job.directory = options.place.run_folder();
  if (asked.job.model.empty()) asked.job.model = options.model;
  asked.node = options.place.node;
  return Stop::open(files, clock, asked, events);
}

Status judge_limits(FileSystem& files, const Clock& clock, const Place& place) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Json> events, events_of(files, place.run_folder()));
  Limits limits(files, clock, place.run_folder());
  limits.remember(events);
  return limits.permission();
}

Status Keeper::open_authorities() {
  if (!options_.authorities.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(stop_, judge_start(world_.files, world_.clock, options_));
    status_.authorities = stop_->authorities();
  }
  if (!judge_.limits().empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(events_, events_of(world_.files, options_.place.run_folder()));
  }
  limits_.remember(std::exchange(events_, {}));
  queue_stop_lines();
  if (stop_ == nullptr && pending_.empty()) return hosted_permission();
  // What permitted the start, or forbade it, is on disk before any rank hears of it.
  ACCOUNT_RETURN_IF_ERROR(try_seal(ledger::SealReason::order));
  if (stop_ == nullptr) return hosted_permission();
  stop_->latched(brake_);
  ACCOUNT_RETURN_IF_ERROR(stop_->permission());
  return hosted_permission();
}

// A host is about to start a command. Any other keeper may have come to ranks that wait already,
// and refuses new ones one by one.
Status Keeper::hosted_permission() const {
  return options_.hosted ? limits_.permission() : Status();
}

// Of a rank that asks to start.
Status Keeper::permission() const {
  if (stop_ != nullptr) ACCOUNT_RETURN_IF_ERROR(stop_->permission());
  return limits_.permission();
}

Status Keeper::stopped() const {
  if (stop_ != nullptr && stop_->stopping()) return stop_->permission();
  return limits_.stops() ? limits_.permission() : Status();
}

void Keeper::queue_stop_lines() {
  const auto write = [this](const std::string& type, Json body) {
    later([type, body = std::move(body)](ledger::Writer& writer) { writer.event(type, body); });
  };
  if (stop_ != nullptr) {
    for (Stop::Line& line : stop_->take_lines()) write(line.type, std::move(line.body));
    for (const std::string& remark : stop_->take_remarks()) voice_.trouble(remark);
  }
  for (auto& [type, body] : limits_.take_lines()) {
    write(type, std::move(body));
    want_seal(ledger::SealReason::order);
  }
  for (const std::string& remark : limits_.take_remarks()) voice_.trouble(remark);
  for (const std::string& remark : brake_.take_remarks()) voice_.trouble(remark);
}

void Keeper::obey() {
  // The ranks of the newest start; forked helpers close no steps and leave with their rank.
  std::vector<Watch*> ranks;
  for (auto& [path, watch] : watches_) {
    if (watch.is_child() || watch.ended == "finished") continue;
    const bool newest = watch.line.restart_count == generations_.rbegin()->first;
    if (newest) ranks.push_back(&watch);
  }
  const JobTotals::View view = totals_->view();
  if (stop_ != nullptr) stop_->turn(view);
  limits_.turn(view);
  brake(ranks, view);
  queue_stop_lines();
  // Agreement did not wait for this; only the acknowledgement does.
  if (stop_ != nullptr && stop_->wants_seal() && try_seal(ledger::SealReason::order).ok()) {
    stop_->latched(brake_);
  }
}

// An order goes before a limit of the job's own.
void Keeper::brake(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  std::optional<Braking> wanted;
  if (stop_ != nullptr) wanted = stop_->wanted();
  const bool ordered = wanted.has_value();
  if (!ordered) wanted = limits_.wanted();
  const bool braked = brake_.phase() != Brake::Phase::off;
  if (wanted) brake_.apply(*wanted, ranks);
  if (!wanted && braked) brake_.release(ranks);
  if (wanted.has_value() != braked) {
    totals_->hurry(wanted.has_value());
    refresh_status();  // posts the vote
  }
  if (!brake_.turn(ranks, view)) return;
  if (ordered) {
    stop_->note_quiet(brake_);
  } else {
    limits_.note_quiet(brake_);
  }
}

}  // namespace account::keeper
