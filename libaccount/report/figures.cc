// From reports and records to the figures that are drawn.
#include <algorithm>

#include "report/report.h"

namespace account::report {
namespace {

void add(Breakdown& by, const Breakdown& more) {
  for (const auto& [word, operations] : more) by[word] = saturating_add(by[word], operations);
}

// The steps of one start of a job: each rank's, added up by their number.
using Group = std::vector<const ledger::Incarnation*>;

std::vector<Group> groups_of(const Page& page) {
  std::vector<Group> groups;
  for (const ledger::Report& report : page.reports) {
    std::map<uint32_t, Group> restarts;
    for (const ledger::Incarnation& process : report.incarnations) {
      restarts[process.line.restart_count].push_back(&process);
    }
    for (auto& [number, group] : restarts) groups.push_back(std::move(group));
  }
  return groups;
}

// Steps are numbered from 1.
uint64_t before(const ledger::StepRun& run) { return run.first == 0 ? 0 : run.first - 1; }

uint64_t steps_in(const Group& group) {
  uint64_t steps = 0;
  for (const ledger::Incarnation* process : group) {
    for (const ledger::StepRun& run : process->steps.operations) {
      steps = std::max(steps, before(run) + run.count);
    }
  }
  return steps;
}

// Adds `each` for the steps [first, first + count) to the sums of the points they fall into.
void spread(uint64_t first, uint64_t count, double each, uint64_t steps,
            std::vector<double>& sums) {
  for (size_t point = first * sums.size() / steps; point < sums.size(); ++point) {
    const uint64_t begin = point * steps / sums.size(), end = (point + 1) * steps / sums.size();
    if (begin >= first + count) return;
    const uint64_t from = std::max(begin, first), to = std::min(end, first + count);
    if (to > from) sums[point] += each * static_cast<double>(to - from);
  }
}

}  // namespace

Breakdowns break_down(const Page& page) {
  Breakdowns all;
  for (const ledger::Report& report : page.reports) {
    add(all.category, report.totals.by_category);
    add(all.phase, report.totals.by_phase);
    add(all.dtype, report.totals.by_dtype);
    add(all.op, report.totals.by_op);
  }
  if (!page.reports.empty()) return all;
  for (const record::Part& part : page.record.parts) {
    for (const auto& [words, operations] : part.counters) {
      add(all.category, {{std::string(name(words.first)), operations}});
      add(all.phase, {{std::string(name(words.second)), operations}});
    }
  }
  return all;
}

Intake intake(const Page& page) {
  Intake all;
  OpCount trained;  // by the runs that say their tokens
  for (const ledger::Report& report : page.reports) {
    const Totals& totals = report.totals;
    all.processed = saturating_add(all.processed, totals.processed);
    if (totals.processed.tokens == 0) continue;
    for (const Category category : {Category::train, Category::unassigned}) {
      const auto found = totals.by_category.find(std::string(name(category)));
      if (found != totals.by_category.end()) trained = saturating_add(trained, found->second);
    }
  }
  if (all.processed.tokens > 0) {
    all.operations_per_token = OpCount::from_raw(trained.raw() / all.processed.tokens);
  }
  return all;
}

StepCurve step_curve(const Page& page) {
  StepCurve curve;
  const std::vector<Group> groups = groups_of(page);
  std::vector<uint64_t> offsets;
  for (const Group& group : groups) {
    offsets.push_back(curve.steps);
    curve.steps += steps_in(group);
  }
  if (curve.steps == 0) return curve;
  curve.means.assign(std::min(curve.steps, StepCurve::kMostPoints), 0);
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const ledger::Incarnation* process : groups[i]) {
      for (const ledger::StepRun& run : process->steps.operations) {
        const double each =
            run.exact ? run.value.to_double()
                      : run.sum.to_double() / static_cast<double>(std::max<uint64_t>(run.count, 1));
        spread(offsets[i] + before(run), run.count, each, curve.steps, curve.means);
      }
    }
  }
  for (size_t point = 0; point < curve.means.size(); ++point) {
    const uint64_t begin = point * curve.steps / curve.means.size();
    const uint64_t end = (point + 1) * curve.steps / curve.means.size();
    curve.means[point] /= static_cast<double>(std::max<uint64_t>(end - begin, 1));
  }
  return curve;
}

}  // namespace account::report
