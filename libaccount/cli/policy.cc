// `account policy judge|list|show|lint`: the thresholds themselves, and plain numbers held against
// them.
#include "policy/policy.h"

#include <fmt/format.h>

#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/words.h"

namespace account::cli {
namespace {

struct JudgeWords {
  std::string policy, operations;
  FactWords facts;
  bool json = false;
};

int judge(const JudgeWords& words) {
  const auto policy = policy::load(words.policy);
  if (!policy.ok()) return fail("policy judge", policy.status());
  const auto operations = parse_operations("--operations", words.operations);
  if (!operations.ok()) return fail("policy judge", operations.status());
  auto facts = parse_facts(words.facts);
  if (!facts.ok()) return fail("policy judge", facts.status());
  facts->operations[{Category::unassigned, Phase::forward}] = *operations;
  const policy::Judgement judgement = policy::judge(*policy, *facts);
  if (words.json) {
    put_json(policy::to_json(judgement));
  } else {
    for (const std::string& line : policy::to_lines(judgement)) put_line(line);
  }
  return policy::exit_code(judgement.verdict);
}

std::string window(const policy::Policy& policy) {
  return policy.effective_to.empty()
             ? fmt::format("from {}", policy.effective_from)
             : fmt::format("{} to {}", policy.effective_from, policy.effective_to);
}

Json summary(const policy::Policy& policy) {
  return Json::object({{"id", policy.id},
                       {"title", policy.title},
                       {"status", policy.status},
                       {"effective_from", policy.effective_from},
                       {"effective_to", policy.effective_to},
                       {"sha256", policy.sha256}});
}

int list(bool json) {
  Json all = Json::array();
  for (const std::string& id : policy::built_in_ids()) {
    const auto policy = policy::load(id);
    if (!policy.ok()) return fail(id, policy.status());
    all.push(summary(*policy));
    if (json) continue;
    put_line(fmt::format("{:<24} {:<10} {:<24} {}", policy->id, policy->status, window(*policy),
                         policy->title));
  }
  if (json) put_json(all);
  return kYes;
}

std::string words_of(const policy::Counted& counted) {
  std::vector<std::string_view> categories, phases;
  for (const Category category : counted.categories) categories.push_back(name(category));
  for (const Phase phase : counted.phases) phases.push_back(name(phase));
  return fmt::format("counts {}, unassigned; phases {}", fmt::join(categories, ", "),
                     fmt::join(phases, ", "));
}

void show_rule(const policy::Rule& rule) {
  put_line(fmt::format(
      "rule {}: {} {} operations{}{}", rule.name, policy::symbol(rule.op),
      policy::exact_text(rule.operations), rule.cumulative ? ", a parent's included" : "",
      rule.cost_above_usd ? fmt::format(", and a cost above ${}", *rule.cost_above_usd) : ""));
  for (const policy::Rule::CostLimit& limit : rule.cost_limits) {
    put_line(fmt::format("  from {} on the cost is one above ${}", limit.from, limit.above_usd));
  }
  put_line("  concerns " + rule.applies_to);
  if (rule.relative) {
    put_line(fmt::format(
        "  and {} {}/{} of the parent's operations{}", policy::symbol(rule.relative->op),
        rule.relative->numerator, rule.relative->denominator,
        rule.relative->substitute
            ? fmt::format("; {} where those are unknown", rule.relative->substitute->to_decimal())
            : ""));
  }
  put_line("  " + words_of(rule.counted));
}

int show(const std::string& id, bool json) {
  const auto policy = policy::load(id);
  if (!policy.ok()) return fail("policy show", policy.status());
  if (json) {
    const auto bytes = policy::load_bytes(id);
    if (!bytes.ok()) return fail("policy show", bytes.status());
    const auto document = Json::parse(*bytes, bytes->size());
    if (!document.ok()) return fail("policy show", document.status());
    put_json(*document);
    return kYes;
  }
  put_line(fmt::format("{}: {}", policy->id, policy->title));
  put_line(fmt::format("{}, {}, {}", policy->jurisdiction, policy->status, window(*policy)));
  for (const policy::Rule& rule : policy->rules) show_rule(rule);
  for (const policy::Deadline& deadline : policy->deadlines) {
    put_line(fmt::format("within {} hours: {}", deadline.hours, deadline.duty));
  }
  put_line(fmt::format("source ({}): {}", policy->grade, policy->citation));
  for (const std::string& note : policy->notes) put_line("note: " + note);
  put_line("sha256 " + policy->sha256);
  return kYes;
}

// What can be read and yet is easily not meant.
std::vector<std::string> doubts(const policy::Policy& policy) {
  std::vector<std::string> doubts;
  if (policy.grade == "memory") doubts.push_back("its citation is from memory");
  if (policy::built_in_bytes(policy.id) != std::string_view() &&
      policy::load(policy.id)->sha256 != policy.sha256) {
    doubts.push_back("a policy that is built in has the same id and says something else");
  }
  for (const policy::Rule& rule : policy.rules) {
    if (rule.relative && !rule.relative->substitute) {
      doubts.push_back(fmt::format(
          "rule {}: without the parent's operations the answer is unknown (no substitute)",
          rule.name));
    }
  }
  return doubts;
}

int lint(const std::string& path, bool json) {
  const auto policy = policy::load(path);
  if (!policy.ok()) return fail("policy lint", policy.status());
  Json remarks = Json::array();
  for (const std::string& doubt : doubts(*policy)) remarks.push(doubt);
  if (json) {
    put_json(Json::object(
        {{"id", policy->id}, {"sha256", policy->sha256}, {"remarks", std::move(remarks)}}));
    return kYes;
  }
  put_line(fmt::format("{}: a policy, {} rule{}; sha256 {}", policy->id, policy->rules.size(),
                       policy->rules.size() == 1 ? "" : "s", policy->sha256));
  for (const Json& remark : remarks.items()) put_line("remark: " + remark.as_string());
  return kYes;
}

void add_judge(const Verb& group) {
  const Verb verb = group.verb("judge", "Holds plain numbers against a policy");
  auto words = std::make_shared<JudgeWords>();
  verb.needs("POLICY", words->policy, "Id or file");
  verb.needs("--operations", words->operations, "Operations, e.g. 3e25");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Exit code 0 below, approaching or not applicable, 3 reached, 5 unknown.\n\n"
      "Example:\n"
      "  account policy judge us-ca-sb1047-enrolled --operations 3e25 --cost 20000000");
  verb.does([words] { return judge(*words); });
}

}  // namespace

void add_policy(const Verb& program) {
  const Verb group =
      program.verb("policy", "Dated legal thresholds: list, show, judge, lint, acknowledge");
  group.footer("Example:\n  account policy list");
  add_judge(group);

  const Verb list_verb = group.verb("list", "The policies that are built in");
  auto json = std::make_shared<bool>(false);
  list_verb.flag("--json", *json, "As JSON");
  list_verb.footer("Example:\n  account policy list --json");
  list_verb.does([json] { return list(*json); });

  const Verb show_verb = group.verb("show", "What one policy says, and its source");
  auto id = std::make_shared<std::string>();
  auto show_json = std::make_shared<bool>(false);
  show_verb.needs("POLICY", *id, "Id or file");
  show_verb.flag("--json", *show_json, "As JSON");
  show_verb.footer("Example:\n  account policy show eu-aia-51");
  show_verb.does([id, show_json] { return show(*id, *show_json); });

  const Verb lint_verb = group.verb("lint", "Whether a file is a policy, and what is odd about it");
  auto path = std::make_shared<std::string>();
  auto lint_json = std::make_shared<bool>(false);
  lint_verb.needs("POLICY", *path, "File (or id)");
  lint_verb.flag("--json", *lint_json, "As JSON");
  lint_verb.footer(
      "Exit code 0 where it can be read (remarks are no faults), 2 where it cannot.\n\n"
      "Example:\n  account policy lint our-limit.json");
  lint_verb.does([path, lint_json] { return lint(*path, *lint_json); });

  add_acknowledge(group);
}

}  // namespace account::cli
