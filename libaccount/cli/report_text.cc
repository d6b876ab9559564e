#include "cli/report_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "ledger/format.h"

namespace account::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// From when the last line covered was written to when the witness saw it; by two clocks.
int64_t late_seconds(const ledger::AnchorReport& anchor) {
  return anchor.unix_s - anchor.line_unix_ns / kSecond;
}

// How often the node's ledger was anchored: the longest time between two anchors, or between them
// and the ledger's first and last lines.
int64_t longest_gap_seconds(const ledger::Report& report, const ledger::NodeReport& node) {
  std::vector<int64_t> times = {node.first_unix_ns / kSecond};
  for (const ledger::AnchorReport& anchor : report.anchors) {
    if (anchor.node == node.node) times.push_back(anchor.unix_s);
  }
  times.push_back(node.last_unix_ns / kSecond);
  std::sort(times.begin(), times.end());
  int64_t longest = 0;
  for (size_t i = 1; i < times.size(); ++i) longest = std::max(longest, times[i] - times[i - 1]);
  return longest;
}

Json node_json(const ledger::NodeReport& node) {
  return Json::object({{"node", node.node},
                       {"lines", node.lines},
                       {"open_lines", node.open_lines},
                       {"open_bytes", node.open_bytes},
                       {"root", node.root_hex},
                       {"closed", node.closed},
                       {"transcripts", node.transcripts},
                       {"keys", Json::strings(node.keys)},
                       {"remarks", Json::strings(node.remarks)}});
}

Json incarnation_json(const ledger::Incarnation& incarnation) {
  OpCount executed;
  for (const auto& row : incarnation.rows) {
    executed = saturating_add(executed, row.figures.executed);
  }
  Json json = Json::object({{"id", incarnation.line.id},
                            {"node", incarnation.node},
                            {"rank", incarnation.line.rank},
                            {"world_size", incarnation.line.world_size},
                            {"steps", incarnation.steps_closed},
                            {"operations", executed},
                            {"ended", incarnation.ended}});
  ledger::set_processed(json, incarnation.processed);
  return json;
}

Json anchors_json(const ledger::Report& report) {
  Json anchors = Json::array();
  for (const ledger::AnchorReport& anchor : report.anchors) {
    anchors.push(Json::object({{"node", anchor.node},
                               {"lines", anchor.size},
                               {"witness", anchor.witness_id},
                               {"name", anchor.witness_name},
                               {"time", to_iso8601(anchor.unix_s * kSecond)},
                               {"late_seconds", late_seconds(anchor)},
                               {"asked", anchor.asked}}));
  }
  return anchors;
}

Json uncounted_json(const std::vector<Uncounted>& uncounted) {
  Json json = Json::array();
  for (const Uncounted& op : uncounted) {
    json.push(Json::object(
        {{"op", op.op}, {"calls", op.calls}, {"reason", op.reason}, {"bound", op.bound}}));
  }
  return json;
}

void put_breakdown(std::string_view title, const std::map<std::string, OpCount>& by) {
  for (const auto& [word, operations] : by) {
    put_line(fmt::format("  {:<9} {:<36} {:>28}", title, word, operations.to_decimal()));
    title = "";
  }
}

void put_node(const ledger::NodeReport& node) {
  put_line(fmt::format("node {}: {} lines, {}, {} transcripts, root {}", node.node, node.lines,
                       node.closed ? "closed" : "not closed", node.transcripts, node.root_hex));
  if (node.open_lines != 0 || node.open_bytes != 0) {
    put_line(fmt::format("  open: {} lines, {} bytes behind the last note, not counted",
                         node.open_lines, node.open_bytes));
  }
  for (const std::string& remark : node.remarks) put_line("  " + remark);
}

void put_anchors(const ledger::Report& report) {
  for (const ledger::NodeReport& node : report.nodes) {
    std::set<std::string> witnesses;
    uint64_t times = 0, covered = 0;
    int64_t latest = 0;
    for (const ledger::AnchorReport& anchor : report.anchors) {
      if (anchor.node != node.node) continue;
      ++times;
      covered = std::max(covered, anchor.size);
      latest = std::max(latest, late_seconds(anchor));
      witnesses.insert(
          fmt::format("'{}' ({})", anchor.witness_name, sign::short_id(anchor.witness_id)));
    }
    if (times == 0) continue;
    put_line(
        fmt::format("anchors of node {}: {} by {}, up to line {} of {}, at most {} s after the "
                    "line, the longest time without one {} s",
                    node.node, times, fmt::join(witnesses, ", "), covered, node.lines, latest,
                    longest_gap_seconds(report, node)));
  }
  for (const std::string& remark : report.remarks) put_line("note: " + remark);
}

void put_totals(const ledger::Report& report) {
  const Totals& totals = report.totals;
  put_line(
      fmt::format("operations {} ({})", totals.executed.to_decimal(), totals.executed.to_short()));
  put_line(fmt::format("  model {}, lower {}, upper {}; {} calls", totals.model.to_decimal(),
                       totals.lower.to_decimal(), totals.upper.to_decimal(), totals.calls));
  if (const std::string words = ledger::processed_text(totals.processed); !words.empty()) {
    put_line("  took in " + words);
  }
  if (report.audited_steps != 0) {
    put_line(fmt::format(
        "  without a formula (pointwise work, norms, optimizers): at most {} by the worst of {} "
        "audited steps, in the upper figure",
        report.audit_bound.to_short(), report.audited_steps));
  }
  put_breakdown("category", totals.by_category);
  put_breakdown("phase", totals.by_phase);
  put_breakdown("dtype", totals.by_dtype);
  put_breakdown("op", totals.by_op);
  for (const Uncounted& op : totals.uncounted) {
    put_line(fmt::format("  uncounted {}: {} calls, {}; at most {} operations, in the upper figure",
                         op.op, op.calls, op.reason, op.bound.to_short()));
  }
}

}  // namespace

Result<record::Trust> read_trust(const TrustWords& words) {
  record::Trust trust;
  if (words.key) {
    auto key = read_public_key(*words.key);
    if (!key.ok()) return key.status().with_context("--key");
    trust.developer = std::move(key).value();
  }
  for (const std::string& path : words.witnesses) {
    auto key = read_public_key(path);
    if (!key.ok()) return key.status().with_context("--witness");
    trust.witnesses.push_back(std::move(key).value());
  }
  return trust;
}

Result<ledger::Report> verify_run(const std::string& word, const TrustWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string path, find_run(word));
  ACCOUNT_ASSIGN_OR_RETURN(const record::Trust trust, read_trust(words));
  auto report = ledger::verify(FileSystem::real(), path, trust.developer, count::recount,
                               {.witnesses = trust.witnesses, .anchors = words.anchors});
  // A folder that is there and holds no ledger is evidence that is gone, not a word misspelt.
  if (!report.ok() && report.status().code() == Code::not_found) {
    return Status(Code::unverified, std::string(report.status().fault()),
                  std::string(report.status().next_step()));
  }
  return report;
}

Result<std::vector<ledger::Report>> verify_runs(const std::vector<std::string>& words,
                                                const TrustWords& trust) {
  std::vector<ledger::Report> reports;
  for (const std::string& word : words) {
    ACCOUNT_ASSIGN_OR_RETURN(ledger::Report report, verify_run(word, trust));
    if (!report.ok()) return first_problem(report).with_context(word);
    if (std::ranges::any_of(reports, [&](const auto& other) { return other.run == report.run; })) {
      return Status(Code::invalid_argument, fmt::format("run '{}' is given twice", report.run),
                    "give each run once");
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

Json to_json(const ledger::Report& report) {
  const Totals& totals = report.totals;
  Json problems = Json::array(), nodes = Json::array(), incarnations = Json::array();
  for (const auto& problem : report.problems) {
    problems.push(Json::object({{"place", problem.place}, {"fault", problem.fault}}));
  }
  for (const auto& node : report.nodes) nodes.push(node_json(node));
  for (const auto& incarnation : report.incarnations) {
    incarnations.push(incarnation_json(incarnation));
  }
  Json json = Json::object({{"ok", report.ok()},
                            {"trusted", report.trusted},
                            {"run", report.run},
                            {"operations", totals.executed},
                            {"model", totals.model},
                            {"lower", totals.lower},
                            {"upper", totals.upper},
                            {"audited_steps", report.audited_steps},
                            {"audit_bound", report.audit_bound},
                            {"calls", totals.calls},
                            {"ranks", report.ranks},
                            {"world_size", report.world_size},
                            {"steps", totals.steps},
                            {"level", report.level},
                            {"endorsed_by", report.endorsed_by},
                            {"anchors", anchors_json(report)},
                            {"remarks", Json::strings(report.remarks)},
                            {"by_category", Json::counts(totals.by_category)},
                            {"by_phase", Json::counts(totals.by_phase)},
                            {"by_dtype", Json::counts(totals.by_dtype)},
                            {"by_op", Json::counts(totals.by_op)},
                            {"uncounted", uncounted_json(totals.uncounted)},
                            {"gaps", Json::strings(report.gaps)},
                            {"nodes", std::move(nodes)},
                            {"incarnations", std::move(incarnations)},
                            {"problems", std::move(problems)}});
  ledger::set_processed(json, totals.processed);
  return json;
}

void put_report(const ledger::Report& report) {
  put_line(fmt::format("run {}: {} node{}, {} rank{}, {} steps", report.run, report.nodes.size(),
                       report.nodes.size() == 1 ? "" : "s", report.ranks,
                       report.ranks == 1 ? "" : "s", report.totals.steps));
  for (const auto& node : report.nodes) put_node(node);
  put_anchors(report);
  put_totals(report);
  put_line(report.gaps.empty() ? "gaps: none" : "gaps:");
  for (const std::string& gap : report.gaps) put_line("  " + gap);
  for (const auto& problem : report.problems) {
    put_line(fmt::format("problem: {}: {}", problem.place, problem.fault));
  }
}

Status first_problem(const ledger::Report& report) {
  if (report.ok()) return {};
  const ledger::Problem& first = report.problems.front();
  const size_t more = report.problems.size() - 1;
  const std::string others =
      more == 0 ? "" : fmt::format(" (and {} more problem{})", more, more == 1 ? "" : "s");
  return {Code::unverified, fmt::format("{}: {}{}", first.place, first.fault, others),
          "do not rely on this run; restore it from a copy that verifies"};
}

std::string level_text(const std::string& level) {
  // design.md §3: no level without its evidence.
  static const std::map<std::string, std::string> kMeanings = {
      {"L0", "counted"},
      {"L1", "endorsed"},
      {"L2", "anchored"},
      {"L3", "within the ceiling of billed device-hours"},
      {"L4", "attested"}};
  const auto meaning = kMeanings.find(level);
  return meaning == kMeanings.end() ? level : level + " " + meaning->second;
}

}  // namespace account::cli
