// Reading of sidecars and parents' records at the start of a run.
#include "run/origins.h"

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

}  // namespace

Result<Origins> read_origins(const std::string& resume, const std::vector<std::string>& parents) {
  FileSystem& files = FileSystem::real();
  Origins origins;
  if (!resume.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(const record::Sidecar sidecar, record::read_sidecar(files, resume));
    origins.notes.push_back(resumed_note(sidecar));
  }
  record::Shelf shelf;
  for (const std::string& path : parents) {
    ACCOUNT_ASSIGN_OR_RETURN(const record::SignedRecord* parent, shelf.take(files, path));
    origins.notes.push_back(parent_note(*parent));
  }
  for (const auto& [id, kept] : shelf.all()) {
    origins.records.push_back({record::parent_path("", kept), kept.bytes});
  }
  return origins;
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
