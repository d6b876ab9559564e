// Totals of a run, and the bounds of what no ledger holds.
#include "ledger/sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "count/audit.h"

namespace account::ledger {
namespace {

// Nobody knows what a rank without a ledger ran on, so it is taken for one accelerator: 10^16
// operations a second is above the dense peak of any on sale (design: bounds of gaps).
constexpr uint64_t kUnknownDeviceRate = 10'000'000'000'000'000;
constexpr int64_t kSecondNs = 1'000'000'000;

void add(OpCount& sum, OpCount count) { sum = saturating_add(sum, count); }

void add_rows(const std::vector<CountRow>& rows, Totals& totals) {
  for (const CountRow& row : rows) {
    const OpCount executed = row.figures.executed;
    add(totals.executed, executed);
    add(totals.model, row.figures.model);
    add(totals.lower, row.figures.lower);
    totals.calls += std::min(row.calls, UINT64_MAX - totals.calls);
    add(totals.by_op[row.op], executed);
    add(totals.by_phase[std::string(name(row.phase))], executed);
    add(totals.by_dtype[std::string(name(row.dtype))], executed);
    add(totals.by_category[std::string(name(row.category))], executed);
  }
}

// A job's steps are those of its busiest rank; a rank's are the sum over its process starts.
uint64_t steps_of(const std::vector<Incarnation>& incarnations) {
  std::map<int, uint64_t> by_rank;
  for (const Incarnation& incarnation : incarnations) {
    by_rank[incarnation.line.rank] += incarnation.steps_closed;
  }
  uint64_t most = 0;
  for (const auto& [rank, steps] : by_rank) most = std::max(most, steps);
  return most;
}

std::string text_of(const Json& json, std::string_view member) {
  const Json* found = json.find(member);
  if (found == nullptr) return "";
  return found->kind() == Json::Kind::string ? found->as_string() : found->dump();
}

void add_gaps(const std::string& label, const std::vector<Json>& gaps, Report& report) {
  for (const Json& gap : gaps) {
    std::string sentence = fmt::format("{}: {}", label, text_of(gap, "kind"));
    const std::string detail = text_of(gap, "detail");
    if (!detail.empty()) sentence += ": " + detail;
    const auto bound = gap.get_op_count("bound_operations");
    if (bound.ok()) {
      add(report.totals.upper, *bound);
      sentence += fmt::format(" (at most {} operations, in the upper figure)", bound->to_short());
    }
    report.gaps.push_back(std::move(sentence));
  }
}

// A rank tells cumulative numbers: the last word of each process start holds, for each op and
// reason, and the process starts add up.
void add_uncounted(const std::vector<Json>& events, Totals& totals) {
  struct Said {
    int64_t calls = 0;
    OpCount bound;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Said> said;
  for (const Json& event : events) {
    if (text_of(event, "kind") != "uncounted" || text_of(event, "op").empty()) continue;
    Said& last =
        said[{text_of(event, "op"), text_of(event, "reason"), text_of(event, "incarnation")}];
    const auto calls = event.get_integer("calls");
    const auto bound = event.get_op_count("bound_operations");
    if (calls.ok()) last.calls = std::max(last.calls, *calls);
    if (bound.ok()) last.bound = std::max(last.bound, *bound);
  }
  for (const auto& [key, last] : said) {
    const auto& [op, reason, incarnation] = key;
    auto known = std::find_if(totals.uncounted.begin(), totals.uncounted.end(),
                              [&op = op, &reason = reason](const Uncounted& u) {
                                return u.op == op && u.reason == reason;
                              });
    if (known == totals.uncounted.end()) {
      known = totals.uncounted.insert(known, Uncounted{op, 0, reason, OpCount()});
    }
    known->calls += static_cast<uint64_t>(last.calls);
    add(known->bound, last.bound);
    add(totals.upper, last.bound);
  }
}

// The bounds of ops without a formula, by the worst of all audited steps.
void add_audits(Report& report) {
  std::vector<count::AuditedStep> steps;
  for (const NodeReport& node : report.nodes) {
    for (const Json& event : node.events) {
      if (text_of(event, "kind") != "audit") continue;
      const auto executed = event.get_op_count("executed");
      const auto estimate = event.get_op_count("estimate");
      const auto bound = event.get_op_count("bound_operations");
      if (executed.ok() && estimate.ok() && bound.ok()) {
        steps.push_back({*executed, *estimate, *bound});
      }
    }
  }
  report.audited_steps = steps.size();
  report.audit_bound = count::bound_by_audits(steps, report.totals.executed);
  add(report.totals.upper, report.audit_bound);
}

// The processes of one start of the job, on all nodes: torchrun counts its restarts.
struct Generation {
  std::set<int> ranks;
  int64_t world = 0;
  uint64_t bounded = 0;  // missing ranks that a keeper has noted, with their bound
  int64_t first_unix_ns = INT64_MAX, last_unix_ns = 0;
};

std::map<int64_t, Generation> generations_of(const std::vector<NodeRead>& reads) {
  std::map<int64_t, Generation> generations;
  for (const NodeRead& read : reads) {
    if (!read.replay) continue;
    for (const auto& [number, tracked] : read.replay->incarnations()) {
      Generation& generation = generations[tracked.line.restart_count];
      if (tracked.line.rank >= 0) generation.ranks.insert(tracked.line.rank);
      generation.world = std::max<int64_t>(generation.world, tracked.line.world_size);
      generation.first_unix_ns = std::min(generation.first_unix_ns, tracked.first_unix_ns);
      generation.last_unix_ns = std::max(generation.last_unix_ns, tracked.last_unix_ns);
    }
    for (const Json& gap : read.replay->gaps()) {
      const auto restart = gap.get_integer("restart_count");
      if (text_of(gap, "kind") == "missing_rank" && restart.ok()) ++generations[*restart].bounded;
    }
  }
  return generations;
}

// Ranks that others saw and that stand in no ledger given: another node's, or never counted.
void add_missing_ranks(const std::vector<NodeRead>& reads, Report& report) {
  for (const auto& [restart, generation] : generations_of(reads)) {
    const auto held = static_cast<int64_t>(generation.ranks.size() + generation.bounded);
    if (generation.world <= held || generation.ranks.empty()) continue;
    const auto missing = static_cast<uint64_t>(generation.world - held);
    const int64_t ns = std::max<int64_t>(generation.last_unix_ns - generation.first_unix_ns, 0);
    const auto seconds = static_cast<uint64_t>((ns + kSecondNs - 1) / kSecondNs);
    const OpCount bound =
        saturating_multiply(saturating_multiply(missing, seconds), OpCount(kUnknownDeviceRate));
    add(report.totals.upper, bound);
    report.gaps.push_back(fmt::format(
        "{} of {} ranks stand in no ledger given (start {}): at most {} operations in {} s at an "
        "assumed 10^16 a second, in the upper figure",
        missing, generation.world, restart, bound.to_short(), seconds));
  }
}

}  // namespace

std::vector<CountRow> last_rows(const Tracked& tracked) {
  std::vector<CountRow> rows = rows_of(tracked.full);
  for (CountRow row : rows_of(difference(tracked.rows, without_ops(tracked.full)))) {
    row.op = kUnattributed;
    rows.push_back(std::move(row));
  }
  return rows;
}

void sum_up(const std::vector<NodeRead>& reads, Report& report) {
  std::set<int> ranks;
  for (const Incarnation& incarnation : report.incarnations) {
    add_rows(incarnation.rows, report.totals);
    report.totals.processed = saturating_add(report.totals.processed, incarnation.processed);
    if (incarnation.line.rank >= 0) ranks.insert(incarnation.line.rank);
    if (incarnation.line.world_size > 0) {
      report.world_size =
          std::max(report.world_size, static_cast<uint64_t>(incarnation.line.world_size));
    }
  }
  report.ranks = ranks.size();
  report.totals.steps = steps_of(report.incarnations);
  report.totals.upper = report.totals.executed;
  for (const NodeReport& node : report.nodes) {
    add_gaps(node_folder_name(node.node), node.gaps, report);
    add_uncounted(node.events, report.totals);
  }
  add_audits(report);
  add_missing_ranks(reads, report);
}

}  // namespace account::ledger
