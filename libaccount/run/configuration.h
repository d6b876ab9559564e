// Configuration: account.toml, what a project says once of all its jobs, and what a node says of
// all jobs on it. The project's values stand where a variable of the environment would and is not
// set, and the node's where the project says nothing; words and options go before all. What the
// files say of an authority, of the setting, of a lease and of what is required only ever adds: no
// weaker source takes it away, and of what the node says ACCOUNT=off does not either.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "run/settings.h"

namespace account {

// Note: [one node file] Whoever owns the node looks in one place, and no job is told of another: no
// variable, word or setting of a build moves it.
inline constexpr const char* kNodeConfiguration = "/etc/account/account.toml";

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

// The node's file; empty where there is none. Fails where it cannot be read, is malformed, or could
// be changed by others than root (and `also`, for tests).
Result<Configuration> read_node_configuration(const std::string& path = kNodeConfiguration,
                                              uid_t also = 0);

// `environment` with what the file says behind it; the project's first, the node's around that.
Environment configured(Environment environment, Configuration configuration);

// Of two settings the one with the higher number holds. A word that is none is the strictest, so
// that it is refused and not passed over.
int strictness(const std::string& setting);

// ok, or why ACCOUNT=off cannot be had: the node or ACCOUNT_REQUIRE asks for what it would take
// away.
Status may_be_off(const Environment& environment, const Configuration& node);

// Of this process. Fails where a file is there and cannot be used: it may name who can stop a job.
Result<Environment> configured_environment();

}  // namespace account
