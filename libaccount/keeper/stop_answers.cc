// What a stop tells: receipts to its authority, envelopes to the other nodes, and to the ranks who
// could open what they save.
#include <algorithm>
#include <utility>

#include "keeper/stop.h"

namespace account::keeper {

using order::Action;
using order::StandingStop;

order::Receipt Stop::receipt_of(const Obeyed& obeyed, const Brake& brake) const {
  order::Receipt receipt;
  receipt.order = obeyed.stop.order;
  receipt.authority = obeyed.stop.authority;
  receipt.run = options_.job.run;
  receipt.node = options_.node;
  // A rehearsal is at rest once it is over.
  const bool resting = obeyed.quiet_unix_ns != 0 && obeyed.action() != Action::rehearse;
  receipt.state = !obeyed.ending.empty() ? obeyed.ending
                  : !resting             ? "stopping"
                  : obeyed.stop.waits()  ? "waiting"
                                         : "quiet";
  const bool known = obeyed.quiet_unix_ns != 0 || !obeyed.ending.empty();
  const Decision& decision = known ? obeyed.decision : brake.decision();
  receipt.how = decision.how;
  receipt.stop_edge = decision.stop_edge;
  receipt.verified_unix_ns = obeyed.verified_unix_ns;
  receipt.latched_unix_ns = obeyed.latched_unix_ns;
  receipt.quiet_unix_ns = obeyed.quiet_unix_ns;
  receipt.quiet_by_unix_ns = obeyed.verified_unix_ns + brake.quiet_ns();
  receipt.job = options_.job;
  for (const auto& [rank, last] : known ? obeyed.last_steps : brake.last_steps()) {
    receipt.ranks.push_back({rank, last.state, last.step});
  }
  return receipt;
}

// A receipt, and what its order says.
Json Stop::summary_of(const StandingStop& stop, const order::Receipt& receipt) const {
  Json summary = order::to_json(receipt);
  summary.set("format", "account-stop/1");
  summary.set("action", order::name(stop.action()));
  summary.set("because", stop.because);
  summary.set("ends_with", stop.action() == Action::pause ? "resume" : "lift");
  const bool ends = !stop.waits() || receipt.state == "refused";
  if (ends) summary.set("exit_code", kShutdownExitCode);
  if (!stop.known) return summary;
  const order::Order& order = stop.known->order;
  if (order.action == Action::stop) summary.set("grace", order::name(order.grace));
  summary.set("reason", order.reason);
  summary.set("ordered_by", order.ordered_by);
  summary.set("clause", order.clause);
  return summary;
}

// Of what holds the job, else of what held it last, else of what stands against this start.
Json Stop::summarise(const Brake& brake) const {
  const Obeyed* obeyed = leading();
  if (obeyed == nullptr && !over_.empty()) obeyed = &over_.back();
  if (obeyed != nullptr && obeyed->action() != Action::rehearse) {
    return summary_of(obeyed->stop, receipt_of(*obeyed, brake));
  }
  const auto first = std::ranges::min_element(standing_, {}, &StandingStop::weight);
  if (obeyed != nullptr || first == standing_.end()) return {};
  order::Receipt refused;
  refused.order = first->order;
  refused.authority = first->authority;
  refused.run = options_.job.run;
  refused.node = options_.node;
  refused.state = "refused";
  return summary_of(*first, refused);
}

// The seal that holds the order is on disk: only now may the order be acknowledged.
void Stop::latched(const Brake& brake) {
  wants_seal_ = false;
  summary_ = summarise(brake);
  std::vector<order::Receipt> receipts;
  for (auto& [hash, obeyed] : obeyed_) {
    if (obeyed.latched_unix_ns == 0) obeyed.latched_unix_ns = clock_.unix_ns();
    receipts.push_back(receipt_of(obeyed, brake));
  }
  for (const Obeyed& obeyed : over_) receipts.push_back(receipt_of(obeyed, brake));
  over_.clear();
  for (const order::Receipt& receipt : receipts) {
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
  for (const auto& [hash, obeyed] : obeyed_) {
    if (!obeyed.stop.known) continue;
    bytes += obeyed.stop.known->envelope.size();
    // The vote must fit into one blob; a peer that is not told finds the order in its authority.
    if (bytes > Exchange::kMaxBlobBytes / 2) break;
    envelopes.push_back(obeyed.stop.known->envelope);
  }
  return envelopes;
}

std::vector<std::string> Stop::lifts() const {
  std::vector<std::string> envelopes;
  size_t bytes = 0;
  for (auto lift = lifts_.rbegin(); lift != lifts_.rend(); ++lift) {
    bytes += lift->size();
    if (bytes > Exchange::kMaxBlobBytes / 4) break;
    envelopes.push_back(*lift);
  }
  return envelopes;
}

std::optional<gate::Recovery> Stop::take_recovery() {
  if (!std::exchange(read_anew_, false)) return std::nullopt;
  gate::Recovery recovery;
  for (const Authorities::One& one : authorities_.all()) {
    const std::optional<order::Role>& role = one.orders.chain.newest().recovery;
    recovery.authorities.push_back(
        {one.orders.chain.pin(), role ? role->keys : std::vector<sign::PublicKey>()});
  }
  return recovery;
}

// Nobody where one of the stops lets nothing be saved, or its authority names no recovery key.
uint32_t Stop::savers() const {
  const auto& all = authorities_.all();
  uint32_t savers = 0;
  for (const auto& [hash, obeyed] : obeyed_) {
    if (obeyed.action() != Action::stop || obeyed.stop.waits()) continue;
    // A stop of which only a trace is left says nothing that could be heeded.
    if (!obeyed.stop.known || obeyed.stop.known->order.grace != order::Grace::save) return 0;
    const std::string& pin = obeyed.stop.authority;
    const auto one = std::find_if(
        all.begin(), all.end(),
        [&pin](const Authorities::One& authority) { return authority.orders.chain.pin() == pin; });
    const auto place = one - all.begin();
    constexpr int64_t kPlaces = 31;  // bits of the gate word behind its first
    if (one == all.end() || place >= kPlaces || !one->orders.chain.newest().recovery) return 0;
    savers |= uint32_t{1} << place;
  }
  return savers;
}

}  // namespace account::keeper
