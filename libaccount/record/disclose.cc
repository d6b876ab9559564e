// Disclosure: what stands in a record's member `disclosed`.
#include "record/disclose.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ledger/format.h"

namespace account::record {
namespace {

constexpr std::string_view kNames[] = {"totals", "categories", "steps", "shapes"};
// A record is small: rows of shapes beyond these stay in the transcripts.
constexpr size_t kMaxRows = 2000;

Json step_json(const ledger::StepRun& run) {
  Json json = Json::array({Json(run.first), Json(run.count)});
  if (run.exact) return json.push(run.value);
  return json.push(run.sum).push(run.least).push(run.greatest);
}

Json steps_of(const std::vector<ledger::StepRun>& runs) {
  Json steps = Json::array();
  for (const ledger::StepRun& run : runs) steps.push(step_json(run));
  return steps;
}

Json steps_json(const ledger::Report& report) {
  Json ranks = Json::array();
  for (const ledger::Incarnation& incarnation : report.incarnations) {
    Json rank = Json::object({{"rank", incarnation.line.rank}});
    const auto& [operations, samples, tokens] = incarnation.steps;
    rank.set("steps", steps_of(operations));
    if (!samples.empty()) rank.set("step_samples", steps_of(samples));
    if (!tokens.empty()) rank.set("step_tokens", steps_of(tokens));
    ranks.push(std::move(rank));
  }
  return ranks;
}

// The distinct lines of all transcripts of a run.
Result<std::set<std::string>> rows_of(FileSystem& files, const std::string& run_folder) {
  std::set<std::string> rows;
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> nodes, files.list(run_folder));
  for (const std::string& node : nodes) {
    if (!node.starts_with(ledger::kNodePrefix)) continue;
    const std::string folder = join_path(join_path(run_folder, node), ledger::kTranscriptFolder);
    if (!files.exists(folder)) continue;
    ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
    for (const std::string& name : names) {
      ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes,
                               files.read(join_path(folder, name), ledger::kTranscriptCapBytes));
      for (size_t at = 0; at < bytes.size();) {
        const size_t end = std::min(bytes.find('\n', at), bytes.size());
        rows.insert(bytes.substr(at, end - at));
        at = end + 1;
      }
    }
  }
  return rows;
}

void set_rows(const std::set<std::string>& rows, Json& run) {
  const auto end =
      std::next(rows.begin(), static_cast<std::ptrdiff_t>(std::min(rows.size(), kMaxRows)));
  run.set("transcripts", Json::strings({rows.begin(), end}));
  run.set("rows_left_out", static_cast<uint64_t>(rows.size() - std::min(rows.size(), kMaxRows)));
}

}  // namespace

Result<Disclosure> disclosure_from_name(std::string_view word) {
  const auto found = std::find(std::begin(kNames), std::end(kNames), word);
  if (found != std::end(kNames)) return static_cast<Disclosure>(found - std::begin(kNames));
  return Status(Code::invalid_argument, fmt::format("--disclose: '{}' is no level", word),
                "say totals, categories, steps or shapes");
}

Status disclose(FileSystem& files, Disclosure level, Draft& draft) {
  if (level == Disclosure::totals) {
    for (Part& part : draft.record.parts) part.counters.clear();
  }
  if (level < Disclosure::steps) return Status();
  Json runs = Json::array();
  for (size_t i = 0; i < draft.chain.reports.size(); ++i) {
    const ledger::Report& report = draft.chain.reports[i];
    Json run = Json::object({{"run", report.run}, {"ranks", steps_json(report)}});
    if (level == Disclosure::shapes) {
      ACCOUNT_ASSIGN_OR_RETURN(const std::set<std::string> rows,
                               rows_of(files, draft.chain.reports[i].folder));
      run.set("by_op", Json::counts(report.totals.by_op));
      run.set("by_dtype", Json::counts(report.totals.by_dtype));
      set_rows(rows, run);
    }
    runs.push(std::move(run));
  }
  draft.record.disclosed =
      Json::object({{"level", kNames[static_cast<size_t>(level)]}, {"runs", std::move(runs)}});
  return Status();
}

}  // namespace account::record
