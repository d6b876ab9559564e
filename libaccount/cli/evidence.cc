#include "cli/evidence.h"

#include <algorithm>

#include "base/files.h"
#include "cli/record_text.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "record/make.h"

namespace account::cli {
namespace {

Result<Evidence> evidence_of_run(const EvidenceWords& words) {
  record::Sources sources;
  ACCOUNT_ASSIGN_OR_RETURN(sources.trust, read_trust(words.trust));
  ACCOUNT_ASSIGN_OR_RETURN(sources.run, find_run(words.path));
  sources.folders = words.folders;
  sources.parents = words.parents;
  sources.keep_steps = words.keep_steps;
  ACCOUNT_ASSIGN_OR_RETURN(record::Draft draft,
                           record::draft(FileSystem::real(), sources, count::recount));
  Evidence evidence;
  evidence.record = std::move(draft.record);
  evidence.line_verified = draft.line_verified;
  evidence.reports = std::move(draft.chain.reports);
  for (const std::string& parent : words.parents) {
    if (parent != record::kUnknownParent) evidence.records.push_back(parent);
  }
  evidence.remarks = std::move(draft.remarks);
  // A sum has the level of the least of its parts.
  evidence.level = std::min_element(evidence.reports.begin(), evidence.reports.end(),
                                    [](const ledger::Report& a, const ledger::Report& b) {
                                      return a.level < b.level;
                                    })
                       ->level;
  evidence.trusted = evidence.level > "L0";
  return evidence;
}

Result<Evidence> evidence_of_record(const EvidenceWords& words) {
  RecordWords asked;
  asked.path = words.path;
  if (words.trust.key) asked.keys = {*words.trust.key};
  asked.parents = words.parents;
  asked.runs = words.folders;
  ACCOUNT_ASSIGN_OR_RETURN(const CheckedRecord checked, check_record(asked));
  Evidence evidence;
  evidence.record = checked.record();
  evidence.line_verified = checked.line.verified();
  evidence.remarks = checked.remarks;
  evidence.level = level_of(checked);
  evidence.trusted = checked.trusted;
  evidence.records = {words.path};
  return evidence;
}

}  // namespace

std::vector<std::string> Evidence::runs() const {
  std::vector<std::string> names;
  for (const record::Part& part : record.parts) names.push_back(part.run);
  for (const record::Ancestor& ancestor : record.lineage) {
    for (const record::Part& part : ancestor.parts) names.push_back(part.run);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<Evidence> read_evidence(const EvidenceWords& words) {
  return names_record(words.path) ? evidence_of_record(words) : evidence_of_run(words);
}

}  // namespace account::cli
