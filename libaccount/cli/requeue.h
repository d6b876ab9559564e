// Slurm's requeueing of a job that an order has stopped: turned off, by `scontrol` beside the
// keeper. Slurm, the site and Lightning start again what fails; what a stop has ended gets no
// further than the start, and would be refused there again and again.
//
// Never blocks but in finish(), for at most kPatienceNs. What fails is a note in the ledger, and a
// line on stderr. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "keeper/keeper.h"
#include "run/settings.h"

namespace account::cli {

class Requeue {
 public:
  // A scontrol that takes longer (its controller is gone) is ended.
  static constexpr int64_t kPatienceNs = 10'000'000'000;

  // By SLURM_JOB_ID, and for all nodes of the job by the first of them (SLURM_NODEID); elsewhere
  // nothing is done.
  Requeue(const Environment& environment, const Clock& clock);
  ~Requeue();
  Requeue(const Requeue&) = delete;
  Requeue& operator=(const Requeue&) = delete;

  // Call at each turn of the keeper.
  void turn(keeper::Keeper& keeper);
  // Before the ledger closes.
  void finish(keeper::Keeper& keeper);

 private:
  void start(keeper::Keeper& keeper);
  void look(keeper::Keeper& keeper);
  void failed(keeper::Keeper& keeper, const std::string& why);

  const Clock& clock_;
  std::string job_;  // empty: nothing to do (any more)
  pid_t pid_ = 0;
  int64_t began_ns_ = 0;
};

}  // namespace account::cli
