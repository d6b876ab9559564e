// Billed device time, from what a scheduler or an invoice says: the ceiling of all that can have
// been computed in it, counted or not. docs/cli.md (`account ceiling`) has the forms of the files.
// Must not know runs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "account/op_count.h"
#include "account/status.h"

namespace account::policy {

struct Usage {
  std::map<std::string, uint64_t> device_seconds;  // by device, as the file names it; "" unnamed
  uint64_t rows = 0;                               // that held device time

  uint64_t total_seconds() const;
};

// Comma- or bar-separated with a header (`sacct --parsable2` too). Of jobs: ElapsedRaw or Elapsed,
// and AllocTRES; rows of job steps (JobID "12.0") repeat their job's and are left out. Of invoices:
// device_hours, or hours and devices; optionally device. corrupt, naming the line, otherwise.
Result<Usage> parse_usage(std::string_view bytes);

// "1200" or "1200.5", to seconds, rounded up.
Result<uint64_t> parse_hours(std::string_view text);

// What the devices can have computed in that time: seconds x the highest rate of each. Unnamed time
// is of `device`. not_found for a device that is not known, or was not said.
Result<OpCount> ceiling_of(const Usage& usage, const std::string& device);

}  // namespace account::policy
