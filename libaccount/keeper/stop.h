// Stop: the keeper's side of an order, from the authority's directory to quiet ranks. Asks
// order/standing.h what stands, holds the ranks, agrees with the other keepers, and ends what will
// not stop. docs/stop_protocol.md ties it to the checked model.
//
// It writes nothing itself: lines for the ledger are taken by the keeper, and what waits for them
// to be durable (the receipts) goes on in latched(). Not thread-safe; never blocks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
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
#include "keeper/job_totals.h"
#include "keeper/vote.h"
#include "keeper/watch.h"
#include "order/standing.h"

namespace account::keeper {

struct StopOptions {
  std::vector<std::string> authorities;  // "PATH[#pin]"
  order::Traits job;
  std::string node;
};

class Stop {
 public:
  // Two seconds without a vote: each node stops at its own edge.
  static constexpr int64_t kVotePatienceNs = 2'000'000'000;
  // The keeper ends what does not stop so much before the deadline, that it is over by then.
  static constexpr int64_t kTermBeforeNs = 2'000'000'000, kKillBeforeNs = 1'000'000'000;

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

  // Looks for orders and moves a stop on. `ranks` are the node's live and ended incarnations of
  // this session, `view` what the other nodes said.
  void turn(const std::vector<Watch*>& ranks, const JobTotals::View& view);

  // What is to be written, and whether it has to be sealed at once; latched() once it was.
  struct Line {
    std::string type;
    Json body;
  };
  std::vector<Line> take_lines();
  bool wants_seal() const { return wants_seal_; }
  void latched();

  // What people should read, once each.
  std::vector<std::string> take_remarks();
  // What the other nodes have to know; nothing while no order is obeyed.
  std::optional<NodeStop> to_tell() const;
  bool stopping() const { return phase_ != Phase::none; }
  bool quiet() const { return phase_ == Phase::quiet; }

 private:
  enum class Phase { none, held, decided, quiet };

  Stop(const Clock& clock, StopOptions options, Authorities authorities);
  void remember(const std::vector<Json>& events);
  void judge_start();
  order::StandingInput input() const;
  void note_refused(const std::vector<order::Refused>& refused);
  void look_for_orders();
  void hear_peers(const JobTotals::View& view);
  void obey(const order::StandingStop& stop);
  void hold(const std::vector<Watch*>& ranks);
  void decide_edge(const std::vector<Watch*>& ranks, const JobTotals::View& view);
  void enforce(const std::vector<Watch*>& ranks);
  void look_whether_quiet(const std::vector<Watch*>& ranks);
  void declare_quiet();
  void watch_step_times(const std::vector<Watch*>& ranks);
  int64_t quiet_ns() const;

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
  Phase phase_ = Phase::none;
  uint64_t vote_ = 0;
  Decision decision_;
  int64_t verified_ns_ = 0, verified_unix_ns_ = 0, latched_unix_ns_ = 0, quiet_unix_ns_ = 0;
  bool forced_ = false;
  // By rank: one that has left and been sealed is no longer watched, and still has its last step.
  std::map<int, order::Receipt::Rank> last_ranks_;

  std::map<std::string, std::pair<uint64_t, int64_t>> last_edges_;  // by page: step, time
  std::deque<int64_t> step_times_ns_;                               // the last 20

  std::vector<Line> lines_;
  std::vector<std::string> remarks_;
  std::set<std::string> said_;
  bool wants_seal_ = false;
};

}  // namespace account::keeper
