// Standing: which stops and pauses hold a job, from all that is known of them.
// docs/stop_protocol.md.
//
// Standing = orders seen in any trace, less those that a valid lift in hand names; a trace whose
// order is missing stands, as a stop. A pure function over plain data: no file, clock, process or
// thread, so that it can be asked at a start, while a job runs, and by an auditor years later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "order/order.h"
#include "order/root.h"
#include "order/traits.h"
#include "sign/sign.h"

namespace account::order {

// A lift's `issued` may be this far ahead of the clock that judges it.
inline constexpr int64_t kClockSkewSeconds = 600;

// An envelope, and where it was found. Untrusted.
struct Found {
  std::string place;  // "orders/1f..e0.json", "node 1f00ba5e"
  std::string bytes;
};

struct AuthorityOrders {
  RootChain chain;
  std::vector<Found> found;     // in its directory, or handed over by another node
  std::vector<Found> accepted;  // lifts that this run's ledger says were accepted: their windows
                                // and numbers were judged then, their signatures are judged again
};

// Evidence that a stop was obeyed before. What the library itself wrote (ledger, tally) stands by
// itself; a receipt, which anybody may write, only says which jobs a stop that verifies was about.
struct Trace {
  enum class Kind { own, receipt };
  sign::Digest order{};
  std::string authority;         // pin of its first root; empty where the place did not say
  std::string place;             // "ledger", "tally", "receipt of run r7, node 1f00ba5e"
  std::optional<Traits> frozen;  // what the job then knew of itself; nothing: this very job
  Kind kind = Kind::own;
};

struct StandingInput {
  std::vector<AuthorityOrders> authorities;
  std::vector<Trace> traces;
  Traits job;
  int64_t now_unix = 0;          // the wall clock
  int64_t latest_seen_unix = 0;  // the latest time in the ledger: a clock set back lifts nothing
};

// A stop or a pause that stands, or a rehearsal that is due.
struct StandingStop {
  sign::Digest order{};
  std::string authority;          // pin
  std::optional<Verified> known;  // nothing: only traces of it are left
  Action action() const { return known ? known->order.action : Action::stop; }
  // Whether ranks wait for its end at the edge: a pause, or a stop that holds.
  bool waits() const { return known && known->order.waits(); }
  // The lower goes first: a stop, one that holds, a pause, a rehearsal.
  int weight() const {
    return action() == Action::stop ? (waits() ? 1 : 0) : action() == Action::pause ? 2 : 3;
  }
  bool in_scope = false;
  std::string because;        // "all jobs", "shares model acme/chat-7b with the stopped job"
  int64_t quiet_seconds = 0;  // capped by the root; 0: the job's own rule
  std::vector<std::string> places;
};

struct Lifted {
  sign::Digest order{};
  sign::Digest by{};    // the lift
  bool waited = false;  // StandingStop::waits()
};

struct Refused {
  std::string place;
  Status why;
};
Json to_json(const Refused& refused);  // the ledger's `order_refused`

struct Standing {
  std::vector<StandingStop> stops;       // stops and pauses that stand, in scope or not; by hash
  std::vector<StandingStop> rehearsals;  // due now and in scope, by hash
  std::vector<Lifted> lifted;            // that would stand, were it not for a lift
  std::vector<Verified> newly_accepted;  // lifts to be recorded before anything builds on them
  std::vector<Refused> refused;

  // In scope: the first stop, else the first stop that holds, else the first pause; nullptr where
  // the job may train.
  const StandingStop* holding() const;
  // ok, or shutdown_ordered with order, reason and who ordered it.
  Status permission() const;
};
// shutdown_ordered, as a start is told that `stop` stands against.
Status refusal_of(const StandingStop& stop);

// At a start: may this job train?
Standing judge_standing(const StandingInput& input);

// While it trains: which orders must it obey? A lift permits a restart after a stop, so lifts are
// judged (and refused where they are bad) but lift only what ranks wait for: that ends here and
// now, and the lift that ended it is newly accepted. `settled` are the orders that were lifted when
// this start was permitted.
Standing judge_running(const StandingInput& input, const std::vector<sign::Digest>& settled);

}  // namespace account::order
