// Anchors: a witness's cosignatures of the heads of a run's ledgers, made while it ran and after.
// What was anchored cannot be rewritten by whoever holds the run's keys.
// libaccount/doc/anchor_format.md. Must not know lines or counters.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "ledger/ledger.h"
#include "ledger/node_reader.h"
#include "sign/sign.h"

namespace account::ledger {

inline constexpr std::string_view kAnchorFolder = "anchors";

struct Anchor {
  std::string place;  // for messages: "anchors/1f00ba5e-12-aab53bf186c65dff.note"
  bool own = true;    // from the run's own folder
  sign::CosignedCheckpoint cosigned;
};

// The anchors of a run, read from its own folder and from a witness's copies, and the public keys
// that lie beside them.
struct AnchorShelf {
  std::vector<Anchor> anchors;
  std::vector<sign::NamedPublicKey> keys;
  std::vector<Problem> problems;  // files that are no anchors
};
AnchorShelf read_anchors(FileSystem& files, const std::string& run_folder,
                         const std::vector<std::string>& further);

// How many lines of each node's ledger are anchored, for ReadOptions::sizes. By origin.
std::map<std::string, std::set<uint64_t>> sizes_of(const AnchorShelf& shelf);

// Holds every anchor against the ledgers, and fills report.anchors and report.problems. Problems
// are one by nobody whose key is there, one of a node that is not there where `all_nodes` are
// looked at, and, in the run's own folder, one of another run.
void check_anchors(const AnchorShelf& shelf, const std::vector<NodeRead>& reads, bool all_nodes,
                   const std::vector<sign::PublicKey>& witnesses, Report& report);

// Whether one of the keys asked for anchored all lines of all nodes, and each node at least once
// before its last line was written. Else says in a remark what is missing.
bool anchored_by_witness(const std::vector<NodeRead>& reads,
                         const std::vector<sign::PublicKey>& witnesses, Report& report);

}  // namespace account::ledger
