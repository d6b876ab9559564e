// A rank's state at a stop: written locked, and read again after the lift.
#pragma once

#include <functional>

#include "account/run.h"
#include "base/clock.h"
#include "run/settings.h"
#include "tally/tally.h"

namespace account {

// Lets `save` write, where the stop that `page` obeys allows it and an authority's recovery keys
// can open it, for as long as it does; waits until the job's other ranks have written theirs, since
// a launcher ends all once the first one has left. What came of it is noted for the ledger.
void save_state(const Settings& settings, tally::Page& page, const Clock& clock,
                const std::function<Status(const Sink& to)>& save);

Result<SavedState> read_saved_state(const Settings& settings, const Sink& to);

}  // namespace account
