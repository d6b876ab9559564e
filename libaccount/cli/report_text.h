// A ledger's report as JSON and as lines; shared by `verify`, `prove` and `status`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "record/make.h"

namespace account::cli {

// Whose signatures the user asks for, as files.
struct TrustWords {
  std::optional<std::string> key;      // the developer's .pub
  std::vector<std::string> witnesses;  // .pub
  std::vector<std::string> anchors;    // notes, or folders of them, besides the run's own
};
Result<record::Trust> read_trust(const TrustWords& words);  // all but the anchors

// Verifies the run that `word` names.
Result<ledger::Report> verify_run(const std::string& word, const TrustWords& trust);

// The same of several; fails where one does not verify, and where one is given twice.
Result<std::vector<ledger::Report>> verify_runs(const std::vector<std::string>& words,
                                                const TrustWords& trust);

Json to_json(const ledger::Report& report);
void put_report(const ledger::Report& report);

// The first problem as a failure: its place, its fault, and how many more there are.
Status first_problem(const ledger::Report& report);

// What an assurance level means, e.g. "L0 counted".
std::string level_text(const std::string& level);

}  // namespace account::cli
