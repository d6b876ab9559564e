// What `account run` and `account keeper` share: how a process of this program hosts a keeper.
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
  std::string dir, run, model, node, authority;
  std::vector<std::string> policies;
  bool quiet = false;
};
void add_host_options(const Verb& verb, HostWords& words);

// Settings as Run::start() computes them, with the words before the environment.
Result<Settings> settings_from(const HostWords& words, const Environment& environment);

// The keeper's options that follow from settings and environment (ACCOUNT_SEAL_SECONDS).
Result<keeper::KeeperOptions> keeper_options(const Settings& settings,
                                             const Environment& environment);

keeper::Surroundings real_surroundings();

}  // namespace account::cli
