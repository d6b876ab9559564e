// What `account run`, `account keeper` and `account may-start` share: how a process of this program
// hosts a keeper, or asks what one would say.
#pragma once

#include <string>
#include <vector>

#include "account/status.h"
#include "cli/verb.h"
#include "keeper/keeper.h"
#include "run/settings.h"

namespace account::cli {

// The options that both verbs take.
struct HostWords {
  std::string dir, run, model, node, authority, exchange, resume, developer, setting, metrics;
  std::vector<std::string> policies, parents;
  bool quiet = false, lease = false;
};
void add_host_options(const Verb& verb, HostWords& words);

// Settings as Run::start() computes them, with the words before the environment.
Result<Settings> settings_from(const HostWords& words, const Environment& environment);

// The keeper's options that follow from settings and environment (ACCOUNT_SEAL_SECONDS).
Result<keeper::KeeperOptions> keeper_options(const Settings& settings,
                                             const Environment& environment);

// Where the job's weights come from, by the checkpoint and the records that it names. Fails, naming
// the file, where one is missing or does not verify.
Status add_origins(const Settings& settings, keeper::KeeperOptions& options);

// By this a stopped job is known again under another run id: the words, and who runs them.
std::string command_digest(const std::vector<std::string>& words);

keeper::Surroundings real_surroundings();

}  // namespace account::cli
