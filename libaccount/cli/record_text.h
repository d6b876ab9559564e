// Compute records as lines and as JSON; shared by `verify`, `prove`, `record` and `history`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "cli/words.h"
#include "record/parents.h"
#include "record/record.h"

namespace account::cli {

// Whether the words name weights or a record rather than a run: a file, or a folder without
// ledgers.
bool names_record(const std::string& path);

// "hashing 12.3 of 98.7 GB" on stderr, where that is a terminal.
record::Progress show_progress();

// The record about these weights, signed now.
Result<record::SignedRecord> sign_record(record::Record& record, const SigningKey& key,
                                         const record::Weights& weights);

struct RecordWords {
  std::string path;
  std::optional<std::string> weights;  // where `path` is the record itself
  std::vector<std::string> keys;       // .pub files
  std::vector<std::string> parents;    // further places of parents' records
  std::vector<std::string> runs;       // folders of runs: compare with the ledgers
};
struct CheckedRecord {
  record::Found found;
  record::Shelf shelf;  // parents' records that were found
  record::Line line;    // points into it
  bool weights_checked = false;
  bool trusted = false;  // by one of the keys
  std::string signer_id;
  std::vector<std::string> remarks;
  const record::Record& record() const { return found.record.record; }
};
// Everything that can be checked with what is there. unverified or corrupt otherwise.
Result<CheckedRecord> check_record(const RecordWords& words);

// "L1", where one of the reader's keys signed; else L0.
std::string level_of(const CheckedRecord& checked);

Json to_json(const record::Sums& sums);
Json to_json(const CheckedRecord& checked);
void put_record(const CheckedRecord& checked);

// Counted facts, with what the user has stated in place of or besides them.
policy::Facts with_stated(policy::Facts facts, const policy::Facts& stated);

// The room that is left under each policy, from these facts.
using Budget = std::vector<policy::Judgement>;
// By these policies, or by those of every training.
Result<Budget> judge_all(const std::vector<std::string>& policies, const policy::Facts& facts);
// Of the gravest: kReached before kUnknown.
int exit_code(const Budget& budget);
Result<Budget> budget_of(const record::Record& record, bool line_verified,
                         const std::vector<std::string>& policies, const FactWords& words);
Json to_json(const Budget& budget);
void put_budget(const Budget& budget);

}  // namespace account::cli
