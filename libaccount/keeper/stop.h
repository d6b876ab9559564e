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
#include "gate/recovery.h"
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
  // judges whether this job may start: permission(), pause(). Fails where that cannot be judged;
  // nothing may start then either.
  static Result<std::unique_ptr<Stop>> open(FileSystem& files, const Clock& clock,
                                            const StopOptions& options,
                                            const std::vector<Json>& events);

  // ok, or the stop that forbids this start; once a stop is obeyed, that one.
  const Status& permission() const { return permission_; }
  // ok, or the pause under which nobody may start; those that train wait.
  const Status& pause() const { return pause_; }

  // "PATH#pin" of those it obeys.
  std::vector<std::string> authorities() const;

  // As they were read last, and what is known of the job.
  const Authorities& sources() const { return authorities_; }
  const order::Traits& job() const { return options_.job; }

  // A note of the ledger; of kind `loaded` it tells where the job's weights come from, which is
  // another name of it.
  void learn(const Json& note);

  // For a keeper that comes to ranks which train already: what stood against the start stops them.
  void obey_what_stands();
  // Looks for orders, and for those that the other nodes obey.
  void turn(const JobTotals::View& view, const Brake& brake);

  // What the ranks have to do; nothing while no order is obeyed.
  std::optional<Braking> wanted() const;
  bool stopping() const;
  // The stop that is obeyed, of whatever grace; ok where there is none.
  Status stopped() const;
  // While all ranks are at rest for what is wanted; may be said again and again.
  void note_quiet(const Brake& brake);
  // Whether ranks that this order made wait may go on: it was a pause, and is lifted.
  bool has_ended(const sign::Digest& order) const { return ended_.contains(order); }

  // What is to be written, and whether it has to be sealed at once; latched() once it was.
  std::vector<EventLine> take_lines();
  bool wants_seal() const { return wants_seal_; }
  void latched(const Brake& brake);

  // Who could open what ranks save, by authority; nothing before the roots were read anew.
  std::optional<gate::Recovery> take_recovery();

  // What a scheduler reads in the node's folder (stop.json), as of the last latched() or of this
  // start; null where no order is or was obeyed. Nothing where it has been taken already.
  std::optional<Json> take_summary() { return std::exchange(summary_, std::nullopt); }

  // What people should read, once each.
  std::vector<std::string> take_remarks();
  // For the other nodes: the orders that are obeyed, and what ended those that were.
  std::vector<std::string> envelopes() const;
  std::vector<std::string> lifts() const;

 private:
  // An order that is obeyed, and since when.
  struct Obeyed {
    order::StandingStop stop;
    int64_t verified_unix_ns = 0, latched_unix_ns = 0, quiet_unix_ns = 0;
    int64_t began_ns = 0, quiet_ns = 0;  // on the monotonic clock
    // What came of it, as of note_quiet() and of a rehearsal's end: the ranks go on after that.
    Decision decision;
    std::map<int, Brake::LastStep> last_steps;
    std::string ending;  // of one that is over: "resumed", "rehearsed", ...
    order::Action action() const { return stop.action(); }
  };

  Stop(const Clock& clock, StopOptions options, Authorities authorities);
  void remember(const std::vector<Json>& events);
  void judge_start();
  order::StandingInput input() const;
  void take(const order::Standing& standing);
  void note_refused(const std::vector<order::Refused>& refused);
  void accept(const order::Verified& lift);
  void look_for_orders();
  std::vector<order::Found> told_by(const JobTotals::View& view) const;
  void hear_peers(const JobTotals::View& view);
  void obey(const order::StandingStop& stop);
  void end(const sign::Digest& order, std::string_view ending);
  void watch_rehearsal(const Brake& brake);
  const Obeyed* leading() const;
  uint32_t savers() const;
  order::Receipt receipt_of(const Obeyed& obeyed, const Brake& brake) const;
  Json summary_of(const order::StandingStop& stop, const order::Receipt& receipt) const;
  Json summarise(const Brake& brake) const;

  const Clock& clock_;
  StopOptions options_;
  Authorities authorities_;
  Status permission_, pause_;

  // Of earlier sessions.
  std::vector<order::Trace> traces_;
  std::map<std::string, std::vector<order::Found>> accepted_;  // lifts, by pin
  std::map<std::string, std::vector<order::Found>> kept_;      // pauses, by pin
  int64_t latest_seen_unix_ = 0;
  bool learned_ = false;
  bool read_anew_ = true;

  std::vector<order::StandingStop> standing_;  // against the start
  std::vector<sign::Digest> settled_;          // lifted when this start was permitted
  std::map<sign::Digest, Obeyed> obeyed_;
  std::vector<Obeyed> over_;        // whose last receipt is not written yet
  std::set<sign::Digest> ended_;    // pauses that were lifted, rehearsals that were held
  std::vector<std::string> lifts_;  // envelopes of what ended pauses of this session

  std::vector<EventLine> lines_;
  std::vector<std::string> remarks_;
  std::set<std::string> said_;
  bool wants_seal_ = false;
  std::optional<Json> summary_;
};

}  // namespace account::keeper
