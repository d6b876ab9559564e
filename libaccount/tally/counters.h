// From a page's cells to rows of counters: the same for the own process and for another's page.
#pragma once

#include <vector>

#include "tally/tally.h"

namespace account::tally {

// The rows, closed steps and what was processed, of all pages together. Safe on hostile bytes.
Counters read_pages(const std::vector<const PageLayout*>& pages);

// What `later` has more; 0 where it has less.
Processed difference(const Processed& later, const Processed& earlier) noexcept;

}  // namespace account::tally
