// Origins: what a run goes on or begins from, as its ledger keeps it. Must not know pages' layout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"

namespace account {

struct Origins {
  std::vector<Json> notes;                // for the ledger: of kind `resumed`, `parent`, `loaded`
  std::vector<std::string> runs, models;  // of the whole line, as far as it says, each once
  struct Copy {
    std::string name, bytes;
  };
  std::vector<Copy> records;  // of the parents and of theirs, as far as they are at hand
};

// Reads the sidecar of `resume` (a checkpoint, or empty) and the records that `parents` are or
// have. Fails, naming the file, where one is missing or does not verify.
Result<Origins> read_origins(const std::string& resume, const std::vector<std::string>& parents);

// What a checkpoint or weights say of where they come from, by sidecar or record, as a note of kind
// `loaded`; nothing where they say nothing. By it the keeper knows a stopped run's weights.
std::optional<Json> loaded_note(const std::string& path);

// Puts the records into the run's folder, so that they are there when its own is made.
Status keep_records(const Origins& origins, const std::string& run_folder);

}  // namespace account
