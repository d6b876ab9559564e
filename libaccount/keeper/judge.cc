// Live judgement.
#include "keeper/judge.h"

#include <algorithm>

namespace account::keeper {
namespace {

bool closer(const Distance& a, const Distance& b) { return a.share < b.share; }

}  // namespace

Status Judge::add(const std::string& wish) {
  ACCOUNT_ASSIGN_OR_RETURN(const PolicyWish parsed, parse_policy_wish(wish));
  ACCOUNT_ASSIGN_OR_RETURN(policy::Policy loaded, policy::load(parsed.id_or_path));
  if (parsed.limit) {
    Limit limit = *parsed.limit;
    limit.policy = loaded.id;
    const bool listed = std::ranges::any_of(
        limits_, [&](const Limit& other) { return other.spec() == limit.spec(); });
    if (!listed) limits_.push_back(std::move(limit));
  }
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

std::vector<std::string> Judge::words() const {
  std::vector<std::string> words = ids();
  for (std::string& word : words) {
    std::string limits;
    for (const Limit& limit : limits_) {
      if (limit.policy != word) continue;
      limits += (limits.empty() ? "" : ", ") + limit.spec().substr(word.size() + 1);
    }
    if (!limits.empty()) word += " (" + limits + ")";
  }
  return words;
}

std::vector<Json> Judge::references() const {
  std::vector<Json> references;
  for (const auto& policy : policies_) {
    Json reference = Json::object({{"id", policy.id}, {"sha256", policy.sha256}});
    Json specs = Json::array();
    for (const Limit& limit : limits_) {
      if (limit.policy == policy.id) specs.push(limit.spec());
    }
    if (!specs.items().empty()) reference.set("limits", specs);
    references.push_back(std::move(reference));
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
      Distance distance{policy.id,      rule.rule,   judgement.verdict, rule.counted,
                        rule.threshold, rule.margin, rule.over,         0};
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

bool is_crossed(const Limit& limit, const Distance& distance) {
  if (limit.policy != distance.policy) return false;
  constexpr uint32_t kWhole = 1'000'000;
  if (limit.millionths == kWhole) {
    return distance.over && (distance.verdict == policy::Verdict::reached ||
                             distance.verdict == policy::Verdict::unknown);
  }
  return saturating_multiply(distance.counted, kWhole) >=
         saturating_multiply(distance.threshold, limit.millionths);
}

}  // namespace account::keeper
