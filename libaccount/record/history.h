// The history of a model: all runs, checkpoints and records under some folders, and how they follow
// from each other. Must not know weights' bytes.
#pragma once

#include <string>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "ledger/ledger.h"
#include "record/parents.h"
#include "record/record.h"
#include "record/sidecar.h"

namespace account::record {

struct HistoryRun {
  std::string path;
  Part part;  // whole
  std::string model;
  bool closed = false;        // all of its ledgers are
  std::string fault;          // it does not verify: nothing of it is in a sum
  std::vector<Sidecar> from;  // checkpoints of other runs that it went on from
};

struct HistoryRecord {
  std::string place;
  SignedRecord record;
};

// What led to one end of the history.
struct Lineage {
  std::string name;  // of the record's model or place, or of the run
  Sums sums;
  std::vector<std::string> identities;  // of the runs in it
};

struct History {
  std::vector<HistoryRun> runs;        // each once, in the order of their paths
  std::vector<HistoryRecord> records;  // each once
  // To the records that are nobody's parent, or, where there is no record, to the runs that no
  // other went on from. A run whose earlier runs are not all there has no sum, and a remark says
  // so.
  std::vector<Lineage> lineages;
  Bounds everything;                 // of all runs, whatever became of them
  std::vector<std::string> folders;  // that hold runs
  std::vector<std::string> remarks;  // what is missing, and the like

  const HistoryRun* run(const std::string& id) const;
};

// Walks the folders, hidden ones left out. not_found where nothing of ours lies in them; corrupt
// where a record says something else than its parents' do.
Result<History> read_history(FileSystem& files, const std::vector<std::string>& folders,
                             ledger::Recount recount);

}  // namespace account::record
