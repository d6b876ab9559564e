// Judge: a job's policies over its live total. Must not know pages or ledgers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "keeper/job_totals.h"
#include "policy/policy.h"

namespace account::keeper {

// How far a total is from one rule of one policy.
struct Distance {
  std::string policy, rule;
  policy::Verdict verdict = policy::Verdict::below;
  OpCount counted, threshold, margin;
  double share = 0;  // counted / threshold; for display only
};

class Judge {
 public:
  // An id that is judged already is fine; an unknown one fails with what policy::load says.
  Status add(const std::string& id_or_path);

  bool empty() const { return policies_.empty(); }
  std::vector<std::string> ids() const;
  // [{"id", "sha256"}] for the ledger's opening line.
  std::vector<Json> references() const;

  // The rule with the greatest share, of each policy that concerns this date.
  std::vector<Distance> distances(const Operations& operations, std::string_view iso_date) const;

 private:
  std::vector<policy::Policy> policies_;
};

// The one with the greatest share; nullptr where there are none.
const Distance* nearest(const std::vector<Distance>& distances);

}  // namespace account::keeper
