// The engine: plain facts against one policy. libaccount/doc/policy_format.md has the table of
// verdicts. Must not know where facts come from.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "policy/policy.h"

namespace account::policy {
namespace {

constexpr uint64_t kMillion = 1'000'000;

Truth truth(bool value) { return value ? Truth::yes : Truth::no; }

// Kleene's AND: a no decides, else an unknown stays one.
Truth both(Truth a, Truth b) {
  if (a == Truth::no || b == Truth::no) return Truth::no;
  return a == Truth::unknown || b == Truth::unknown ? Truth::unknown : Truth::yes;
}

struct Share {
  OpCount floor;
  bool whole = true;
};

// numerator/denominator of `whole`, without leaving 128 bits on the way: with
// whole = q x d + r, n x whole / d = n x q + n x r / d, and n x r < 2^128. Saturates where the
// share itself is beyond 128 bits.
Share share_of(OpCount whole, uint64_t numerator, uint64_t denominator) {
  const Uint128 quotient = whole.raw() / denominator;
  const Uint128 rest = static_cast<Uint128>(numerator) * (whole.raw() % denominator);
  const OpCount floor = saturating_add(saturating_multiply(OpCount::from_raw(quotient), numerator),
                                       OpCount::from_raw(rest / denominator));
  return {floor, rest % denominator == 0};
}

// A line that operations cross. Whole numbers only, so "> 10^25" is crossed first at 10^25 + 1.
struct Line {
  Operator op = Operator::greater;
  OpCount threshold;

  bool crossed_by(OpCount count) const {
    return op == Operator::greater ? count > threshold : count >= threshold;
  }
  OpCount first() const {
    return op == Operator::greater ? saturating_add(threshold, 1) : threshold;
  }
};

// counted x denominator > numerator x parent, as a line that whole counts cross at the same place:
// c > x is c > floor(x), and c >= x is c >= ceil(x).
Line line_of(const Rule::Relative& relative, OpCount parent) {
  const Share share = share_of(parent, relative.numerator, relative.denominator);
  const bool round_up = relative.op == Operator::greater_or_equal && !share.whole;
  return {relative.op, round_up ? saturating_add(share.floor, 1) : share.floor};
}

bool holds(const std::vector<Category>& categories, Category category) {
  return category == Category::unassigned ||
         std::find(categories.begin(), categories.end(), category) != categories.end();
}

OpCount counted_by(const Rule& rule, const Facts& facts) {
  OpCount sum;
  for (const auto& [key, operations] : facts.operations) {
    const auto& [category, phase] = key;
    const auto& phases = rule.counted.phases;
    if (!holds(rule.counted.categories, category)) continue;
    if (std::find(phases.begin(), phases.end(), phase) == phases.end()) continue;
    sum = saturating_add(sum, operations);
  }
  return sum;
}

// One compute test: a line, and what is held against it.
struct Compute {
  Line line;
  OpCount counted, upper;
  std::optional<OpCount> projected;
  bool unbounded = false;  // something of unknown size comes on top

  Truth result() const {
    if (line.crossed_by(counted)) return Truth::yes;
    return unbounded || line.crossed_by(upper) ? Truth::unknown : Truth::no;
  }
  OpCount margin() const {
    const OpCount first = line.first();
    return line.crossed_by(counted) ? checked_subtract(counted, first).value_or(OpCount())
                                    : checked_subtract(first, counted).value_or(OpCount());
  }
  bool projection_crosses() const { return projected && line.crossed_by(*projected); }
  bool at_warning_level(double level) const {
    if (!(level >= 0 && level <= 1)) return false;  // not a number included
    const auto millionths = static_cast<uint64_t>(std::llround(level * 1e6));
    return Line{
        Operator::greater_or_equal,
        line_of({millionths, kMillion, Operator::greater_or_equal, {}}, line.threshold).threshold}
        .crossed_by(counted);
  }
};

std::optional<OpCount> parent_sum(const Facts& facts) {
  return facts.parent_sum ? facts.parent_sum : facts.parent_operations;
}

Compute operations_test(const Rule& rule, const Facts& facts, OpCount own) {
  const OpCount parent = rule.cumulative ? parent_sum(facts).value_or(OpCount()) : OpCount();
  Compute test{{rule.op, rule.operations}, saturating_add(own, parent), {}, {}, false};
  const OpCount parent_most = rule.cumulative ? facts.parent_sum_upper.value_or(parent) : OpCount();
  test.upper = saturating_add(saturating_add(own, std::max(parent, parent_most)), facts.gap_bound);
  if (facts.projected) test.projected = saturating_add(*facts.projected, parent);
  test.unbounded = rule.cumulative && facts.parent_unknown;
  return test;
}

std::string why_operations(const Rule& rule, const Facts& facts, const Compute& test) {
  std::string why = fmt::format("counted {} {} {} {}", test.counted.to_decimal(),
                                test.line.crossed_by(test.counted) ? "is" : "is not",
                                symbol(rule.op), exact_text(rule.operations));
  if (const auto parent = parent_sum(facts); rule.cumulative && parent) {
    why += fmt::format(", the parent's {} included", parent->to_decimal());
  }
  if (test.unbounded) why += "; the parent's operations, which count as well, are unknown";
  if (test.result() == Truth::unknown && test.line.crossed_by(test.upper)) {
    why += fmt::format("; with the bound of all gaps it could be {}", test.upper.to_decimal());
  }
  return why;
}

// Nothing where the parent is unknown and the law names no substitute.
std::optional<Compute> relative_test(const Rule::Relative& relative, const Facts& facts,
                                     OpCount own) {
  Compute test{{}, own, saturating_add(own, facts.gap_bound), facts.projected, false};
  if (facts.parent_operations) {
    test.line = line_of(relative, *facts.parent_operations);
  } else if (relative.substitute) {
    test.line = {relative.op, *relative.substitute};
  } else {
    return std::nullopt;
  }
  return test;
}

std::string why_relative(const Rule::Relative& relative, const Facts& facts,
                         const std::optional<Compute>& test) {
  if (!test) return "the parent's operations are unknown";
  const bool crossed = test->line.crossed_by(test->counted);
  std::string why =
      facts.parent_operations
          ? fmt::format("{} x {} {} {} {} x the parent's {}", relative.denominator,
                        test->counted.to_decimal(), crossed ? "is" : "is not", symbol(relative.op),
                        relative.numerator, facts.parent_operations->to_decimal())
          : fmt::format("{} {} {} {}, the substitute where the parent's operations are unknown",
                        test->counted.to_decimal(), crossed ? "is" : "is not", symbol(relative.op),
                        exact_text(test->line.threshold));
  if (test->result() == Truth::unknown) {
    why += fmt::format("; with the bound of all gaps it could be {}", test->upper.to_decimal());
  }
  return why;
}

Test applies_test(const Facts& facts) {
  switch (facts.applies) {
    case Truth::yes:
      return {"applies", Truth::yes, "stated"};
    case Truth::no:
      return {"applies", Truth::no, "stated not to concern this model"};
    case Truth::unknown:
      break;
  }
  return {"applies", Truth::unknown, "not stated; taken as yes"};
}

Test date_test(const Policy& policy, const Facts& facts) {
  if (!days_from_iso_date(facts.date).ok()) {
    return {"date", Truth::unknown, "no date was given"};
  }
  // Dates of this form sort as text.
  if (facts.date < policy.effective_from) {
    return {"date", Truth::no, fmt::format("{} is before {}", facts.date, policy.effective_from)};
  }
  if (!policy.effective_to.empty() && facts.date > policy.effective_to) {
    return {"date", Truth::no, fmt::format("{} is after {}", facts.date, policy.effective_to)};
  }
  return {"date", Truth::yes,
          fmt::format("{} is on or after {}", facts.date, policy.effective_from)};
}

Test cost_test(uint64_t above, const std::optional<uint64_t>& cost) {
  if (!cost) return {"cost", Truth::unknown, fmt::format("not stated; above ${} counts", above)};
  return {"cost", truth(*cost > above),
          fmt::format("${} is {} ${}", *cost, *cost > above ? "above" : "not above", above)};
}

Verdict verdict_of(const std::vector<Test>& tests, const std::vector<Compute>& computes,
                   const Facts& facts) {
  Truth all = Truth::yes, besides_compute = Truth::yes;
  for (const Test& test : tests) {
    if (test.name == "applies") {
      if (test.result == Truth::no) return Verdict::not_applicable;
      continue;  // unknown: taken as yes
    }
    if (test.name == "date" && test.result == Truth::no) return Verdict::not_applicable;
    all = both(all, test.result);
    const bool is_compute = test.name == "operations" || test.name == "relative";
    if (!is_compute) besides_compute = both(besides_compute, test.result);
  }
  if (all == Truth::yes) return Verdict::reached;
  if (all == Truth::unknown) return Verdict::unknown;
  if (besides_compute == Truth::no) return Verdict::below;
  // Below only because of operations: all the lines that are not crossed yet must be near.
  const auto near = [&](const Compute& compute) {
    return compute.result() == Truth::yes || compute.at_warning_level(facts.warning_level) ||
           compute.projection_crosses();
  };
  return std::all_of(computes.begin(), computes.end(), near) ? Verdict::approaching
                                                             : Verdict::below;
}

// The compute test that is crossed last: its line is the rule's.
const Compute& deciding(const std::vector<Compute>& computes) {
  const auto farther = [](const Compute& a, const Compute& b) {
    const bool a_over = a.line.crossed_by(a.counted), b_over = b.line.crossed_by(b.counted);
    if (a_over != b_over) return a_over;
    return a_over ? a.margin() > b.margin() : a.margin() < b.margin();
  };
  return *std::max_element(computes.begin(), computes.end(), farther);
}

RuleJudgement judge_rule(const Rule& rule, const Facts& facts, const Test& applies,
                         const Test& date) {
  const OpCount own = counted_by(rule, facts);
  std::vector<Compute> computes = {operations_test(rule, facts, own)};
  std::vector<Test> tests = {
      applies,
      date,
      {"operations", computes[0].result(), why_operations(rule, facts, computes[0])}};
  if (const auto limit = cost_limit_on(rule, facts.date)) {
    tests.push_back(cost_test(*limit, facts.cost_usd));
  }
  if (rule.relative) {
    const auto relative = relative_test(*rule.relative, facts, own);
    tests.push_back({"relative", relative ? relative->result() : Truth::unknown,
                     why_relative(*rule.relative, facts, relative)});
    if (relative) computes.push_back(*relative);
  }
  const Compute& last = deciding(computes);
  RuleJudgement judgement{rule.name,       verdict_of(tests, computes, facts),
                          last.line.op,    last.counted,
                          last.upper,      last.line.threshold,
                          last.margin(),   last.line.crossed_by(last.counted),
                          std::move(tests)};
  return judgement;
}

// Graver first, then the rule whose threshold is passed, then the one whose threshold is nearest.
bool decides_over(const RuleJudgement& a, const RuleJudgement& b) {
  if (a.verdict != b.verdict) return a.verdict > b.verdict;
  if (a.over != b.over) return a.over;
  return !a.over && a.margin < b.margin;
}

std::vector<std::string> remarks_on(const Policy& policy, const Judgement& judgement,
                                    const Facts& facts) {
  std::vector<std::string> remarks;
  if (policy.status == "vetoed") {
    remarks.push_back(
        fmt::format("vetoed: it never was law, and is judged as if it had come into force on {}",
                    policy.effective_from));
  } else if (policy.status == "proposed") {
    remarks.push_back("proposed: it is not law");
  } else if (policy.status == "superseded") {
    remarks.push_back("superseded: other rules stand in its place");
  }
  const bool matters =
      judgement.verdict != Verdict::below && judgement.verdict != Verdict::not_applicable;
  if (facts.applies == Truth::unknown && matters) {
    remarks.push_back("applies: whether it concerns this model was not stated and is taken as yes");
  }
  return remarks;
}

}  // namespace

std::optional<uint64_t> cost_limit_on(const Rule& rule, std::string_view date) {
  std::optional<uint64_t> limit = rule.cost_above_usd;
  for (const Rule::CostLimit& later : rule.cost_limits) {
    if (date >= later.from) limit = later.above_usd;  // dates of this form sort as text
  }
  return limit;
}

Judgement judge(const Policy& policy, const Facts& facts) {
  Judgement judgement;
  judgement.policy = policy.id;
  judgement.policy_sha256 = policy.sha256;
  judgement.status = policy.status;
  judgement.date = facts.date;
  judgement.verdict = Verdict::not_applicable;
  const Test applies = applies_test(facts), date = date_test(policy, facts);
  for (const Rule& rule : policy.rules) {
    judgement.rules.push_back(judge_rule(rule, facts, applies, date));
    const size_t here = judgement.rules.size() - 1;
    if (here == 0 ||
        decides_over(judgement.rules[here], judgement.rules[judgement.deciding_rule])) {
      judgement.deciding_rule = here;
      judgement.verdict = judgement.rules[here].verdict;
    }
  }
  judgement.remarks = remarks_on(policy, judgement, facts);
  return judgement;
}

}  // namespace account::policy
