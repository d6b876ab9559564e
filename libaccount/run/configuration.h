// Configuration: account.toml, what a project says once of all its jobs. Its values stand where a
// variable of the environment would and is not set; words and options go before both. What it says
// of an authority, of the setting and of a lease only ever adds: no weaker source takes it away.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "run/settings.h"

namespace account {

struct Configuration {
  std::string path;                           // absolute; empty: there is none
  std::map<std::string, std::string> values;  // by variable ("ACCOUNT_DIR"); paths are absolute
};

// `text` as the file at `path`. invalid_argument, with line or key: what is no TOML, a key that is
// unknown (with the nearest that is known), a value of another type.
Result<Configuration> parse_configuration(std::string_view text, const std::string& path);

// The file that ACCOUNT_CONFIG names, which must be there; else account.toml of the current
// folder; else none. Under ACCOUNT=off nothing is read.
Result<Configuration> read_configuration(const Environment& environment);

Environment configured(Environment environment, Configuration configuration);

// Of this process. Fails where a file is there and cannot be used: it may name who can stop a job.
Result<Environment> configured_environment();

}  // namespace account
