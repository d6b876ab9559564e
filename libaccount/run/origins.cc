// Reading of sidecars and parents' records at the start of a run.
#include "run/origins.h"

#include <algorithm>

#include "base/files.h"
#include "record/parents.h"
#include "record/sidecar.h"

namespace account {
namespace {

Json resumed_note(const record::Sidecar& sidecar) {
  Json note = record::to_json(sidecar);
  note.set("kind", "resumed");
  return note;
}

Json parent_note(const record::SignedRecord& parent) {
  Json note = Json::object({{"kind", "parent"}, {"record", parent.id}});
  if (!parent.record.model.empty()) note.set("model", parent.record.model);
  return note;
}

void add_once(std::vector<std::string>& items, const std::string& item) {
  if (item.empty() || std::find(items.begin(), items.end(), item) != items.end()) return;
  items.push_back(item);
}

// Runs and models that a record tells of, its own and those of its line.
void add_line(const record::Record& record, Origins& origins) {
  for (const record::Part& part : record.parts) add_once(origins.runs, part.run);
  add_once(origins.models, record.model);
  for (const record::Ancestor& ancestor : record.lineage) {
    for (const record::Part& part : ancestor.parts) add_once(origins.runs, part.run);
    add_once(origins.models, ancestor.model);
  }
}

Json loaded_note(const Origins& origins) {
  Json runs = Json::array(), models = Json::array();
  for (const std::string& run : origins.runs) runs.push(run);
  for (const std::string& model : origins.models) models.push(model);
  return Json::object({{"kind", "loaded"}, {"runs", runs}, {"models", models}});
}

}  // namespace

Result<Origins> read_origins(const std::string& resume, const std::vector<std::string>& parents) {
  FileSystem& files = FileSystem::real();
  Origins origins;
  if (!resume.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(const record::Sidecar sidecar, record::read_sidecar(files, resume));
    origins.notes.push_back(resumed_note(sidecar));
    add_once(origins.runs, sidecar.run);
  }
  record::Shelf shelf;
  for (const std::string& path : parents) {
    ACCOUNT_ASSIGN_OR_RETURN(const record::SignedRecord* parent, shelf.take(files, path));
    origins.notes.push_back(parent_note(*parent));
    add_line(parent->record, origins);
  }
  for (const auto& [id, kept] : shelf.all()) {
    origins.records.push_back({record::parent_path("", kept), kept.bytes});
  }
  if (!origins.notes.empty()) origins.notes.push_back(loaded_note(origins));
  return origins;
}

std::optional<Json> loaded_note(const std::string& path) {
  FileSystem& files = FileSystem::real();
  Origins origins;
  if (const auto sidecar = record::read_sidecar(files, path); sidecar.ok()) {
    add_once(origins.runs, sidecar->run);
  }
  if (const auto found = record::find_record(files, path); found.ok()) {
    add_line(found->record.record, origins);
  }
  if (origins.runs.empty() && origins.models.empty()) return std::nullopt;
  return loaded_note(origins);
}

Status keep_records(const Origins& origins, const std::string& run_folder) {
  if (origins.records.empty()) return Status();
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  FileSystem& files = FileSystem::real();
  ACCOUNT_RETURN_IF_ERROR(
      files.make_directories(join_path(run_folder, record::kParentsFolder), kFolderMode));
  for (const Origins::Copy& copy : origins.records) {
    ACCOUNT_RETURN_IF_ERROR(
        files.write_atomically(join_path(run_folder, copy.name), copy.bytes, kFileMode));
  }
  return Status();
}

}  // namespace account
