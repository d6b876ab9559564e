// The summary for a model card, the table, and JSON.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "ledger/format.h"
#include "report/report.h"

namespace account::report {
namespace {

// YAML's double-quoted style takes JSON's strings.
std::string quoted(const std::string& words) { return Json(words).dump(); }

// A name may hold what Markdown's tables would take for their own.
std::string in_table(std::string words) {
  std::replace(words.begin(), words.end(), '|', '/');
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words;
}

// RFC 4180.
std::string field(const std::string& words) {
  if (words.find_first_of(",\"\n\r") == std::string::npos) return words;
  std::string safe = "\"";
  for (const char c : words) {
    if (c == '"') safe.push_back('"');
    safe.push_back(c);
  }
  return safe + "\"";
}

Json bounds(const record::Bounds& b) { return Json::object({{"low", b.low}, {"high", b.high}}); }

constexpr std::string_view kCardBegin = "<!-- training compute, by `account record --card` -->";
constexpr std::string_view kCardEnd = "<!-- end of training compute -->";

// Lines of YAML, but for a member and the indented lines below it.
std::string without_member(std::string_view lines, std::string_view member) {
  std::string kept;
  bool inside = false;
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n') + 1);
    if (!line.starts_with(' ')) inside = line.starts_with(std::string(member) + ":");
    if (!inside) kept += line;
    lines.remove_prefix(line.size());
  }
  return kept;
}

// The text, so that a paragraph can follow.
std::string end_of_paragraph(std::string_view text) {
  if (text.empty()) return "\n";
  std::string ended(text);
  while (!ended.ends_with("\n\n")) ended += '\n';
  return ended;
}

// Of a model card's metadata, what we say there.
std::string metadata(const Page& page) {
  const record::Sums sums = record::sum_up(page.record);
  return fmt::format(
      "training_compute:\n  operations: {}\n  at_most: {}\n  level: {}\n  counted_by: {}\n",
      quoted(sums.derived.low.to_decimal()), quoted(sums.derived.high.to_decimal()),
      quoted(page.level), quoted(page.library));
}

std::string base_models(const Page& page) {
  std::string text;
  for (const record::Parent& parent : page.record.parents) {
    if (!parent.model.empty()) text += fmt::format("  - {}\n", quoted(parent.model));
  }
  return text.empty() ? text : "base_model:\n" + text;
}

std::string prose(const Page& page) {
  const record::Sums sums = record::sum_up(page.record);
  std::string text = fmt::format(
      "## Training compute\n\n{} operations ({}) since the base model, at most {} with all gaps; "
      "level of "
      "assurance {}. Counted from the shapes of the kernels that ran; integer and floating-point "
      "operations, a multiply-add is two.\n",
      sums.derived.low.to_decimal(), sums.derived.low.to_short(), sums.derived.high.to_short(),
      page.level);
  const Intake took = intake(page);
  if (const std::string words = ledger::processed_text(took.processed); !words.empty()) {
    text += fmt::format("The runs took in {}", words);
    text += took.processed.tokens == 0
                ? ".\n"
                : fmt::format(" (padding included), {} training operations a token.\n",
                              took.operations_per_token.to_short());
  }
  if (!page.record.parents.empty()) {
    text += sums.unknown ? "The base model's operations are unknown.\n"
                         : fmt::format("The base model took {} to {} operations.\n",
                                       sums.base.low.to_short(), sums.base.high.to_short());
  }
  if (!page.judgements.empty()) {
    text += "\n| rule | verdict | threshold | room |\n| --- | --- | --- | --- |\n";
    for (const policy::Judgement& judgement : page.judgements) {
      for (const policy::RuleJudgement& rule : judgement.rules) {
        text += fmt::format("| {}, {} | {} | {} {} | {} {} |\n", in_table(judgement.policy),
                            in_table(rule.rule), policy::name(rule.verdict),
                            policy::symbol(rule.op), policy::exact_text(rule.threshold),
                            rule.margin.to_short(), rule.over ? "beyond" : "left");
      }
    }
    text += fmt::format("\nAs of {}; a count held against rules, not legal advice.\n",
                        page.judgements.front().date);
  }
  return text;
}

}  // namespace

std::string to_summary(const Page& page) {
  return "---\n" + base_models(page) + metadata(page) + "---\n\n" + prose(page);
}

std::string to_card(const Page& page, std::string_view card) {
  constexpr std::string_view kFence = "---\n";
  std::string_view head, rest = card;  // the lines of the card's metadata, and what follows them
  if (card.starts_with(kFence)) {
    const size_t end = card.find("\n---\n", kFence.size() - 1);
    if (end != std::string_view::npos) {
      head = card.substr(kFence.size(), end + 1 - kFence.size());
      rest = card.substr(end + 1 + kFence.size());
    }
  }
  const std::string kept = without_member(head, "training_compute");
  const bool names_base = without_member(kept, "base_model") != kept;
  const std::string text =
      fmt::format("---\n{}{}{}---\n", kept, names_base ? "" : base_models(page), metadata(page));
  const std::string block = fmt::format("{}\n{}{}\n", kCardBegin, prose(page), kCardEnd);
  const size_t begin = rest.find(kCardBegin);
  const size_t end = begin == rest.npos ? begin : rest.find(kCardEnd, begin);
  if (end == rest.npos) return text + end_of_paragraph(rest) + block;
  std::string_view after = rest.substr(end + kCardEnd.size());
  if (after.starts_with("\n")) after.remove_prefix(1);
  return text + std::string(rest.substr(0, begin)) + block + std::string(after);
}

std::string to_csv(const Page& page) {
  std::string csv = "run,rank,node,category,phase,dtype,op,calls,executed,model,lower\n";
  for (const ledger::Report& report : page.reports) {
    for (const ledger::Incarnation& process : report.incarnations) {
      for (const ledger::CountRow& row : process.rows) {
        csv +=
            fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", field(report.run), process.line.rank,
                        process.node, name(row.category), name(row.phase), name(row.dtype),
                        field(row.op), row.calls, row.figures.executed.to_decimal(),
                        row.figures.model.to_decimal(), row.figures.lower.to_decimal());
      }
    }
  }
  if (!page.reports.empty()) return csv;
  for (const record::Part& part : page.record.parts) {
    for (const auto& [words, executed] : part.counters) {
      csv += fmt::format("{},,,{},{},,,,{},,\n", field(part.run), name(words.first),
                         name(words.second), executed.to_decimal());
    }
  }
  return csv;
}

Json to_json(const Page& page) {
  const record::Sums sums = record::sum_up(page.record);
  const Breakdowns by = break_down(page);
  Json verdicts = Json::array(), runs = Json::array();
  for (const policy::Judgement& judgement : page.judgements)
    verdicts.push(policy::to_json(judgement));
  for (const record::Part& part : page.record.parts) {
    runs.push(Json::object({{"run", part.run},
                            {"whole", part.whole},
                            {"steps", part.steps},
                            {"operations", part.executed},
                            {"upper", part.upper}}));
  }
  Json json = Json::object({{"title", page.title},
                            {"model", page.record.model},
                            {"made", to_iso8601(page.made_unix_ns)},
                            {"level", page.level},
                            {"trusted", page.trusted},
                            {"own", bounds(sums.own)},
                            {"derived", bounds(sums.derived)},
                            {"base", sums.unknown ? Json() : bounds(sums.base)},
                            {"runs", std::move(runs)},
                            {"by_category", Json::counts(by.category)},
                            {"by_phase", Json::counts(by.phase)},
                            {"by_dtype", Json::counts(by.dtype)},
                            {"by_op", Json::counts(by.op)},
                            {"verdicts", std::move(verdicts)},
                            {"remarks", Json::strings(page.remarks)}});
  const Intake took = intake(page);
  ledger::set_processed(json, took.processed);
  if (took.processed.tokens > 0) json.set("operations_per_token", took.operations_per_token);
  return json;
}

}  // namespace account::report
