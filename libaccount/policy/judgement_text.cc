// Judgements as words: for machines (JSON), for people (lines), for shells (exit codes).
#include <fmt/format.h>

#include "policy/policy.h"

namespace account::policy {

std::string_view name(Truth truth) {
  switch (truth) {
    case Truth::no:
      return "no";
    case Truth::yes:
      return "yes";
    case Truth::unknown:
      break;
  }
  return "unknown";
}

std::string_view symbol(Operator op) { return op == Operator::greater ? ">" : ">="; }

std::string_view name(Verdict verdict) {
  switch (verdict) {
    case Verdict::not_applicable:
      return "not_applicable";
    case Verdict::below:
      return "below";
    case Verdict::approaching:
      return "approaching";
    case Verdict::unknown:
      return "unknown";
    case Verdict::reached:
      break;
  }
  return "reached";
}

std::string exact_text(OpCount count) {
  std::string digits = count.to_decimal();
  size_t zeros = 0;
  while (zeros + 1 < digits.size() && digits[digits.size() - 1 - zeros] == '0') ++zeros;
  // Worth it only for a short mantissa and a long tail.
  if (zeros < 4 || digits.size() - zeros > 4) return digits;
  digits.resize(digits.size() - zeros);
  const size_t exponent = zeros + digits.size() - 1;
  const std::string_view fraction = std::string_view(digits).substr(1);
  return fmt::format("{}{}{}e{}", digits[0], fraction.empty() ? "" : ".", fraction, exponent);
}

int exit_code(Verdict verdict) {
  switch (verdict) {
    case Verdict::reached:
      return 3;
    case Verdict::unknown:
      return 5;
    case Verdict::not_applicable:
    case Verdict::below:
    case Verdict::approaching:
      break;
  }
  return 0;
}

namespace {

std::string margin_text(const RuleJudgement& rule) {
  return fmt::format("{} operation{} {}", rule.margin.to_decimal(),
                     rule.margin == OpCount(1) ? "" : "s",
                     rule.over ? "beyond where it is reached" : "until it is reached");
}

Json to_json(const RuleJudgement& rule) {
  Json tests = Json::array();
  for (const Test& test : rule.tests) {
    tests.push(Json::object(
        {{"name", test.name}, {"result", name(test.result)}, {"because", test.because}}));
  }
  return Json::object({{"rule", rule.rule},
                       {"verdict", name(rule.verdict)},
                       {"operator", symbol(rule.op)},
                       {"threshold", rule.threshold},
                       {"counted", rule.counted},
                       {"upper", rule.upper},
                       {"margin", rule.margin},
                       {"over", rule.over},
                       {"tests", std::move(tests)}});
}

}  // namespace

Json to_json(const Judgement& judgement) {
  Json json = Json::object({{"policy", judgement.policy},
                            {"policy_sha256", judgement.policy_sha256},
                            {"status", judgement.status},
                            {"date", judgement.date},
                            {"verdict", name(judgement.verdict)}});
  if (!judgement.rules.empty()) {
    const RuleJudgement& deciding = judgement.rules[judgement.deciding_rule];
    json.set("rule", deciding.rule);
    json.set("threshold", deciding.threshold);
    json.set("counted", deciding.counted);
    json.set("margin", deciding.margin);
    json.set("over", deciding.over);
  }
  Json rules = Json::array(), remarks = Json::array();
  for (const RuleJudgement& rule : judgement.rules) rules.push(to_json(rule));
  for (const std::string& remark : judgement.remarks) remarks.push(remark);
  json.set("rules", std::move(rules));
  json.set("remarks", std::move(remarks));
  return json;
}

std::vector<std::string> to_lines(const Judgement& judgement) {
  std::vector<std::string> lines = {fmt::format("{} ({}), as of {}: {}", judgement.policy,
                                                judgement.status, judgement.date,
                                                name(judgement.verdict))};
  for (const RuleJudgement& rule : judgement.rules) {
    lines.push_back(fmt::format("  rule {}, {} {} operations: {}; {}", rule.rule, symbol(rule.op),
                                exact_text(rule.threshold), name(rule.verdict), margin_text(rule)));
    for (const Test& test : rule.tests) {
      lines.push_back(
          fmt::format("    {:<10} {:<7} {}", test.name, name(test.result), test.because));
    }
  }
  for (const std::string& remark : judgement.remarks) lines.push_back("  note: " + remark);
  return lines;
}

}  // namespace account::policy
