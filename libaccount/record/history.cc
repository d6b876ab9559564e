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

HistoryRun read_run(RunReader& reader, const std::string& path) {
  HistoryRun run;
  run.path = path;
  run.part.run = base_name(path);
  const auto read = reader.read(path, std::nullopt);
  if (!read.ok()) {
    run.fault = read.status().to_string();
    return run;
  }
  const ledger::Report& report = **read;
  run.part = part_of(report, true);
  run.from = resumed_from(report);
  if (!report.incarnations.empty()) run.model = report.incarnations[0].line.model;
  run.closed = std::all_of(report.nodes.begin(), report.nodes.end(),
                           [](const ledger::NodeReport& node) { return node.closed; });
  return run;
}

// The same run in two places counts once, as far as either has it.
void put_run(HistoryRun run, std::map<std::string, size_t>& known, History& history) {
  const auto [twin, is_new] = known.try_emplace(run.part.identity, history.runs.size());
  if (is_new || !run.fault.empty()) {
    history.runs.push_back(std::move(run));
    return;
  }
  HistoryRun& other = history.runs[twin->second];
  history.remarks.push_back(
      fmt::format("{} and {} are the same run; it counts once", other.path, run.path));
  if (other.part.executed < run.part.executed) other = std::move(run);
}

void read_runs(RunReader& reader, const Paths& paths, History& history) {
  std::map<std::string, size_t> known;
  std::set<std::string> folders;
  for (const std::string& path : paths.runs) {
    put_run(read_run(reader, path), known, history);
    folders.insert(folder_of(path));
  }
  history.folders.assign(folders.begin(), folders.end());
  for (const HistoryRun& run : history.runs) {
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

Lineage lineage_of(const HistoryRecord& end) {
  const Record& record = end.record.record;
  Lineage lineage{record.model.empty() ? end.place : record.model, sum_up(record), {}};
  for (const Part& part : record.parts) lineage.identities.push_back(part.identity);
  for (const Ancestor& ancestor : record.lineage) {
    for (const Part& part : ancestor.parts) lineage.identities.push_back(part.identity);
  }
  return lineage;
}

// A run without a record, as the record that it could have.
Result<Lineage> lineage_of(FileSystem& files, RunReader& reader, const History& history,
                           const HistoryRun& end, const Shelf& shelf) {
  ACCOUNT_ASSIGN_OR_RETURN(Chain chain, collect_chain(files, reader, end.path, history.folders));
  Record record;
  record.parts = std::move(chain.parts);
  std::vector<SignedRecord> parents;
  for (const std::string& id : chain.parents) {
    const SignedRecord* parent = shelf.find(id);
    record.parents.push_back({parent == nullptr ? "" : id, "", false});
    if (parent != nullptr) parents.push_back(*parent);
  }
  record.lineage = lineage_from(parents, record.parents);
  Lineage lineage{"run " + end.part.run, sum_up(record), {}};
  for (const Part& part : record.parts) lineage.identities.push_back(part.identity);
  return lineage;
}

Status follow_records(const Shelf& shelf, History& history) {
  std::set<std::string> parents;
  for (const HistoryRecord& found : history.records) {
    for (const Parent& parent : found.record.record.parents) parents.insert(parent.record);
  }
  for (const HistoryRecord& found : history.records) {
    ACCOUNT_ASSIGN_OR_RETURN(const Line line, check_line(found.record, shelf));
    if (parents.contains(found.record.id) || found.record.record.kind == Kind::declared) continue;
    for (const std::string& id : line.missing) {
      history.remarks.push_back(
          fmt::format("{}: the record of parent {} is not here", found.place, short_id(id)));
    }
    history.lineages.push_back(lineage_of(found));
  }
  return Status();
}

void follow_runs(FileSystem& files, RunReader& reader, const Shelf& shelf, History& history) {
  std::set<std::string> gone_on_from;
  for (const HistoryRun& run : history.runs) {
    for (const Sidecar& from : run.from) gone_on_from.insert(from.run);
  }
  for (const HistoryRun& run : history.runs) {
    if (!run.fault.empty() || gone_on_from.contains(run.part.run)) continue;
    auto lineage = lineage_of(files, reader, history, run, shelf);
    if (lineage.ok()) {
      history.lineages.push_back(std::move(lineage).value());
    } else {
      history.remarks.push_back(lineage.status().to_string());
    }
  }
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
  RunReader reader(files, recount);
  read_runs(reader, paths, history);
  read_records(files, paths, history);
  check_origins(history);
  check_sidecars(files, paths, history);
  Shelf shelf;
  for (const HistoryRecord& found : history.records) shelf.add(found.record);
  ACCOUNT_RETURN_IF_ERROR(follow_records(shelf, history));
  if (history.lineages.empty()) follow_runs(files, reader, shelf, history);
  return history;
}

}  // namespace account::record
