// `account prove`: a run's totals, verified first, held against a policy or a plain number.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "policy/policy.h"

namespace account::cli {
namespace {

struct ProveWords {
  std::string run;
  std::optional<std::string> policy, key, below;
  FactWords facts;
  bool json = false;
};

// What the run's totals are held against.
struct Question {
  std::optional<policy::Policy> policy;
  policy::Facts facts;
  std::optional<OpCount> below;
};

Result<Question> parse_question(const ProveWords& words) {
  Question question;
  if (!words.policy && !words.below) {
    return Status(Code::invalid_argument, "there is nothing to prove",
                  "give --policy ID (`account policy list`) or --below N");
  }
  if (words.policy) {
    ACCOUNT_ASSIGN_OR_RETURN(question.policy, policy::load(*words.policy));
  }
  if (words.below) {
    ACCOUNT_ASSIGN_OR_RETURN(question.below, parse_operations("--below", *words.below));
  }
  ACCOUNT_ASSIGN_OR_RETURN(question.facts, parse_facts(words.facts));
  return question;
}

void add_counted(const ledger::Report& report, policy::Facts& facts) {
  for (const auto& incarnation : report.incarnations) {
    for (const ledger::CountRow& row : incarnation.rows) {
      OpCount& sum = facts.operations[{row.category, row.phase}];
      sum = saturating_add(sum, row.figures.executed);
    }
  }
  facts.gap_bound =
      checked_subtract(report.totals.upper, report.totals.executed).value_or(OpCount());
}

// A plain number: below it, at or above it, or which of both depends on the gaps.
policy::Verdict verdict_below(const Totals& totals, OpCount limit) {
  if (totals.executed >= limit) return policy::Verdict::reached;
  return totals.upper >= limit ? policy::Verdict::unknown : policy::Verdict::below;
}

OpCount distance(OpCount a, OpCount b) {
  return OpCount::from_raw(a > b ? a.raw() - b.raw() : b.raw() - a.raw());
}

std::string plain(policy::Verdict verdict) {
  std::string word(policy::name(verdict));
  std::replace(word.begin(), word.end(), '_', ' ');
  return word;
}

std::string statement(policy::Verdict verdict, const ledger::Report& report) {
  const std::string word = plain(verdict);
  const std::string what = verdict == policy::Verdict::below || verdict == policy::Verdict::reached
                               ? "counted " + word
                               : word;
  return fmt::format("{}, at level {}, for the runs listed: {}", what, level_text(report.level),
                     report.run);
}

constexpr std::string_view kNoAdvice =
    "This is a count held against a rule; it is not legal advice.";

struct Answer {
  std::optional<policy::Judgement> judgement;
  std::optional<policy::Verdict> below;

  // The graver of the two.
  policy::Verdict verdict() const {
    if (!judgement) return *below;
    return below ? std::max(judgement->verdict, *below) : judgement->verdict;
  }
};

Json to_json(const Question& question, const Answer& answer, const ledger::Report& report) {
  Json json = answer.judgement ? policy::to_json(*answer.judgement) : Json::object();
  json.set("verdict", policy::name(answer.verdict()));
  if (answer.judgement) json.set("policy_verdict", policy::name(answer.judgement->verdict));
  if (question.below) {
    json.set("below",
             Json::object({{"limit", *question.below},
                           {"verdict", policy::name(*answer.below)},
                           {"margin", distance(*question.below, report.totals.executed)}}));
  }
  Json runs = Json::array(), gaps = Json::array();
  for (const auto& node : report.nodes) {
    runs.push(Json::object({{"run", report.run},
                            {"node", node.node},
                            {"lines", node.lines},
                            {"root", node.root_hex},
                            {"closed", node.closed}}));
  }
  for (const std::string& gap : report.gaps) gaps.push(gap);
  json.set("operations", report.totals.executed);
  json.set("upper", report.totals.upper);
  json.set("level", report.level);
  json.set("trusted", report.trusted);
  json.set("runs", std::move(runs));
  json.set("gaps", std::move(gaps));
  json.set("statement", statement(answer.verdict(), report));
  json.set("legal_advice", false);
  return json;
}

void put_answer(const Question& question, const Answer& answer, const ledger::Report& report) {
  if (answer.judgement) {
    for (const std::string& line : policy::to_lines(*answer.judgement)) put_line(line);
  }
  if (question.below) {
    put_line(fmt::format("below {}: {}; {} operations {}", policy::exact_text(*question.below),
                         plain(*answer.below),
                         distance(*question.below, report.totals.executed).to_decimal(),
                         report.totals.executed < *question.below ? "until it is reached"
                                                                  : "beyond where it is reached"));
  }
  put_line(fmt::format("operations {} ({}), at most {} with all gaps",
                       report.totals.executed.to_decimal(), report.totals.executed.to_short(),
                       report.totals.upper.to_decimal()));
  put_line(report.gaps.empty() ? "gaps: none" : "gaps:");
  for (const std::string& gap : report.gaps) put_line("  " + gap);
  for (const auto& node : report.nodes) {
    put_line(fmt::format("run {} node {}: {} lines, {}, root {}", report.run, node.node, node.lines,
                         node.closed ? "closed" : "not closed", node.root_hex));
  }
  put_line(statement(answer.verdict(), report));
  put_line(kNoAdvice);
}

int prove(const ProveWords& words) {
  auto question = parse_question(words);
  if (!question.ok()) return fail("prove", question.status());
  const auto report = verify_run(words.run, words.key);
  Status fault = report.ok() ? first_problem(*report) : report.status();
  if (!fault.ok()) {
    if (words.json) put_json(Json::object({{"ok", false}, {"error", fault.to_string()}}));
    return fail(words.run, fault);
  }
  add_counted(*report, question->facts);
  Answer answer;
  if (question->policy) answer.judgement = policy::judge(*question->policy, question->facts);
  if (question->below) answer.below = verdict_below(report->totals, *question->below);
  if (words.json) {
    put_json(to_json(*question, answer, *report));
  } else {
    put_answer(*question, answer, *report);
  }
  return policy::exit_code(answer.verdict());
}

}  // namespace

void add_prove(const Verb& program) {
  const Verb verb = program.verb("prove", "Verifies a run and judges its totals");
  auto words = std::make_shared<ProveWords>();
  verb.needs("RUN", words->run, "A run's folder or id");
  verb.takes("--policy", words->policy, "Id or file; `account policy list`");
  verb.takes("--below", words->below, "A plain number to stay below, e.g. 3e25");
  verb.takes("--key", words->key, "The developer's .pub; a foreign signer is exit code 2");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Exit code 0 below, approaching or not applicable, 2 the run does not verify, 3 reached,\n"
      "5 unknown.\n\n"
      "Example:\n"
      "  account prove account/my-run --policy us-ca-sb1047-enrolled --cost 1200");
  verb.does([words] { return prove(*words); });
}

}  // namespace account::cli
