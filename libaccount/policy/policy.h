// Policies: dated legal thresholds as data, and the engine that judges plain facts by them.
// libaccount/doc/policy_format.md is the file format. Must know neither ledger nor record.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/keys.h"
#include "account/op_count.h"
#include "account/status.h"
#include "base/json.h"

namespace account::policy {

enum class Truth { no, yes, unknown };

enum class Operator { greater, greater_or_equal };
std::string_view name(Truth truth);    // "no", "yes", "unknown"
std::string_view symbol(Operator op);  // ">", ">="
// "3e25" where that is exact, else all digits; OpCount::from_text reads both.
std::string exact_text(OpCount count);

// Which counted operations a rule counts.
struct Counted {
  std::vector<Category> categories;  // `unassigned` is always counted as well
  std::vector<Phase> phases;
};

struct Rule {
  std::string name;        // "fine-tune"
  std::string applies_to;  // sentence for people
  Operator op = Operator::greater;
  OpCount operations;                      // the threshold
  bool cumulative = false;                 // a parent's operations count as well
  std::optional<uint64_t> cost_above_usd;  // conjunctive
  // What takes its place from a date on (adjusted for inflation), in the order of the dates.
  struct CostLimit {
    std::string from;  // "YYYY-MM-DD"
    uint64_t above_usd = 0;
  };
  std::vector<CostLimit> cost_limits;
  // Share of the parent's operations: own x denominator > numerator x parent.
  struct Relative {
    uint64_t numerator = 0, denominator = 1;
    Operator op = Operator::greater;
    std::optional<OpCount> substitute;  // threshold where the parent is unknown
  };
  std::optional<Relative> relative;
  Counted counted;
};

struct Deadline {
  std::string duty;
  int64_t hours = 0;
  bool after_incident = true;  // false: after the threshold was reached
};

struct Policy {
  std::string id, title, jurisdiction, status;  // status: in_force|vetoed|superseded|proposed
  std::string effective_from, effective_to;     // "YYYY-MM-DD"; to may be empty
  std::vector<Rule> rules;
  std::vector<Deadline> deadlines;
  std::string citation, grade;  // grade: primary|secondary|memory
  std::vector<std::string> notes;
  std::string sha256;  // of the file's bytes
};

inline constexpr uint64_t kFileCapBytes = uint64_t{256} * 1024;  // the largest ships with 3 KiB

Result<Policy> parse(std::string_view bytes);  // strict: unknown fields refused
const std::vector<std::string>& built_in_ids();
// Those that judge a run that names none: they concern every training, whoever does it.
const std::vector<std::string>& default_ids();
Result<Policy> load(std::string_view id_or_path);  // built in by id, else a file
Result<std::string> load_bytes(std::string_view id_or_path);
std::string_view built_in_bytes(std::string_view id);  // empty: no such id

struct Facts {
  // By category and phase; a single total goes under (unassigned, forward).
  std::map<std::pair<Category, Phase>, OpCount> operations;
  OpCount gap_bound;  // added to the counted operations for the upper figure
  // Of the model that training began from. Nothing: not stated. A cumulative rule then judges the
  // operations at hand alone, unless a parent of unknown size is known to exist.
  std::optional<OpCount> parent_operations;
  bool parent_unknown = false;
  // Where parents are known between two figures, or relative and cumulative rules may not rest on
  // the same: what a cumulative rule adds, at least and at most. Nothing: parent_operations.
  std::optional<OpCount> parent_sum, parent_sum_upper;
  std::optional<uint64_t> cost_usd;
  std::string date;  // "YYYY-MM-DD"
  Truth applies = Truth::unknown;
  double warning_level = 0.8;        // share of a threshold, to the millionth
  std::optional<OpCount> projected;  // operations expected at the end of the planned run
};

enum class Verdict { not_applicable, below, approaching, unknown, reached };
std::string_view name(Verdict verdict);

struct Test {
  std::string name;  // applies, date, operations, cost, relative
  Truth result;
  std::string because;
};

struct RuleJudgement {
  std::string rule;
  Verdict verdict;
  Operator op;
  OpCount counted, upper, threshold;
  // Not over: how many more operations reach the threshold. Over: how many lie beyond the first
  // that reached it. Whether that makes the rule's verdict `reached` is up to the other tests.
  OpCount margin;
  bool over = false;
  std::vector<Test> tests;
};

struct Judgement {
  std::string policy, policy_sha256, status, date;
  Verdict verdict;           // the gravest of its rules: reached > unknown > approaching > below
  size_t deciding_rule = 0;  // of the gravest verdict, the one whose threshold is nearest
  std::vector<RuleJudgement> rules;
  std::vector<std::string> remarks;  // "vetoed: never was law", "applies: assumed"
};

// The rule's limit in dollars on that date; the earliest where the date is none.
std::optional<uint64_t> cost_limit_on(const Rule& rule, std::string_view date);

// Pure and total: what is missing or makes no sense (a date that is none) is an unknown, never an
// error. libaccount/doc/policy_format.md has the table.
Judgement judge(const Policy& policy, const Facts& facts);
Json to_json(const Judgement& judgement);
std::vector<std::string> to_lines(const Judgement& judgement);  // for people

// 0 below, approaching, not applicable; 3 reached; 5 unknown.
int exit_code(Verdict verdict);

}  // namespace account::policy
