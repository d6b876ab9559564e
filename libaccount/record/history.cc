// Walking folders, and adding up what leads to each end.
#include "record/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "ledger/format.h"
#include "record/make.h"

namespace account::record {
namespace {

namespace fs = std::filesystem;

bool is_node_folder(const fs::path& path) {
  std::error_code ignored;
  return path.filename().string().starts_with(ledger::kNodePrefix) &&
         fs::exists(path / ledger::kRunFile, ignored);
}

// What lies under the folders, sorted.
struct Paths {
  std::set<std::string> runs, records, sidecars;
};

Status walk(const std::string& folder, Paths& paths) {
  std::error_code error;
  fs::recursive_directory_iterator entries(folder, error), end;
  while (!error && entries != end) {
    const fs::path& path = entries->path();
    const std::string name = path.filename().string();
    std::error_code ignored;
    if (entries->is_directory(ignored)) {
      const bool node = is_node_folder(path);
      if (node) paths.runs.insert(path.parent_path().string());
      if (node || name.starts_with('.')) entries.disable_recursion_pending();
    } else if (name.ends_with(kRecordSuffix)) {
      paths.records.insert(path.string());
    } else if (name.ends_with(kSidecarSuffix)) {
      paths.sidecars.insert(path.string());
    }
    entries.increment(error);
  }
  if (!error) return Status();
  return {Code::io, fmt::format("cannot read the folder {}: {}", folder, error.message()),
          "check the path and its permissions"};
}

HistoryRun read_run(FileSystem& files, const std::string& path, ledger::Recount recount) {
  HistoryRun run;
  run.path = path;
  run.part.run = base_name(path);
  const auto report = ledger::verify(files, path, std::nullopt, recount);
  if (!report.ok() || !report->ok()) {
    run.fault = report.ok() ? report->problems[0].place + ": " + report->problems[0].fault
                            : report.status().to_string();
    return run;
  }
  run.part = part_of(*report, true);
  run.from = resumed_from(*report);
  run.parents = parents_named(*report);
  if (!report->incarnations.empty()) run.model = report->incarnations[0].line.model;
  run.closed = std::all_of(report->nodes.begin(), report->nodes.end(),
                           [](const ledger::NodeReport& node) { return node.closed; });
  return run;
}

void read_runs(FileSystem& files, const Paths& paths, ledger::Recount recount, History& history) {
  std::map<std::string, size_t> known;
  for (const std::string& path : paths.runs) {
    HistoryRun run = read_run(files, path, recount);
    if (!run.fault.empty()) {
      history.runs.push_back(std::move(run));
      continue;
    }
    const auto [twin, is_new] = known.try_emplace(run.part.identity, history.runs.size());
    if (is_new) {
      history.runs.push_back(std::move(run));
      continue;
    }
    HistoryRun& other = history.runs[twin->second];
    history.remarks.push_back(
        fmt::format("{} and {} are the same run; it counts once", other.path, run.path));
    if (other.part.executed < run.part.executed) other = std::move(run);
  }
  std::set<std::string> folders;
  for (const HistoryRun& run : history.runs) {
    if (folders.insert(folder_of(run.path)).second) {
      history.folders.push_back(folder_of(run.path));
    }
    history.everything.low = saturating_add(history.everything.low, run.part.executed);
    history.everything.high = saturating_add(history.everything.high, run.part.upper);
  }
}

void read_records(FileSystem& files, const Paths& paths, History& history) {
  std::set<std::string> known;
  for (const std::string& path : paths.records) {
    auto found = find_record(files, path);
    if (!found.ok()) {
      history.remarks.push_back(found.status().to_string());
    } else if (known.insert(found->record.id).second) {
      history.records.push_back({path, std::move(found->record)});
    }
  }
}

void check_origins(History& history) {
  for (const HistoryRun& run : history.runs) {
    for (const Sidecar& from : run.from) {
      if (history.run(from.run) != nullptr) continue;
      history.remarks.push_back(fmt::format(
          "run '{}' went on from run '{}', which is not here: its operations are in no sum",
          run.part.run, from.run));
    }
  }
}

void check_sidecars(FileSystem& files, const Paths& paths, History& history) {
  for (const std::string& path : paths.sidecars) {
    const std::string checkpoint = path.substr(0, path.size() - kSidecarSuffix.size());
    const auto sidecar = read_sidecar(files, checkpoint);
    if (!sidecar.ok()) {
      history.remarks.push_back(sidecar.status().to_string());
    } else if (history.run(sidecar->run) == nullptr) {
      history.remarks.push_back(
          fmt::format("{} was written by run '{}', which is not here: its operations are in no sum",
                      checkpoint, sidecar->run));
    }
  }
}

Lineage lineage_of(const HistoryRecord& end, Line line) {
  const Record& record = end.record.record;
  Lineage lineage{
      record.model.empty() ? end.place : record.model, sum_up(record), {}, std::move(line)};
  std::set<std::string> identities;
  for (const Part& part : record.parts) identities.insert(part.identity);
  for (const Ancestor& ancestor : record.lineage) {
    for (const Part& part : ancestor.parts) identities.insert(part.identity);
  }
  lineage.identities.assign(identities.begin(), identities.end());
  return lineage;
}

// A run without a record, as the record that it could have.
Result<Lineage> lineage_of(FileSystem& files, const History& history, const HistoryRun& end,
                           const Shelf& shelf, ledger::Recount recount) {
  ACCOUNT_ASSIGN_OR_RETURN(const Chain chain, collect_chain(files, end.path, history.folders,
                                                            std::nullopt, recount, false));
  Record record;
  record.model = end.model;
  record.parts = chain.parts;
  std::vector<SignedRecord> parents;
  for (const std::string& id : chain.parents) {
    const SignedRecord* parent = shelf.find(id);
    record.parents.push_back({parent == nullptr ? "" : id, "", false});
    if (parent != nullptr) parents.push_back(*parent);
  }
  record.lineage = lineage_from(parents, record.parents);
  Lineage lineage{"run " + end.part.run, sum_up(record), {}, {}};
  for (const Part& part : record.parts) lineage.identities.push_back(part.identity);
  return lineage;
}

}  // namespace

const HistoryRun* History::run(const std::string& id) const {
  const auto found =
      std::find_if(runs.begin(), runs.end(), [&](const HistoryRun& r) { return r.part.run == id; });
  return found == runs.end() ? nullptr : &*found;
}

Result<History> read_history(FileSystem& files, const std::vector<std::string>& folders,
                             ledger::Recount recount) {
  Paths paths;
  for (const std::string& folder : folders) ACCOUNT_RETURN_IF_ERROR(walk(folder, paths));
  if (paths.runs.empty() && paths.records.empty()) {
    return Status(
        Code::not_found,
        fmt::format("there are no runs and no records under {}", fmt::join(folders, ", ")),
        "give the folder that holds runs, weights or both");
  }
  History history;
  read_runs(files, paths, recount, history);
  read_records(files, paths, history);
  check_origins(history);
  check_sidecars(files, paths, history);
  return history;
}

Result<std::vector<Lineage>> lineages(FileSystem& files, History& history,
                                      ledger::Recount recount) {
  std::vector<Lineage> ends;
  Shelf shelf;
  std::set<std::string> parents, gone_on_from;
  for (const HistoryRecord& record : history.records) {
    shelf.add(record.record);
    for (const Parent& parent : record.record.record.parents) parents.insert(parent.record);
  }
  for (const HistoryRecord& record : history.records) {
    if (parents.contains(record.record.id) || record.record.record.kind == Kind::declared) continue;
    ACCOUNT_ASSIGN_OR_RETURN(Line line, check_line(record.record, shelf));
    ends.push_back(lineage_of(record, std::move(line)));
  }
  if (!ends.empty()) return ends;
  for (const HistoryRun& run : history.runs) {
    for (const Sidecar& from : run.from) gone_on_from.insert(from.run);
  }
  for (const HistoryRun& run : history.runs) {
    if (!run.fault.empty() || gone_on_from.contains(run.part.run)) continue;
    auto lineage = lineage_of(files, history, run, shelf, recount);
    if (!lineage.ok() && lineage.status().code() == Code::not_found) {
      history.remarks.push_back(lineage.status().to_string());
      continue;
    }
    if (!lineage.ok()) return lineage.status();
    ends.push_back(std::move(lineage).value());
  }
  return ends;
}

}  // namespace account::record
