// The page: figures, then what they rest on, then what they do not say.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "report/report.h"

namespace account::report {
namespace {

// Light and dark by the reader's choice; on paper light, with nothing cut in two.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --ground: #fcfcfb; --panel: #ffffff; --ink: #1a1a19; --soft: #5f5e5a;
  --rule: #e1e0d9; --fill: #2a78d6; --band: #2a78d626; --good: #0a7a3d; --warn: #9a6500; --bad: #c02f2f; }
@media (prefers-color-scheme: dark) { :root { --ground: #1a1a19; --panel: #232322; --ink: #f5f4ef;
  --soft: #b4b2aa; --rule: #3a3a37; --fill: #5598e7; --band: #5598e733; --good: #4cc38a; --warn: #e5a83b;
  --bad: #ff7b72; } }
@media print { :root { color-scheme: light; --ground: #fff; --panel: #fff; --ink: #000; --soft: #444;
  --rule: #ccc; --fill: #2a78d6; --band: #2a78d626; --good: #0a7a3d; --warn: #9a6500; --bad: #c02f2f; }
  section { break-inside: avoid; } main { max-width: none; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 860px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 10px; }
p { margin: 8px 0; } .soft { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 12px 14px; }
.tile b { display: block; font-size: 22px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; }
.panel { background: var(--panel); border: 1px solid var(--rule); border-radius: 8px; padding: 14px; overflow-x: auto; }
svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 500; } th, td { padding: 5px 10px 5px 0; vertical-align: top;
  border-bottom: 1px solid var(--rule); } td.n, th.n { text-align: right; white-space: nowrap; } td.id { overflow-wrap: anywhere; }
code { font: 12.5px ui-monospace, monospace; overflow-wrap: anywhere; }
.verdict { font-weight: 600; white-space: nowrap; } .below, .not_applicable { color: var(--good); }
.approaching, .unknown { color: var(--warn); } .reached { color: var(--bad); }
svg text { fill: var(--ink); } svg .muted { fill: var(--soft); } svg .strong { font-weight: 600; }
svg .raised { font-size: 9px; } svg .grid { stroke: var(--rule); } svg .axis { stroke: var(--soft); }
svg .counted { stroke: var(--fill); stroke-width: 2.5; } svg .band { fill: var(--band); }
svg .leader { stroke: var(--rule); stroke-dasharray: 2 3; } svg .bar { fill: var(--fill); }
svg .mark { stroke: var(--panel); stroke-width: 2; } svg .mark.below, svg .mark.not_applicable { fill: var(--good); }
svg .mark.approaching, svg .mark.unknown { fill: var(--warn); } svg .mark.reached { fill: var(--bad); }
svg .box { fill: var(--ground); stroke: var(--rule); } svg .box.own { stroke: var(--fill); stroke-width: 2; }
svg .box.base { stroke-dasharray: 4 3; stroke: var(--soft); } svg .edge { stroke: var(--soft); }
)";

std::string plain(std::string_view word) {
  std::string words(word);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

// "12345678" as "12 345 678", with spaces that do not break.
std::string grouped(const OpCount& count) {
  constexpr size_t kGroup = 3;
  std::string digits = count.to_decimal(), spaced;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % kGroup == 0) spaced += "\u202f";
    spaced.push_back(digits[i]);
  }
  return spaced;
}

class Html {
 public:
  void open_section(std::string_view title) {
    text_ += fmt::format("<section>\n<h2>{}</h2>\n", title);
  }
  void close_section() { text_ += "</section>\n"; }
  void paragraph(std::string_view words, std::string_view kind = "") {
    text_ += kind.empty() ? fmt::format("<p>{}</p>\n", escaped(words))
                          : fmt::format("<p class=\"{}\">{}</p>\n", kind, escaped(words));
  }
  void panel(std::string_view svg) {
    if (!svg.empty()) text_ += fmt::format("<div class=\"panel\">{}</div>\n", svg);
  }
  void tile(std::string_view figure, std::string_view what) {
    text_ += fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", escaped(figure),
                         escaped(what));
  }
  void list(const std::vector<std::string>& items) {
    text_ += "<ul>\n";
    for (const std::string& item : items) text_ += fmt::format("<li>{}</li>\n", escaped(item));
    text_ += "</ul>\n";
  }
  void raw(std::string_view html) { text_ += html; }
  std::string take() && { return std::move(text_); }

 private:
  std::string text_;
};

std::string cell(std::string_view words, std::string_view kind = "") {
  return kind.empty() ? fmt::format("<td>{}</td>", escaped(words))
                      : fmt::format("<td class=\"{}\">{}</td>", kind, escaped(words));
}

uint64_t all_steps(const Page& page) {
  uint64_t steps = 0;
  for (const record::Part& part : page.record.parts) steps += part.steps;
  return steps;
}

void put_head(const Page& page, Html& html) {
  const record::Bounds sum = record::sum_up(page.record).derived;
  html.raw(fmt::format("<h1>{}</h1>\n", escaped(page.title)));
  html.paragraph(
      fmt::format("{}{}counted operations, as of {}",
                  page.record.model == page.title ? "" : page.record.model,
                  page.record.model.empty() || page.record.model == page.title ? "" : " · ",
                  to_iso8601(page.made_unix_ns)),
      "soft");
  html.raw("<div class=\"tiles\">\n");
  html.tile(sum.low.to_short(), "operations counted");
  html.tile(sum.high.to_short(), "at most, with all gaps");
  html.tile(page.level,
            page.trusted ? "level of assurance" : "level of assurance: nobody's key was asked for");
  if (const uint64_t steps = all_steps(page); steps > 0)
    html.tile(fmt::format("{}", steps), "training steps");
  const Intake took = intake(page);
  if (took.processed.samples > 0) html.tile(grouped(took.processed.samples), "samples");
  if (took.processed.tokens > 0) {
    html.tile(grouped(took.processed.tokens), "tokens, padding included");
    html.tile(took.operations_per_token.to_short(), "training operations a token");
  }
  html.raw("</div>\n");
  html.raw(fmt::format(
      "<p class=\"soft\">Exactly {} executed operations since the base model, integer and "
      "floating point; a multiply-add is two.</p>\n",
      grouped(sum.low)));
}

void put_verdicts(const Page& page, Html& html) {
  if (page.judgements.empty()) return;
  html.open_section("Against the thresholds");
  html.panel(threshold_chart(page));
  html.raw(
      "<table><tr><th>rule</th><th>verdict</th><th class=\"n\">threshold</th><th "
      "class=\"n\">counted"
      "</th><th class=\"n\">room</th></tr>\n");
  for (const policy::Judgement& judgement : page.judgements) {
    for (const policy::RuleJudgement& rule : judgement.rules) {
      html.raw(
          "<tr>" +
          cell(fmt::format("{}, {} ({})", judgement.policy, rule.rule, plain(judgement.status))) +
          cell(plain(policy::name(rule.verdict)),
               fmt::format("verdict {}", policy::name(rule.verdict))) +
          cell(fmt::format("{} {}", policy::symbol(rule.op), threshold_text(rule.threshold)), "n") +
          cell(rule.counted.to_short(), "n") +
          cell(fmt::format("{} {}", rule.margin.to_short(), rule.over ? "beyond" : "left"), "n") +
          "</tr>\n");
    }
  }
  html.raw("</table>\n");
  std::vector<std::string> because;
  for (const policy::Judgement& judgement : page.judgements) {
    for (const std::string& remark : judgement.remarks) {
      because.push_back(fmt::format("{}: {}", judgement.policy, remark));
    }
  }
  if (!because.empty()) html.list(because);
  html.paragraph("A count held against a rule; not legal advice.", "soft");
  html.close_section();
}

void put_breakdown(const Page& page, Html& html) {
  const StepCurve curve = step_curve(page);
  if (curve.steps > 0) {
    html.open_section("By step");
    html.panel(step_chart(curve));
    html.close_section();
  }
  const Breakdowns by = break_down(page);
  const struct {
    const char* title;
    const Breakdown& figures;
  } kParts[] = {{"By op", by.op},
                {"By phase", by.phase},
                {"By type of number", by.dtype},
                {"By category", by.category}};
  for (const auto& [title, figures] : kParts) {
    const std::string chart = bar_chart(figures, title);
    if (chart.empty()) continue;
    html.open_section(title);
    html.panel(chart);
    html.close_section();
  }
}

void put_lineage(const Page& page, Html& html) {
  if (page.record.parents.empty() && page.record.lineage.empty()) return;
  html.open_section("The line of models");
  html.panel(lineage_tree(page.record));
  const record::Sums sums = record::sum_up(page.record);
  html.paragraph(
      fmt::format("These weights' own part is {} operations, all since the base {}, the base {}.",
                  sums.own.low.to_short(), sums.derived.low.to_short(),
                  sums.unknown ? "unknown" : sums.base.low.to_short()));
  html.close_section();
}

void put_runs(const Page& page, Html& html) {
  if (page.record.parts.empty()) return;
  html.open_section("Runs");
  html.raw(
      "<table><tr><th>run</th><th>counted</th><th class=\"n\">steps</th><th "
      "class=\"n\">operations</th>"
      "<th class=\"n\">at most</th></tr>\n");
  for (const record::Part& part : page.record.parts) {
    html.raw("<tr>" + cell(part.run, "id") + cell(part.whole ? "whole" : "up to a save") +
             cell(fmt::format("{}", part.steps), "n") + cell(grouped(part.executed), "n") +
             cell(part.upper.to_short(), "n") + "</tr>\n");
  }
  html.raw("</table>\n");
  html.close_section();
}

void put_ranks(const Page& page, Html& html) {
  if (page.reports.empty()) return;
  html.open_section("Ranks");
  html.raw(
      "<table><tr><th>run</th><th class=\"n\">rank</th><th>node</th><th class=\"n\">restart</th>"
      "<th class=\"n\">steps</th><th class=\"n\">operations</th><th>ended</th></tr>\n");
  constexpr size_t kMost = 256;
  size_t shown = 0, all = 0;
  for (const ledger::Report& report : page.reports) {
    for (const ledger::Incarnation& process : report.incarnations) {
      if (++all > kMost) continue;
      ++shown;
      OpCount executed;
      for (const auto& row : process.rows)
        executed = saturating_add(executed, row.figures.executed);
      html.raw("<tr>" + cell(report.run, "id") + cell(fmt::format("{}", process.line.rank), "n") +
               cell(process.node) + cell(fmt::format("{}", process.line.restart_count), "n") +
               cell(fmt::format("{}", process.steps_closed), "n") + cell(grouped(executed), "n") +
               cell(process.ended.empty() ? "not noted" : process.ended) + "</tr>\n");
    }
  }
  html.raw("</table>\n");
  if (all > shown) {
    html.paragraph(
        fmt::format("{} more are in the table beside this page, totals.csv.", all - shown));
  }
  html.close_section();
}

// A line of the ledger about orders, in short.
std::string told(const Json& event) {
  constexpr size_t kMostDigits = 64, kShown = 16;
  std::vector<std::string> words;
  for (const auto& [member, value] : event.members()) {
    if (member == "type" || member == "time_unix_ns") continue;
    if (value.kind() == Json::Kind::string && !value.as_string().empty()) {
      const std::string& said = value.as_string();
      const bool digest = said.size() == kMostDigits && said.find(' ') == std::string::npos;
      words.push_back(fmt::format(
          "{} {}", member, digest ? said.substr(0, kShown) : said.substr(0, 2 * kMostDigits)));
    } else if (value.kind() == Json::Kind::integer) {
      words.push_back(fmt::format("{} {}", member, value.as_integer()));
    }
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

void put_events(const Page& page, Html& html) {
  std::string rows;
  for (const ledger::Report& report : page.reports) {
    for (const ledger::NodeReport& node : report.nodes) {
      for (const Json& event : node.events) {
        const auto type = event.get_string("type"), time = event.get_string("time_unix_ns");
        if (!type.ok() || *type == "note" || *type == "start") continue;
        const auto at = OpCount::from_decimal(time.ok() ? *time : "0");
        rows += "<tr>" + cell(to_iso8601(static_cast<int64_t>(at.ok() ? at->low() : 0))) +
                cell(node.node) + cell(plain(*type)) + cell(told(event)) + "</tr>\n";
      }
    }
  }
  html.open_section("Orders");
  if (rows.empty()) {
    html.paragraph("No order was read, refused or lifted while it ran.");
  } else {
    html.raw("<table><tr><th>when</th><th>node</th><th>what</th><th></th></tr>\n" + rows +
             "</table>\n");
  }
  html.close_section();
}

void put_gaps(const Page& page, Html& html) {
  std::vector<std::string> gaps;
  for (const ledger::Report& report : page.reports) {
    for (const std::string& gap : report.gaps)
      gaps.push_back(fmt::format("{}: {}", report.run, gap));
    for (const Uncounted& op : report.totals.uncounted) {
      gaps.push_back(
          fmt::format("{}: {} calls of {} could not be counted ({}); at most {} operations",
                      report.run, op.calls, op.op, op.reason, op.bound.to_short()));
    }
  }
  for (const record::Part& part : page.record.parts) {
    if (!page.reports.empty()) break;
    for (const auto& [kind, times] : part.gaps)
      gaps.push_back(fmt::format("{}: {} of kind {}", part.run, times, kind));
  }
  html.open_section("Gaps");
  if (gaps.empty()) {
    html.paragraph("None: every process of the runs sealed what it counted.");
  } else {
    html.list(gaps);
  }
  html.close_section();
}

void put_method(const Page& page, Html& html) {
  html.open_section("How the number was made");
  html.paragraph(
      "Each kernel that PyTorch ran was counted as it returned, from the shapes of its tensors by "
      "a formula of its "
      "op (a product of m x k by k x n is 2mkn). Recomputation counts as executed; causal masks "
      "and known sparsity "
      "do not make less of it. Ops without a formula (pointwise work, norms, optimizers) are "
      "watched on audit steps, "
      "and what they did at most is in the upper figure. A process of its own on each node sealed "
      "the sums into a "
      "ledger that only grows, signed with a key that never left its memory.");
  OpCount audited;
  for (const ledger::Report& report : page.reports)
    audited = saturating_add(audited, report.audit_bound);
  if (audited != OpCount()) {
    html.paragraph(fmt::format("Ops without a formula did at most {} operations over these runs.",
                               audited.to_short()));
  }
  std::string rows;
  for (const ledger::Report& report : page.reports) {
    for (const ledger::NodeReport& node : report.nodes) {
      rows += "<tr>" + cell(report.run, "id") + cell(node.node) +
              cell(fmt::format("{}", node.lines), "n") + cell(node.closed ? "closed" : "open") +
              fmt::format("<td><code>{}</code></td></tr>\n", node.root_hex);
    }
  }
  if (!rows.empty()) {
    html.raw(
        "<table><tr><th>run</th><th>node</th><th class=\"n\">lines</th><th></th><th>head of its "
        "ledger</th></tr>\n" +
        rows + "</table>\n");
  }
  if (!page.remarks.empty()) html.list(page.remarks);
  html.close_section();

  html.open_section("What it does not prove");
  html.list(
      {"That these are all runs: runs that were not counted are not here. A ceiling from billed "
       "device-hours "
       "(account ceiling) bounds those.",
       "That nobody with the run's keys rewrote a ledger before a witness anchored it: it is "
       "tamper-evident, "
       "not tamper-proof, and the owner of a machine can stop what counts on it.",
       "What the model can do, or that a law applies to it."});
  html.paragraph(
      fmt::format("Made by {}. Whoever has the folders can check every figure: account verify, "
                  "account prove.",
                  page.library),
      "soft");
  html.close_section();
}

}  // namespace

std::string to_html(const Page& page) {
  Html html;
  html.raw(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
  html.raw(fmt::format(
      "<title>{}: counted operations</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      escaped(page.title), kStyle));
  put_head(page, html);
  put_verdicts(page, html);
  put_lineage(page, html);
  put_breakdown(page, html);
  put_runs(page, html);
  put_ranks(page, html);
  put_gaps(page, html);
  if (!page.reports.empty()) put_events(page, html);
  put_method(page, html);
  html.raw("</main>\n</body>\n</html>\n");
  return std::move(html).take();
}

}  // namespace account::report
