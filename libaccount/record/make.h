// From a run's ledgers to what a record says of it: the run, and the runs that it went on from.
// Must not know weights or keys.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "ledger/ledger.h"
#include "record/parents.h"
#include "record/record.h"
#include "record/sidecar.h"

namespace account::record {

// A verified report as a part of a record.
Part part_of(const ledger::Report& report, bool whole);

// The checkpoints that a run's processes went on from (`resumed` notes), those of the run itself
// left out, and the records of parents that they named (`parent` notes). Each once.
std::vector<Sidecar> resumed_from(const ledger::Report& report);
std::vector<std::string> parents_named(const ledger::Report& report);

// Whose signatures count.
struct Trust {
  std::optional<sign::PublicKey> developer;
  std::vector<sign::PublicKey> witnesses;
};

// Verifies runs, each once and each part of one once.
class RunReader {
 public:
  RunReader(FileSystem& files, ledger::Recount recount, Trust trust = {}, bool keep_steps = false)
      : files_(files), recount_(recount), trust_(std::move(trust)), keep_steps_(keep_steps) {}
  // Whole, or up to a save. With a developer's key the whole run must be endorsed by it, and the
  // level of a part is that of the run. unverified where the run does not verify. The report lives
  // as long as this does.
  Result<const ledger::Report*> read(const std::string& path,
                                     const std::optional<ledger::Cut>& cut);

 private:
  FileSystem& files_;
  ledger::Recount recount_;
  Trust trust_;
  bool keep_steps_;
  std::map<std::pair<std::string, std::string>, ledger::Report> reports_;  // by path and cut's root
};

struct Chain {
  std::string model;                    // as the run called it
  std::vector<Part> parts;              // the run itself last
  std::vector<std::string> parents;     // ids of records
  std::vector<ledger::Report> reports;  // of the parts
};

// The run at `path`, and what it went on from, in `folders` (each holds runs as <folder>/<run id>).
// not_found where a run of the chain is not there: its operations would be missing from the sum.
// unverified where one does not verify, or is not endorsed by the developer's key.
Result<Chain> collect_chain(FileSystem& files, RunReader& reader, const std::string& path,
                            const std::vector<std::string>& folders);

// Where the run lies in these folders, each of which may hold another one of that name.
std::vector<std::string> places_of(FileSystem& files, const std::string& run,
                                   const std::vector<std::string>& folders);

// What a record is made from.
struct Sources {
  std::string run;                    // folder; empty: nothing was run
  std::vector<std::string> folders;   // that hold the runs it went on from, besides its own
  std::vector<std::string> parents;   // records, weights that have one, or kUnknownParent
  std::vector<std::string> teachers;  // the same
  Trust trust;
  bool keep_steps = false;
};
inline constexpr std::string_view kUnknownParent = "unknown";

// A record but for its subjects, signer and verdicts.
struct Draft {
  Record record;
  Chain chain;
  Shelf shelf;                // the parents' records, and theirs
  bool line_verified = true;  // all of them are there
  std::vector<std::string> remarks;
};
// Records of parents that the runs name are looked for in the runs' folders. One that is not there
// becomes a parent of unknown operations, and a remark says so.
Result<Draft> draft(FileSystem& files, const Sources& sources, ledger::Recount recount);

// The judgement as a record keeps it.
Verdict verdict_of(const policy::Judgement& judgement);

}  // namespace account::record
