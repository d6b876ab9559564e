// Place: where one run lives on one node. Rank and keeper compute it from the same three facts, so
// that they meet without talking. Must not know what is kept there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/status.h"

namespace account::keeper {

struct Place {
  std::string dir;   // absolute; where runs are kept
  std::string run;   // run id
  std::string node;  // 8 hex

  std::string run_folder() const;                 // <dir>/<run>
  std::vector<std::string> page_folders() const;  // tally::page_folders, best first
};

// `node_name` empty: this machine, by host name and machine id (two containers of one image differ
// by the former, two hosts called "localhost" by the latter). Else a name, so that two "nodes" can
// live on one machine. Fails where dir or run cannot be used.
Result<Place> make_place(std::string_view dir, std::string_view run, std::string_view node_name);

// The first 8 hex of SHA-256 over the name; stable, so that a restarted node resumes its ledger.
std::string node_id(std::string_view node_name);

// The file whose flock makes a process the keeper of a place.
inline constexpr std::string_view kLockName = "keeper.lock";
// What `account status` reads.
inline constexpr std::string_view kStatusName = "status.json";
// How the name of a tally page ends.
inline constexpr std::string_view kPageSuffix = ".tally";
// Where the keeper answers a rank's word of a save, beside its page: the checkpoint's sidecar.
std::string answer_path(std::string_view page, std::string_view save);
// Where a scheduler reads what an order came to: docs/stop_protocol.md, stop.json.
std::string stop_path(const Place& place);
// Where it says who could open what a stopped rank saves (gate::Recovery).
std::string recovery_path(const Place& place);

}  // namespace account::keeper
