// From a page's cells to rows of counters: the same for the own process and for another's page.
#pragma once

#include <vector>

#include "tally/tally.h"

namespace account::tally {

// The rows and closed steps of all pages together. Safe on hostile bytes.
Counters read_pages(const std::vector<const PageLayout*>& pages);

}  // namespace account::tally
