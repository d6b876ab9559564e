// Live judgement.
#include "keeper/judge.h"

#include <algorithm>

namespace account::keeper {
namespace {

bool closer(const Distance& a, const Distance& b) { return a.share < b.share; }

}  // namespace

Status Judge::add(const std::string& id_or_path) {
  ACCOUNT_ASSIGN_OR_RETURN(policy::Policy loaded, policy::load(id_or_path));
  const bool known = std::any_of(policies_.begin(), policies_.end(),
                                 [&](const auto& other) { return other.sha256 == loaded.sha256; });
  if (!known) policies_.push_back(std::move(loaded));
  return Status();
}

std::vector<std::string> Judge::ids() const {
  std::vector<std::string> ids;
  for (const auto& policy : policies_) ids.push_back(policy.id);
  return ids;
}

std::vector<Json> Judge::references() const {
  std::vector<Json> references;
  for (const auto& policy : policies_) {
    references.push_back(Json::object({{"id", policy.id}, {"sha256", policy.sha256}}));
  }
  return references;
}

std::vector<Distance> Judge::distances(const Operations& operations,
                                       std::string_view iso_date) const {
  policy::Facts facts;
  facts.operations = operations;
  facts.date = iso_date;
  std::vector<Distance> distances;
  for (const auto& policy : policies_) {
    const policy::Judgement judgement = policy::judge(policy, facts);
    if (judgement.verdict == policy::Verdict::not_applicable) continue;
    std::vector<Distance> rules;
    for (const auto& rule : judgement.rules) {
      Distance distance{policy.id,   rule.rule, judgement.verdict, rule.counted, rule.threshold,
                        rule.margin, 0};
      if (rule.threshold > OpCount()) {
        distance.share = rule.counted.to_double() / rule.threshold.to_double();
      }
      rules.push_back(distance);
    }
    const auto most = std::max_element(rules.begin(), rules.end(), closer);
    if (most != rules.end()) distances.push_back(*most);
  }
  return distances;
}

const Distance* nearest(const std::vector<Distance>& distances) {
  const auto most = std::max_element(distances.begin(), distances.end(), closer);
  return most == distances.end() ? nullptr : &*most;
}

}  // namespace account::keeper
