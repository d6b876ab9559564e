// Whether a process that takes part in no run may train: for hosts that would else go on.
#pragma once

#include "account/export.h"
#include "account/status.h"

namespace account {

// ok, or why not: the job is to obey an authority, counting is required, or what the node asks of
// its jobs (run/configuration.h) cannot be read.
ACCOUNT_API Status may_go_uncounted();

}  // namespace account
