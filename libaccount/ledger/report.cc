// A report as JSON for programs and as lines for people.
#include <fmt/format.h>

#include "ledger/format.h"
#include "ledger/ledger.h"

namespace account::ledger {
namespace {

Json node_json(const NodeReport& node) {
  return Json::object({{"node", node.node},
                       {"origin", node.origin},
                       {"lines", node.lines},
                       {"root", node.root_hex},
                       {"closed", node.closed},
                       {"open_lines", node.open_lines},
                       {"open_bytes", node.open_bytes},
                       {"transcripts", node.transcripts},
                       {"keys", Json::strings(node.keys)},
                       {"remarks", Json::strings(node.remarks)},
                       {"gaps", Json::array(node.gaps)},
                       {"events", Json::array(node.events)}});
}

// What each rank executed, over all its incarnations.
std::map<std::string, OpCount> by_rank(const Report& report) {
  std::map<std::string, OpCount> ranks;
  for (const Incarnation& incarnation : report.incarnations) {
    OpCount& sum = ranks[std::to_string(incarnation.line.rank)];
    for (const CountRow& row : incarnation.rows) sum = saturating_add(sum, row.figures.executed);
  }
  return ranks;
}

std::vector<std::string> all_remarks(const Report& report) {
  std::vector<std::string> remarks = report.remarks;
  for (const NodeReport& node : report.nodes) {
    for (const std::string& remark : node.remarks) {
      remarks.push_back(fmt::format("node-{}: {}", node.node, remark));
    }
    if (node.open_bytes > 0 && !node.closed) {
      remarks.push_back(fmt::format("node-{}: open: {} bytes behind the last note, not counted",
                                    node.node, node.open_bytes));
    }
  }
  return remarks;
}

void add_breakdown(std::vector<std::string>& lines, std::string_view title,
                   const std::map<std::string, OpCount>& by_word, OpCount total) {
  for (const auto& [word, count] : by_word) {
    const double share = total == OpCount() ? 0.0 : count.to_double() / total.to_double();
    lines.push_back(fmt::format("  {:<10} {:<44} {:>12} {:>6.1f} %", title, word, count.to_short(),
                                100 * share));
    title = "";
  }
}

}  // namespace

Json report_to_json(const Report& report) {
  Json problems = Json::array();
  for (const Problem& problem : report.problems) {
    problems.push(Json::object({{"place", problem.place}, {"fault", problem.fault}}));
  }
  Json nodes = Json::array();
  for (const NodeReport& node : report.nodes) nodes.push(node_json(node));
  Json uncounted = Json::array();
  for (const Uncounted& entry : report.totals.uncounted) {
    uncounted.push(Json::object({{"op", entry.op},
                                 {"calls", OpCount(entry.calls)},
                                 {"reason", entry.reason},
                                 {"bound", entry.bound}}));
  }
  const Totals& totals = report.totals;
  Json json = Json::object({{"ok", report.ok()},
                            {"trusted", report.trusted},
                            {"run", report.run},
                            {"operations", totals.executed},
                            {"model", totals.model},
                            {"lower", totals.lower},
                            {"upper", totals.upper},
                            {"calls", OpCount(totals.calls)},
                            {"ranks", report.ranks},
                            {"world_size", report.world_size},
                            {"steps", totals.steps},
                            {"level", report.level},
                            {"endorsed_by", report.endorsed_by},
                            {"problems", std::move(problems)},
                            {"gaps", Json::strings(report.gaps)},
                            {"remarks", Json::strings(all_remarks(report))},
                            {"by_op", Json::counts(totals.by_op)},
                            {"by_phase", Json::counts(totals.by_phase)},
                            {"by_dtype", Json::counts(totals.by_dtype)},
                            {"by_category", Json::counts(totals.by_category)},
                            {"by_rank", Json::counts(by_rank(report))},
                            {"uncounted", std::move(uncounted)},
                            {"nodes", std::move(nodes)}});
  set_processed(json, totals.processed);
  return json;
}

std::vector<std::string> report_to_lines(const Report& report) {
  const Totals& totals = report.totals;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("run {}: {}", report.run.empty() ? "?" : report.run,
                              report.ok() ? "verified" : "NOT VERIFIED"));
  for (const Problem& problem : report.problems) {
    lines.push_back(fmt::format("  problem    {}: {}", problem.place, problem.fault));
  }
  lines.push_back(fmt::format("  operations {} ({})", totals.executed.to_decimal(),
                              totals.executed.to_short()));
  lines.push_back(fmt::format("  bounds     {} to {}; model {}", totals.lower.to_short(),
                              totals.upper.to_short(), totals.model.to_short()));
  lines.push_back(fmt::format("  counted    {} ranks on {} nodes, {} steps, {} calls", report.ranks,
                              report.nodes.size(), totals.steps, totals.calls));
  if (const std::string words = processed_text(totals.processed); !words.empty()) {
    lines.push_back("  processed  " + words);
  }
  lines.push_back(
      report.trusted
          ? fmt::format("  level      {}, endorsed by key {}", report.level,
                        report.endorsed_by.substr(0, 16))
          : fmt::format("  level      {}: integrity only; --key checks who signed", report.level));
  add_breakdown(lines, "by op", totals.by_op, totals.executed);
  add_breakdown(lines, "by phase", totals.by_phase, totals.executed);
  add_breakdown(lines, "by dtype", totals.by_dtype, totals.executed);
  add_breakdown(lines, "by category", totals.by_category, totals.executed);
  for (const std::string& gap : report.gaps) lines.push_back("  gap        " + gap);
  for (const std::string& remark : all_remarks(report)) lines.push_back("  remark     " + remark);
  return lines;
}

}  // namespace account::ledger
