// Records as sums: each run once, the base apart from what was derived from it.
#include <algorithm>
#include <map>
#include <set>

#include "record/record.h"

namespace account::record {
namespace {

void add(OpCount& sum, OpCount count) { sum = saturating_add(sum, count); }

void add(Bounds& sum, const Bounds& more) {
  add(sum.low, more.low);
  add(sum.high, more.high);
}

// Runs and claims that stand on one side of the line, each run once: of two parts of it the one
// that counted more, since both begin where the run does.
class Side {
 public:
  void take(const std::vector<Part>& parts, const std::vector<Claim>& claims,
            const std::string& whose) {
    for (const Part& part : parts) {
      const Part*& known = parts_[part.identity];
      if (known == nullptr || known->executed < part.executed) known = &part;
    }
    // A claim has no identity of its own; an ancestor comes once.
    if (whose_.insert(whose).second) {
      for (const Claim& claim : claims) claims_.push_back(&claim);
    }
  }
  void drop(const std::string& identity) { parts_.erase(identity); }
  const std::map<std::string, const Part*>& parts() const { return parts_; }

  Bounds bounds() const {
    Bounds sum;
    for (const auto& [identity, part] : parts_) add(sum, {part->executed, part->upper});
    for (const Claim* claim : claims_) add(sum, {claim->low, claim->high});
    return sum;
  }
  Counters counters() const {
    Counters sum;
    for (const auto& [identity, part] : parts_) {
      for (const auto& [key, operations] : part->counters) add(sum[key], operations);
      if (part->counters.empty()) add(sum[kUndisclosed], part->executed);
    }
    for (const Claim* claim : claims_) add(sum[{claim->category, Phase::forward}], claim->low);
    return sum;
  }

 private:
  // Counted under every policy.
  static constexpr Counters::key_type kUndisclosed = {Category::unassigned, Phase::forward};

  std::map<std::string, const Part*> parts_;
  std::vector<const Claim*> claims_;
  std::set<std::string> whose_;
};

using ById = std::map<std::string, const Ancestor*>;

// All that one base took: itself and what it was made from.
void take_line(const ById& ancestors, const std::string& id, std::set<std::string>& seen,
               Side& side) {
  const auto found = ancestors.find(id);
  if (found == ancestors.end() || !seen.insert(id).second) return;
  side.take(found->second->parts, found->second->claims, id);
  for (const std::string& parent : found->second->parents) {
    take_line(ancestors, parent, seen, side);
  }
}

// The bases that something derived was made from directly.
std::set<std::string> nearest_bases(const Record& record, const ById& ancestors) {
  std::set<std::string> bases;
  const auto look = [&](const std::string& parent) {
    const auto found = ancestors.find(parent);
    if (found != ancestors.end() && found->second->base) bases.insert(parent);
  };
  for (const Parent& parent : record.parents) {
    if (!parent.teacher) look(parent.record);
  }
  for (const Ancestor& ancestor : record.lineage) {
    if (ancestor.base) continue;
    for (const std::string& parent : ancestor.parents) look(parent);
  }
  return bases;
}

std::optional<OpCount> least_base(const Record& record, const ById& ancestors) {
  std::optional<OpCount> least;
  for (const std::string& base : nearest_bases(record, ancestors)) {
    Side side;
    std::set<std::string> seen;
    take_line(ancestors, base, seen, side);
    const OpCount low = side.bounds().low;
    if (!least || low < *least) least = low;
  }
  return least;
}

bool has_unknown(const Record& record) {
  const auto unknown = [](const Ancestor& ancestor) {
    return std::count(ancestor.parents.begin(), ancestor.parents.end(), "") > 0;
  };
  return std::any_of(record.parents.begin(), record.parents.end(),
                     [](const Parent& p) { return !p.teacher && p.record.empty(); }) ||
         std::any_of(record.lineage.begin(), record.lineage.end(), unknown);
}

}  // namespace

Sums sum_up(const Record& record) {
  ById ancestors;
  for (const Ancestor& ancestor : record.lineage) ancestors[ancestor.record] = &ancestor;
  Side own, derived, base;
  own.take(record.parts, record.claims, "");
  derived.take(record.parts, record.claims, "");
  for (const Ancestor& ancestor : record.lineage) {
    (ancestor.base ? base : derived).take(ancestor.parts, ancestor.claims, ancestor.record);
  }
  // A run on both sides counts as the heavier one for whoever made this: as derived.
  for (const auto& [identity, part] : derived.parts()) base.drop(identity);
  Sums sums;
  sums.own = own.bounds();
  sums.derived = derived.bounds();
  sums.base = base.bounds();
  sums.least_base = least_base(record, ancestors);
  sums.unknown = has_unknown(record);
  sums.derived_counters = derived.counters();
  return sums;
}

policy::Facts facts_of(const Record& record, bool parents_verified) {
  const Sums sums = sum_up(record);
  policy::Facts facts;
  facts.operations = sums.derived_counters;
  facts.gap_bound = checked_subtract(sums.derived.high, sums.derived.low).value_or(OpCount());
  facts.cost_usd = record.cost_usd;
  facts.parent_unknown = sums.unknown;
  if (!record.lineage.empty() || sums.unknown) {
    facts.parent_sum = sums.base.low;
    facts.parent_sum_upper = sums.base.high;
    if (parents_verified && !sums.unknown) facts.parent_operations = sums.least_base;
  }
  return facts;
}

std::vector<Ancestor> lineage_from(const std::vector<SignedRecord>& parents,
                                   const std::vector<Parent>& named) {
  std::vector<Ancestor> lineage;
  const auto put = [&](Ancestor ancestor) {
    const auto known = std::find_if(lineage.begin(), lineage.end(),
                                    [&](const Ancestor& a) { return a.record == ancestor.record; });
    if (known == lineage.end()) {
      lineage.push_back(std::move(ancestor));
    } else if (!ancestor.base) {
      known->base = false;  // part of somebody's derivation: counted there
    }
  };
  for (const Parent& parent : named) {
    if (parent.teacher || parent.record.empty()) continue;
    const auto found = std::find_if(parents.begin(), parents.end(),
                                    [&](const SignedRecord& p) { return p.id == parent.record; });
    if (found == parents.end()) continue;
    const Record& record = found->record;
    const bool base = is_base(record.kind);
    for (Ancestor ancestor : record.lineage) {
      ancestor.base = ancestor.base || base;
      put(std::move(ancestor));
    }
    std::vector<std::string> from;
    for (const Parent& p : record.parents) {
      if (!p.teacher) from.push_back(p.record);
    }
    put({found->id, record.model, record.kind, base, std::move(from), record.parts, record.claims});
  }
  return lineage;
}

}  // namespace account::record
