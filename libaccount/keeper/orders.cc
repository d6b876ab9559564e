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

Status Keeper::open_authorities() {
  if (options_.authorities.empty()) return Status();
  ACCOUNT_ASSIGN_OR_RETURN(stop_, judge_start(world_.files, world_.clock, options_));
  status_.authorities = stop_->authorities();
  queue_stop_lines();
  // What permitted the start, or forbade it, is on disk before any rank hears of it.
  ACCOUNT_RETURN_IF_ERROR(try_seal(ledger::SealReason::order));
  stop_->latched();
  return stop_->permission();
}

void Keeper::queue_stop_lines() {
  for (Stop::Line& line : stop_->take_lines()) {
    later([line = std::move(line)](ledger::Writer& writer) { writer.event(line.type, line.body); });
  }
  for (const std::string& remark : stop_->take_remarks()) voice_.trouble(remark);
}

void Keeper::obey_orders() {
  // The ranks of the newest start; forked helpers close no steps and leave with their rank.
  std::vector<Watch*> ranks;
  for (auto& [path, watch] : watches_) {
    if (watch.is_child() || watch.ended == "finished") continue;
    const bool newest = watch.line.restart_count == generations_.rbegin()->first;
    if (newest) ranks.push_back(&watch);
  }
  const bool was_stopping = stop_->stopping();
  stop_->turn(ranks, totals_->view());
  if (stop_->stopping() && !was_stopping) {
    totals_->hurry();
    refresh_status();  // posts the vote
  }
  queue_stop_lines();
  // Agreement did not wait for this; only the acknowledgement does.
  if (stop_->wants_seal() && try_seal(ledger::SealReason::order).ok()) stop_->latched();
}

}  // namespace account::keeper
