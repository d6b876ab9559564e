// Brake: brings a node's ranks to one step edge, agreed on with the other nodes, to stop or to wait
// there, and ends those that will not come. Who wants it, and why, is keeper/stop.h for orders and
// keeper/limits.h for a job's own limits. docs/stop_protocol.md ties it to the checked model.
//
// Not thread-safe; never blocks. Must know neither authorities nor policies.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "keeper/job_totals.h"
#include "keeper/vote.h"
#include "keeper/watch.h"
#include "sign/sign.h"

namespace account::keeper {

inline constexpr int kShutdownExitCode = 86;  // of every process that a stop ended or refused

// A line for the ledger, of whoever brakes.
struct EventLine {
  std::string type;
  Json body;
};

struct Braking {
  sign::Digest order{};  // zeros: the job's own limit
  std::string reason;
  bool ends = false;        // those that have not come by the deadline are ended
  bool waits = false;       // ranks wait at the edge until released; else they stop
  bool shuts_gate = false;  // no more exports
  uint32_t savers = 0;      // bit i: ranks may save for the i-th authority's recovery keys
  bool rehearses = false;   // ends by itself, and gives way to everything else
  // Votes are counted together with those of nodes that brake for the same; empty: for an order.
  std::string about;
  int64_t quiet_seconds = 0;  // deadline; 0: by the length of the steps
};

class Brake {
 public:
  // So long without a vote, and each node brakes at its own edge. Without a deadline there is time
  // for a node whose keeper died to find another.
  static constexpr int64_t kVotePatienceNs = 2'000'000'000;
  static constexpr int64_t kLongVotePatienceNs = 60'000'000'000;
  // The keeper ends what does not stop so much before the deadline, that it is over by then.
  static constexpr int64_t kTermBeforeNs = 2'000'000'000, kKillBeforeNs = 1'000'000'000;

  // A process that has stopped training and still lives so long after all are quiet is ended too.
  static constexpr int64_t kEndAfterNs = 60'000'000'000;
  // One that writes its state is waited for, as long as it may and does not stand still for this
  // long.
  static constexpr int64_t kSaveStallNs = 900'000'000'000;

  enum class Phase { off, held, decided, quiet };
  struct LastStep {
    std::string state;  // "training", "waiting", "quiet", "ended"
    uint64_t step = 0;
  };

  explicit Brake(const Clock& clock) : clock_(clock) {}

  // `ranks` are the node's live and ended incarnations of the newest start.
  void apply(const Braking& wanted, const std::vector<Watch*>& ranks);
  void release(const std::vector<Watch*>& ranks);
  // The order by which a keeper before this one made ranks wait or shut their gate, zeros for a
  // limit or a rehearsal; nothing where it did neither.
  static std::optional<sign::Digest> left_waiting(const std::vector<Watch*>& ranks);
  // Moves on; true once all ranks have just become quiet.
  bool turn(const std::vector<Watch*>& ranks, const JobTotals::View& view);

  Phase phase() const { return phase_; }
  // On the monotonic clock; 0 while they are not.
  int64_t quiet_since_ns() const { return phase_ == Phase::quiet ? quiet_at_ns_ : 0; }
  const Decision& decision() const { return decision_; }
  // By rank. One that has left and been sealed is no longer watched, and still has its last step.
  const std::map<int, LastStep>& last_steps() const { return last_steps_; }
  // By when ranks should be quiet, from the beginning: as asked for, else by the length of steps.
  int64_t quiet_ns() const;
  // What the other nodes have to know; the envelopes are the caller's.
  std::optional<NodeStop> to_tell() const;
  std::vector<std::string> take_remarks() { return std::exchange(remarks_, {}); }

  // {"how", "stop_edge", "ranks"} for the ledger, and "rank 0 at step 5, 1 at step 5" for people.
  Json ledger_body() const;
  std::string spoken() const;

 private:
  void hold(const std::vector<Watch*>& ranks);
  void write_cause(tally::Control& control) const;
  void decide_edge(const std::vector<Watch*>& ranks, const JobTotals::View& view);
  void command(const std::vector<Watch*>& ranks);
  void enforce(const std::vector<Watch*>& ranks);
  void end_the_rest(const std::vector<Watch*>& ranks);
  int64_t resting_since(const Watch& watch);
  bool all_quiet(const std::vector<Watch*>& ranks);
  bool is_quiet(const Watch& watch) const;
  void watch_step_times(const std::vector<Watch*>& ranks);

  const Clock& clock_;
  Braking cause_;
  // The order that the pages name, by which ranks name what they save. Two stops may reach two
  // nodes in another order: then all name the lower one that was voted for.
  sign::Digest named_{};
  Phase phase_ = Phase::off;
  uint64_t vote_ = 0;
  Decision decision_;
  bool has_edge_ = false;  // `held` for the name alone: ranks wait at an edge that was agreed on
  int64_t held_ns_ = 0;    // since when votes are waited for
  int64_t began_ns_ = 0;   // since when the deadline runs
  int64_t quiet_at_ns_ = 0;
  struct Save {
    uint32_t word = 0;     // as last seen
    int64_t moved_ns = 0;  // when it last changed
    int64_t seen_ns = 0;   // when the rank was last waited for
  };
  std::map<std::string, Save> saves_;  // by page
  bool ends_the_rest_ = false;
  bool forced_ = false;
  std::map<int, LastStep> last_steps_;

  std::map<std::string, std::pair<uint64_t, int64_t>> last_edges_;  // by page: step, time
  std::deque<int64_t> step_times_ns_;                               // the last 20
  std::vector<std::string> remarks_;
};

}  // namespace account::keeper
