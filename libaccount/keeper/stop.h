// Stop: the keeper's side of an order, from the authority's directory to receipts. Asks
// order/standing.h what stands, and says what the ranks have to do; keeper/brake.h does it.
// docs/stop_protocol.md ties it to the checked model.
//
// It writes nothing itself: lines for the ledger are taken by the keeper, and what waits for them
// to be durable (the receipts) goes on in latched(). Not thread-safe; never blocks.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "keeper/authorities.h"
#include "keeper/brake.h"
#include "keeper/job_totals.h"
#include "order/standing.h"

namespace account::keeper {

struct StopOptions {
  std::vector<std::string> authorities;  // "PATH[#pin]"
  order::Traits job;
  std::string node;
};

class Stop {
 public:
  // Reads the authorities and what earlier sessions wrote (`events`: the ledger's lines), and
  // judges whether this job may start: permission(). Fails where that cannot be judged; nothing may
  // start then either.
  static Result<std::unique_ptr<Stop>> open(FileSystem& files, const Clock& clock,
                                            const StopOptions& options,
                                            const std::vector<Json>& events);

  // ok, or the stop that forbids this start; once an order is obeyed, that order.
  const Status& permission() const { return permission_; }

  // "PATH#pin" of those it obeys.
  std::vector<std::string> authorities() const;

  // Looks for orders, and for those that the other nodes obey.
  void turn(const JobTotals::View& view);

  // What the ranks have to do; nothing while no order is obeyed.
  std::optional<Braking> wanted() const;
  bool stopping() const { return !obeyed_.empty(); }
  void note_quiet(const Brake& brake);

  // What is to be written, and whether it has to be sealed at once; latched() once it was.
  std::vector<EventLine> take_lines();
  bool wants_seal() const { return wants_seal_; }
  void latched(const Brake& brake);

  // What people should read, once each.
  std::vector<std::string> take_remarks();
  // Of the orders that are obeyed, for the other nodes.
  std::vector<std::string> envelopes() const;

 private:
  Stop(const Clock& clock, StopOptions options, Authorities authorities);
  void remember(const std::vector<Json>& events);
  void judge_start();
  order::StandingInput input() const;
  void note_refused(const std::vector<order::Refused>& refused);
  void look_for_orders();
  void hear_peers(const JobTotals::View& view);
  void obey(const order::StandingStop& stop);

  const Clock& clock_;
  const StopOptions options_;
  Authorities authorities_;
  Status permission_;

  // Of earlier sessions.
  std::vector<order::Trace> traces_;
  std::map<std::string, std::vector<order::Found>> accepted_;  // lifts, by pin
  int64_t latest_seen_unix_ = 0;

  std::vector<sign::Digest> settled_;  // stops that were lifted when this start was permitted
  std::map<sign::Digest, order::StandingStop> obeyed_;
  sign::Digest first_{};  // of the obeyed
  int64_t verified_unix_ns_ = 0, latched_unix_ns_ = 0, quiet_unix_ns_ = 0;

  std::vector<EventLine> lines_;
  std::vector<std::string> remarks_;
  std::set<std::string> said_;
  bool wants_seal_ = false;
};

}  // namespace account::keeper
