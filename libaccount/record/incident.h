// Incidents: something that a law wants reported, when it was learned of, and by when each regime
// wants its report. libaccount/doc/incident_format.md. Must not know who is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "ledger/ledger.h"
#include "policy/policy.h"
#include "sign/sign.h"

namespace account::record {

inline constexpr std::string_view kIncidentSuffix = ".incident.json";

struct IncidentDeadline {
  std::string policy, policy_sha256, duty;
  int64_t hours = 0;
  int64_t due_unix_ns = 0;
};

struct Incident {
  std::string what;  // for people
  std::string run;   // may be empty
  std::string line;  // of a ledger that it was drafted from: "node-1f00ba5e, 2026-11-27T10:00:00Z"
  bool draft = false;
  bool believed = false;  // known by reasonable belief rather than by learning of it
  int64_t learned_unix_ns = 0;
  std::vector<IncidentDeadline> deadlines;  // in the order of their times
  int64_t made_unix_ns = 0;
  std::string signer;
};

// The deadlines of these policies that are in force on the day, from that time on.
std::vector<IncidentDeadline> deadlines_from(const std::vector<policy::Policy>& policies,
                                             int64_t learned_unix_ns);

// What a run's ledgers hold that may be an incident: a refused export of weights, a stop that was
// not obeyed in time, orders and authorities that could not be read or did not verify. Drafts,
// learned of when their line was written, without deadlines.
std::vector<Incident> drafts_from(const ledger::Report& report);

// <folder>/<16 hex of its payload's digest>.incident.json; returns the path.
Result<std::string> write_incident(FileSystem& files, const std::string& folder,
                                   const Incident& incident, const sign::SecretKey& key);

struct FiledIncident {
  std::string path;
  Incident incident;
  sign::PublicKey key;
};
// All of a folder, by the time of their next deadline. corrupt, naming the file, where one does not
// verify by the key that it names.
Result<std::vector<FiledIncident>> read_incidents(FileSystem& files, const std::string& folder);

}  // namespace account::record
