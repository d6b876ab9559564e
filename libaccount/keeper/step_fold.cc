// Folding of step values.
#include "keeper/step_fold.h"

#include <algorithm>

namespace account::keeper {
namespace {

using ledger::StepRun;

// The same steps with less said about them.
StepRun summary(const StepRun& run) {
  if (!run.exact) return run;
  StepRun whole = run;
  whole.exact = false;
  whole.value = OpCount();
  whole.sum = saturating_multiply(run.value, run.count);
  whole.least = whole.greatest = run.value;
  return whole;
}

StepRun joined(const StepRun& a, const StepRun& b) {
  const StepRun left = summary(a), right = summary(b);
  StepRun both;
  both.exact = false;
  both.first = left.first;
  both.count = left.count + right.count;
  both.sum = saturating_add(left.sum, right.sum);
  both.least = std::min(left.least, right.least);
  both.greatest = std::max(left.greatest, right.greatest);
  return both;
}

}  // namespace

void StepFold::add(uint64_t number, OpCount value) {
  if (!runs_.empty()) {
    StepRun& last = runs_.back();
    if (last.exact && last.value == value && last.first + last.count == number) {
      ++last.count;
      return;
    }
  }
  StepRun run;
  run.first = number;
  run.count = 1;
  run.value = value;
  append(run);
}

void StepFold::add_missed(uint64_t first, uint64_t count, OpCount sum) {
  StepRun run;
  run.first = first;
  run.count = count;
  run.exact = false;
  run.sum = sum;
  run.greatest = sum;  // a step of these cost at least nothing and at most all of it
  append(run);
}

void StepFold::append(const StepRun& run) {
  const bool collapsed =
      runs_.size() == 1 && !runs_.front().exact && runs_.front().count > kMaxRuns;
  runs_.push_back(run);
  if (!collapsed && runs_.size() <= kMaxRuns) return;
  StepRun whole = runs_.front();
  for (size_t i = 1; i < runs_.size(); ++i) whole = joined(whole, runs_[i]);
  runs_.assign(1, whole);
}

}  // namespace account::keeper
