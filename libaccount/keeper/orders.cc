// Keeper: orders. Opens the authorities before any rank is accepted, and gives Stop its turns.
#include <algorithm>

#include "count/transcript.h"
#include "keeper/keeper.h"

namespace account::keeper {

// The lines of all of the run's nodes: a stop that another node latched stands here as well.
Status Keeper::open_authorities() {
  if (options_.authorities.empty()) return Status();
  std::vector<Json> events;
  const auto report =
      ledger::verify(world_.files, options_.place.run_folder(), std::nullopt, &count::recount);
  if (!report.ok()) return report.status();
  for (const ledger::NodeReport& node : report->nodes) {
    events.insert(events.end(), node.events.begin(), node.events.end());
  }
  StopOptions options;
  options.authorities = options_.authorities;
  options.job = options_.job;
  options.job.run = options_.place.run;
  options.job.directory = options_.place.run_folder();
  if (options.job.model.empty()) options.job.model = options_.model;
  options.node = options_.place.node;
  ACCOUNT_ASSIGN_OR_RETURN(stop_, Stop::open(world_.files, world_.clock, options, events));
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
