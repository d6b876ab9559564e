// Finding records: beside weights, in their metadata, in folders; and the records of parents, by
// which a line of models is checked. Must not know ledgers.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "record/record.h"

namespace account::record {

// Where the records of parents lie, beside the record that names them.
inline constexpr std::string_view kParentsFolder = "parents";

// "<file>.compute.json", or "<folder>/model.compute.json".
std::string record_path(const Weights& weights);
std::string parent_path(const std::string& folder, const SignedRecord& record);

// A record file, or the record of weights: the file beside them or in their folder, else the one in
// their metadata. not_found where there is none.
struct Found {
  SignedRecord record;
  std::string place;   // the file that it was read from
  std::string folder;  // where its parents' records would lie
  bool from_weights = false;
  Weights weights;  // where from_weights
};
Result<Found> find_record(FileSystem& files, const std::string& path);

// Records by id. A file that was named, or that is called one (.compute.json), and does not verify
// is a failure: left out, it would count as unknown. Moving a shelf leaves its records where they
// are.
class Shelf {
 public:
  // The record that a file or weights are or have (find_record), and those of its parents.
  Result<const SignedRecord*> take(FileSystem& files, const std::string& path);
  // All records in a folder and in its "parents" folder; nothing where there is no such folder.
  Status take_folder(FileSystem& files, const std::string& folder);
  const SignedRecord* add(SignedRecord record);
  const SignedRecord* find(const std::string& id) const;
  const std::map<std::string, SignedRecord>& all() const { return records_; }

 private:
  std::map<std::string, SignedRecord> records_;
};

// What the shelf says of a record's line, teachers left out, which give nothing to it. corrupt
// where a parent that is there says something else than the record carries forward. `missing` names
// the parents' records that are not there.
struct Line {
  std::vector<const SignedRecord*> parents;  // direct and further ones that are there
  std::vector<std::string> missing;          // ids
  bool verified() const { return missing.empty(); }
};
Result<Line> check_line(const SignedRecord& record, const Shelf& shelf);

// unverified, saying which, where these are not the weights that the record is about.
Status check_subjects(const Record& record, const std::vector<Subject>& subjects);

}  // namespace account::record
