// Records in files, and lines of models.
#include "record/parents.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

namespace account::record {
namespace {

constexpr std::string_view kFolderRecord = "model.compute.json";

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

Result<SignedRecord> read_record(FileSystem& files, const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files.read(path, kRecordCapBytes));
  auto parsed = parse_record(bytes);
  if (!parsed.ok()) return parsed.status().with_context(path);
  return parsed;
}

// The record that lies in a folder, if it is one.
Result<std::string> record_in(FileSystem& files, const std::string& folder) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  std::vector<std::string> found;
  for (const std::string& name : names) {
    if (name.ends_with(kRecordSuffix)) found.push_back(join_path(folder, name));
  }
  if (found.size() > 1) {
    return Status(Code::invalid_argument,
                  fmt::format("{} holds several records: {}", folder, fmt::join(found, ", ")),
                  "name one of them");
  }
  return found.empty() ? std::string() : found[0];
}

Status no_record(const std::string& path) {
  return {Code::unverified, fmt::format("{} has no compute record, and no ledger of a run", path),
          "`account record RUN --weights ...` makes one; a record lies beside the weights, ends "
          "with .compute.json, or stands in the metadata of safetensors"};
}

Status check_lines(const SignedRecord& record, const Shelf& shelf, std::set<std::string>& seen,
                   Line& line) {
  std::vector<SignedRecord> parents;
  bool complete = true;
  for (const Parent& parent : record.record.parents) {
    if (parent.teacher || parent.record.empty()) continue;
    const SignedRecord* found = shelf.find(parent.record);
    if (found == nullptr) {
      complete = false;
      if (seen.insert(parent.record).second) line.missing.push_back(parent.record);
      continue;
    }
    parents.push_back(*found);
    if (!seen.insert(parent.record).second) continue;
    line.parents.push_back(found);
    ACCOUNT_RETURN_IF_ERROR(check_lines(*found, shelf, seen, line));
  }
  if (!complete) return Status();
  if (lineage_from(parents, record.record.parents) == record.record.lineage) return Status();
  return {Code::corrupt,
          fmt::format("record {} carries forward something else than its parents' records say",
                      short_id(record.id)),
          "ask its maker for a record that was made from these"};
}

}  // namespace

std::string record_path(const Weights& weights) {
  if (weights.is_folder) return join_path(weights.path, kFolderRecord);
  return weights.path + std::string(kRecordSuffix);
}

std::string parent_path(const std::string& folder, const SignedRecord& record) {
  return join_path(join_path(folder, kParentsFolder),
                   std::string(short_id(record.id)) + std::string(kRecordSuffix));
}

Result<Found> find_record(FileSystem& files, const std::string& path) {
  if (!files.exists(path)) {
    return Status(Code::not_found, fmt::format("{} does not exist", path), "check the path");
  }
  if (path.ends_with(kRecordSuffix) && !is_folder(path)) {
    ACCOUNT_ASSIGN_OR_RETURN(SignedRecord record, read_record(files, path));
    return Found{std::move(record), path, folder_of(path), false, {}};
  }
  const auto weights = find_weights(path);
  if (!weights.ok()) {
    return weights.status().code() == Code::not_found ? no_record(path) : weights.status();
  }
  std::string file = record_path(*weights);
  if (weights->is_folder) {
    ACCOUNT_ASSIGN_OR_RETURN(file, record_in(files, path));
  } else if (!files.exists(file)) {
    file.clear();
  }
  const std::string folder = weights->is_folder ? path : folder_of(path);
  if (!file.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(SignedRecord record, read_record(files, file));
    return Found{std::move(record), file, folder, true, *weights};
  }
  if (weights->model_metadata.empty()) return no_record(path);
  const std::string place = weights->safetensors[0] + " (metadata)";
  auto parsed = parse_record(weights->model_metadata + "\n");
  if (!parsed.ok()) return parsed.status().with_context(place);
  return Found{std::move(parsed).value(), place, folder, true, *weights};
}

Result<const SignedRecord*> Shelf::take(FileSystem& files, const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(Found found, find_record(files, path));
  ACCOUNT_RETURN_IF_ERROR(take_folder(files, join_path(found.folder, kParentsFolder)));
  return add(std::move(found.record));
}

Status Shelf::take_folder(FileSystem& files, const std::string& folder) {
  if (!files.exists(folder)) return Status();
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  for (const std::string& name : names) {
    const std::string inside = join_path(folder, name);
    if (name == kParentsFolder) ACCOUNT_RETURN_IF_ERROR(take_folder(files, inside));
    if (!name.ends_with(kRecordSuffix)) continue;
    auto record = read_record(files, inside);
    if (!record.ok()) return record.status();
    add(std::move(record).value());
  }
  return Status();
}

const SignedRecord* Shelf::add(SignedRecord record) {
  std::string id = record.id;
  return &records_.insert_or_assign(std::move(id), std::move(record)).first->second;
}

const SignedRecord* Shelf::find(const std::string& id) const {
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : &found->second;
}

Result<Line> check_line(const SignedRecord& record, const Shelf& shelf) {
  Line line;
  std::set<std::string> seen;
  ACCOUNT_RETURN_IF_ERROR(check_lines(record, shelf, seen, line));
  return line;
}

Status check_subjects(const Record& record, const std::vector<Subject>& subjects) {
  const auto has = [](const std::vector<Subject>& all, const Subject& one) {
    return std::any_of(all.begin(), all.end(), [&](const Subject& s) {
      return s.algorithm == one.algorithm && s.digest == one.digest;
    });
  };
  const std::string next = "it is the record of other weights, or they were changed since";
  for (const Subject& subject : subjects) {
    if (has(record.subjects, subject)) continue;
    return {Code::unverified,
            fmt::format("{} has {} {}, which the record is not about", subject.name,
                        subject.algorithm, short_id(subject.digest)),
            next};
  }
  for (const Subject& subject : record.subjects) {
    if (has(subjects, subject)) continue;
    return {Code::unverified,
            fmt::format("the record is about {} as well, which is not there", subject.name), next};
  }
  return Status();
}

}  // namespace account::record
