// The strict reader of policy files (libaccount/doc/policy_format.md). A file that this accepts
// says one thing only; whatever is unknown, doubled or out of shape is refused by name.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "base/clock.h"
#include "policy/policy.h"
#include "sign/sign.h"

namespace account::policy {
namespace {

constexpr std::string_view kFormat = "account-policy-1";
constexpr std::array<std::string_view, 4> kStatuses = {"in_force", "vetoed", "superseded",
                                                       "proposed"};
// primary: the text itself was read. secondary: agreeing reports of it. memory: to be checked.
constexpr std::array<std::string_view, 3> kGrades = {"primary", "secondary", "memory"};

Status corrupt(std::string fault) { return {Code::corrupt, std::move(fault)}; }

template <size_t N>
Result<std::string> one_of(const Json& object, std::string_view member,
                           const std::array<std::string_view, N>& words) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string word, object.get_string(member));
  if (std::find(words.begin(), words.end(), word) == words.end()) {
    return corrupt(
        fmt::format("member '{}' is '{}', not one of {}", member, word, fmt::join(words, ", ")));
  }
  return word;
}

Result<Operator> get_operator(const Json& object) {
  constexpr std::array<std::string_view, 2> kOperators = {">", ">="};
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text, one_of(object, "operator", kOperators));
  return text == ">" ? Operator::greater : Operator::greater_or_equal;
}

Result<std::string> get_text(const Json& object, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string text, object.get_string(member));
  if (text.empty()) return corrupt(fmt::format("member '{}' is empty", member));
  return text;
}

Result<std::string> get_date(const Json& object, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string date, object.get_string(member));
  const auto days = days_from_iso_date(date);
  if (!days.ok()) return corrupt(fmt::format("member '{}': {}", member, days.status().fault()));
  return date;
}

// Ids name files and stand on command lines.
Status check_id(std::string_view id) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (id.empty() || id.size() > 64 || !std::all_of(id.begin(), id.end(), fits)) {
    return corrupt(fmt::format("member 'id' is '{}'; an id is 1 to 64 of a-z, 0-9 and -", id));
  }
  return {};
}

// The words of an array, each known to `from_name` and there once only.
template <typename Word, typename FromName>
Result<std::vector<Word>> get_words(const Json& object, std::string_view member,
                                    FromName from_name) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* array, object.get_array(member));
  if (array->items().empty()) return corrupt(fmt::format("member '{}' is empty", member));
  std::vector<Word> words;
  for (const Json& item : array->items()) {
    if (item.kind() != Json::Kind::string) {
      return corrupt(fmt::format("member '{}' holds what is no string", member));
    }
    const auto word = from_name(item.as_string());
    if (!word)
      return corrupt(fmt::format("member '{}': no such word '{}'", member, item.as_string()));
    if (std::find(words.begin(), words.end(), *word) != words.end()) {
      return corrupt(fmt::format("member '{}' holds '{}' twice", member, item.as_string()));
    }
    words.push_back(*word);
  }
  return words;
}

Result<Counted> parse_counted(const Json& object) {
  ACCOUNT_RETURN_IF_ERROR(object.only_members({"categories", "phases"}));
  Counted counted;
  ACCOUNT_ASSIGN_OR_RETURN(counted.categories,
                           get_words<Category>(object, "categories", category_from_name));
  ACCOUNT_ASSIGN_OR_RETURN(counted.phases, get_words<Phase>(object, "phases", phase_from_name));
  const auto& categories = counted.categories;
  if (std::find(categories.begin(), categories.end(), Category::unassigned) != categories.end()) {
    return corrupt("member 'categories' holds 'unassigned', which always counts; leave it out");
  }
  return counted;
}

Result<Rule::Relative> parse_relative(const Json& object) {
  ACCOUNT_RETURN_IF_ERROR(
      object.only_members({"numerator", "denominator", "operator", "substitute"}));
  Rule::Relative relative;
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t numerator, object.get_integer("numerator"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t denominator, object.get_integer("denominator"));
  if (numerator < 1 || denominator < 1) {
    return corrupt("a share needs a numerator and a denominator of at least 1");
  }
  relative.numerator = static_cast<uint64_t>(numerator);
  relative.denominator = static_cast<uint64_t>(denominator);
  ACCOUNT_ASSIGN_OR_RETURN(relative.op, get_operator(object));
  if (object.find("substitute") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(relative.substitute, object.get_op_count("substitute"));
  }
  return relative;
}

Result<uint64_t> get_dollars(const Json& object, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount usd, object.get_op_count(member));
  if (usd.high() != 0) return corrupt(fmt::format("member '{}' is beyond 2^64 - 1", member));
  return usd.low();
}

Result<std::vector<Rule::CostLimit>> parse_cost_limits(const Json& array) {
  std::vector<Rule::CostLimit> limits;
  for (const Json& item : array.items()) {
    if (item.kind() != Json::Kind::object) return corrupt("a cost limit is no object");
    ACCOUNT_RETURN_IF_ERROR(item.only_members({"from", "above_usd"}));
    Rule::CostLimit limit;
    ACCOUNT_ASSIGN_OR_RETURN(limit.from, get_date(item, "from"));
    ACCOUNT_ASSIGN_OR_RETURN(limit.above_usd, get_dollars(item, "above_usd"));
    if (!limits.empty() && limit.from <= limits.back().from) {
      return corrupt(fmt::format("member 'cost_limits': '{}' does not come after '{}'", limit.from,
                                 limits.back().from));
    }
    limits.push_back(std::move(limit));
  }
  return limits;
}

Result<Rule> parse_rule(const Json& object) {
  if (object.kind() != Json::Kind::object) return corrupt("is no object");
  ACCOUNT_RETURN_IF_ERROR(
      object.only_members({"name", "applies_to", "operator", "operations", "cumulative",
                           "cost_above_usd", "cost_limits", "relative", "counts"}));
  Rule rule;
  ACCOUNT_ASSIGN_OR_RETURN(rule.name, get_text(object, "name"));
  ACCOUNT_ASSIGN_OR_RETURN(rule.applies_to, get_text(object, "applies_to"));
  ACCOUNT_ASSIGN_OR_RETURN(rule.op, get_operator(object));
  ACCOUNT_ASSIGN_OR_RETURN(rule.operations, object.get_op_count("operations"));
  ACCOUNT_ASSIGN_OR_RETURN(rule.cumulative, object.get_bool("cumulative"));
  if (object.find("cost_above_usd") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(rule.cost_above_usd, get_dollars(object, "cost_above_usd"));
  }
  if (object.find("cost_limits") != nullptr) {
    if (!rule.cost_above_usd) return corrupt("member 'cost_limits' needs a 'cost_above_usd'");
    ACCOUNT_ASSIGN_OR_RETURN(const Json* limits, object.get_array("cost_limits"));
    ACCOUNT_ASSIGN_OR_RETURN(rule.cost_limits, parse_cost_limits(*limits));
  }
  if (object.find("relative") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* relative, object.get_object("relative"));
    auto parsed = parse_relative(*relative);
    if (!parsed.ok()) return parsed.status().with_context("member 'relative'");
    rule.relative = *parsed;
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* counts, object.get_object("counts"));
  auto counted = parse_counted(*counts);
  if (!counted.ok()) return counted.status().with_context("member 'counts'");
  rule.counted = std::move(counted).value();
  return rule;
}

Result<std::vector<Rule>> parse_rules(const Json& array) {
  if (array.items().empty()) return corrupt("member 'rules' is empty");
  std::vector<Rule> rules;
  std::set<std::string> names;
  for (const Json& item : array.items()) {
    auto rule = parse_rule(item);
    if (!rule.ok()) return rule.status().with_context(fmt::format("rule {}", rules.size() + 1));
    if (!names.insert(rule->name).second) {
      return corrupt(fmt::format("two rules are named '{}'", rule->name));
    }
    rules.push_back(std::move(rule).value());
  }
  return rules;
}

Result<std::vector<Deadline>> parse_deadlines(const Json& array) {
  std::vector<Deadline> deadlines;
  for (const Json& item : array.items()) {
    if (item.kind() != Json::Kind::object) return corrupt("a deadline is no object");
    ACCOUNT_RETURN_IF_ERROR(item.only_members({"duty", "hours", "after"}));
    Deadline deadline;
    ACCOUNT_ASSIGN_OR_RETURN(deadline.duty, get_text(item, "duty"));
    ACCOUNT_ASSIGN_OR_RETURN(deadline.hours, item.get_integer("hours"));
    if (deadline.hours < 0) return corrupt("member 'hours' is negative");
    if (item.find("after") != nullptr) {
      ACCOUNT_ASSIGN_OR_RETURN(const std::string after, item.get_string("after"));
      if (after != "incident" && after != "threshold") {
        return corrupt("member 'after' is neither 'incident' nor 'threshold'");
      }
      deadline.after_incident = after == "incident";
    }
    deadlines.push_back(std::move(deadline));
  }
  return deadlines;
}

Result<std::vector<std::string>> parse_notes(const Json& array) {
  std::vector<std::string> notes;
  for (const Json& item : array.items()) {
    if (item.kind() != Json::Kind::string) return corrupt("a note is no string");
    notes.push_back(item.as_string());
  }
  return notes;
}

Status parse_dates(const Json& document, Policy& policy) {
  ACCOUNT_ASSIGN_OR_RETURN(policy.effective_from, get_date(document, "effective_from"));
  if (document.find("effective_to") == nullptr) return {};
  ACCOUNT_ASSIGN_OR_RETURN(policy.effective_to, get_date(document, "effective_to"));
  // Dates of this form sort as text.
  if (policy.effective_to < policy.effective_from) {
    return corrupt("member 'effective_to' is before 'effective_from'");
  }
  return {};
}

Result<Policy> parse_document(const Json& document) {
  if (document.kind() != Json::Kind::object) return corrupt("a policy is a JSON object");
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) {
    return corrupt(
        fmt::format("format '{}' is not '{}', which this version reads", format, kFormat));
  }
  ACCOUNT_RETURN_IF_ERROR(
      document.only_members({"format", "id", "title", "jurisdiction", "status", "effective_from",
                             "effective_to", "rules", "deadlines", "citation", "grade", "notes"}));
  Policy policy;
  ACCOUNT_ASSIGN_OR_RETURN(policy.id, document.get_string("id"));
  ACCOUNT_RETURN_IF_ERROR(check_id(policy.id));
  ACCOUNT_ASSIGN_OR_RETURN(policy.title, get_text(document, "title"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.jurisdiction, get_text(document, "jurisdiction"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.status, one_of(document, "status", kStatuses));
  ACCOUNT_RETURN_IF_ERROR(parse_dates(document, policy));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* rules, document.get_array("rules"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.rules, parse_rules(*rules));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* deadlines, document.get_array("deadlines"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.deadlines, parse_deadlines(*deadlines));
  ACCOUNT_ASSIGN_OR_RETURN(policy.citation, get_text(document, "citation"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.grade, one_of(document, "grade", kGrades));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* notes, document.get_array("notes"));
  ACCOUNT_ASSIGN_OR_RETURN(policy.notes, parse_notes(*notes));
  return policy;
}

}  // namespace

Result<Policy> parse(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kFileCapBytes));
  ACCOUNT_ASSIGN_OR_RETURN(Policy policy, parse_document(document));
  policy.sha256 = sign::to_hex(sign::sha256(bytes));
  return policy;
}

}  // namespace account::policy
