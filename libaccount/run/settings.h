// Settings: what a run is called, where it lives and who this process is in it, out of the options
// of Run::start() and the environment. Must not touch files or processes other than to ask who the
// parent is.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "account/run.h"
#include "account/status.h"
#include "keeper/place.h"
#include "tally/tally.h"

namespace account {

// getenv, or a table in tests. A variable that is empty counts as not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();

struct Settings {
  bool off = false;  // ACCOUNT=off
  bool quiet = false;
  keeper::Place place;
  std::string node_name;  // as given; empty: this machine
  std::string model, framework, authority;
  bool locks = false;                        // a process that is stopped locks itself
  bool lease = false;                        // the job trains only while it is leased
  bool require = false;                      // nothing here trains uncounted
  std::string developer, customer, cluster;  // whose job it is, for orders
  std::string scheduler_id, scheduler_name;  // as the scheduler calls it; empty: none does
  std::vector<std::string> policies;
  std::string resume;                // a checkpoint with a sidecar, or empty
  std::vector<std::string> parents;  // files of records, or weights that have one
  std::string exchange;  // ACCOUNT_EXCHANGE: a folder that all nodes share; absolute, or empty
  std::string metrics;   // ACCOUNT_METRICS: node_exporter's folder; absolute, or empty
  std::string binary;    // ACCOUNT_BIN, or empty
  tally::Identity identity;
};

// The name by which an environment tells the authorities of the files (run/configuration.h), that
// nobody can leave out; no variable is called so.
inline constexpr const char* kConfiguredAuthority = "account.toml: authority";

// Under `account run` (ACCOUNT_KEEPER is set) the environment decides run id and directory, so
// that all ranks meet its keeper; else an option goes before the environment.
Result<Settings> make_settings(const RunOptions& options, const Environment& environment);

// design.md §1, Identity: ACCOUNT_RUN, TORCHELASTIC_RUN_ID unless "none", a scheduler's job id,
// else date and 4 hex: random for a process alone, else the same for all ranks of one launcher.
// Fails for ranks on several nodes that share nothing to be named by.
Result<std::string> choose_run_id(const Environment& environment);

// "a,b" -> {"a", "b"}; empty parts are dropped.
std::vector<std::string> split_list(std::string_view text);
// "a,b" and "b,c" -> "a,b,c".
std::string join_lists(std::string one, std::string_view other);

}  // namespace account
