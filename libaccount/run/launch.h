// Launch: makes a keeper process. The keeper is never a child of a rank: torchrun kills process
// groups, and a rank that waits for its children must not meet one that it does not know.
#pragma once

#include <string>

#include "account/status.h"
#include "run/settings.h"

namespace account {

// The `account` program: ACCOUNT_BIN, else beside the installed library (<lib>/../bin/account),
// else in PATH. not_found says where it was looked for.
Result<std::string> find_binary(const Settings& settings);

// Starts `account keeper` for this place in a session of its own and returns once it has detached.
// One that finds another keeper at work ends by itself.
Status launch_keeper(const Settings& settings);

}  // namespace account
