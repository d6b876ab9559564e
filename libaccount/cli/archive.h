// Making an archive; shared by `archive` and `prove --full`. libaccount/doc/archive_format.md.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "account/status.h"

namespace account::cli {

struct ArchiveWords {
  std::vector<std::string> runs, records, keys, policies, further;
  std::string out;                                        // a new folder
  std::optional<std::string> retain_until;                // else five years from today
  std::vector<std::pair<std::string, std::string>> more;  // further files: name and bytes
  bool json = false;
};

struct MadeArchive {
  size_t files = 0;
  std::string retain_until;
};
// unverified where a run or record does not verify. A folder whose filling failed has no manifest.
Result<MadeArchive> make_archive(const ArchiveWords& words);

}  // namespace account::cli
