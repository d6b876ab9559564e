// StepFold: the operations of closed steps, or what they took in, folded into the runs that a
// ledger line carries.
//
// Training repeats itself: most steps cost exactly what the step before cost. So equal neighbours
// become one run, exact while at most kMaxRuns fit between two seals; beyond that, one run that
// keeps count, sum, least and greatest. Not thread-safe; allocation is bounded by kMaxRuns.
#pragma once

#include <cstdint>
#include <vector>

#include "account/op_count.h"
#include "ledger/ledger.h"

namespace account::keeper {

class StepFold {
 public:
  static constexpr size_t kMaxRuns = 64;  // design: "exact runs while at most 64 a seal"

  void add(uint64_t number, OpCount value);
  // Steps that are known by number and sum only: the page's ring had overrun.
  void add_missed(uint64_t first, uint64_t count, OpCount sum);

  const std::vector<ledger::StepRun>& runs() const { return runs_; }
  void clear() { runs_.clear(); }

 private:
  void append(const ledger::StepRun& run);

  std::vector<ledger::StepRun> runs_;
};

}  // namespace account::keeper
