// A ledger's report as JSON and as lines; shared by `verify`, `prove` and `status`.
#pragma once

#include <optional>
#include <string>

#include "account/status.h"
#include "base/json.h"
#include "ledger/ledger.h"

namespace account::cli {

// Verifies the run that `word` names, with the key of the .pub file `key_path` if there is one.
// `place` is what to call the run in messages.
Result<ledger::Report> verify_run(const std::string& word,
                                  const std::optional<std::string>& key_path);

Json to_json(const ledger::Report& report);
void put_report(const ledger::Report& report);

// The first problem as a failure: its place, its fault, and how many more there are.
Status first_problem(const ledger::Report& report);

// What an assurance level means, e.g. "L0 counted".
std::string level_text(const std::string& level);

}  // namespace account::cli
