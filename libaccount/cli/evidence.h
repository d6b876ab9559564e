// What `prove` and `report` judge: a run with those that it went on from, or what a record says of
// them, verified first.
#pragma once

#include <string>
#include <vector>

#include "account/status.h"
#include "cli/report_text.h"
#include "ledger/ledger.h"
#include "record/record.h"

namespace account::cli {

struct EvidenceWords {
  std::string path;  // a run, or weights that have a record, or a record
  TrustWords trust;
  std::vector<std::string> parents, folders;
  bool keep_steps = false;
};

struct Evidence {
  record::Record record;
  bool line_verified = true;
  std::vector<ledger::Report> reports;  // of a run; none of a record
  std::vector<std::string> remarks;
  std::string level;
  bool trusted = false;
  std::vector<std::string> records;  // files that were read

  record::Bounds sum() const { return record::sum_up(record).derived; }
  std::vector<std::string> runs() const;  // ids, each once
};

Result<Evidence> read_evidence(const EvidenceWords& words);

}  // namespace account::cli
