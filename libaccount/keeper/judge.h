// Judge: a job's policies over its live total. Must not know pages or ledgers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "keeper/job_totals.h"
#include "keeper/limits.h"
#include "policy/policy.h"

namespace account::keeper {

// How far a total is from one rule of one policy.
struct Distance {
  std::string policy, rule;
  policy::Verdict verdict = policy::Verdict::below;
  OpCount counted, threshold, margin;
  bool over = false;
  double share = 0;  // counted / threshold; for display only
};

class Judge {
 public:
  // "ID_OR_PATH", with what keeper/limits.h says may follow. One that is judged already is fine; an
  // unknown one fails with what policy::load says.
  Status add(const std::string& wish);

  bool empty() const { return policies_.empty(); }
  std::vector<std::string> ids() const;
  // For people: the ids, and after each what follows when it is reached.
  std::vector<std::string> words() const;
  const std::vector<Limit>& limits() const { return limits_; }
  // [{"id", "sha256"}], and "limits" where there are some, for the ledger's opening line.
  std::vector<Json> references() const;

  // The rule with the greatest share, of each policy that concerns this date.
  std::vector<Distance> distances(const Operations& operations, std::string_view iso_date) const;

 private:
  std::vector<policy::Policy> policies_;
  std::vector<Limit> limits_;
};

// Whether the total is at or over the limit's share of the threshold, exactly. At the whole of it
// the policy's rule decides, and a test whose facts are missing (what the run has cost) counts as
// met.
bool is_crossed(const Limit& limit, const Distance& distance);

// The one with the greatest share; nullptr where there are none.
const Distance* nearest(const std::vector<Distance>& distances);

}  // namespace account::keeper
