// The sidecar of a checkpoint: which run wrote it, and up to where that run's ledger led to it.
// libaccount/doc/sidecar_format.md. Must not know who writes checkpoints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "account/status.h"
#include "base/files.h"
#include "base/json.h"
#include "ledger/ledger.h"

namespace account::record {

inline constexpr std::string_view kSidecarSuffix = ".account.json";
inline constexpr uint64_t kSidecarCapBytes = uint64_t{16} * 1024;

struct Sidecar {
  std::string run;
  ledger::Cut cut;
  std::string save;  // 8 hex that the saving process chose, so that it knows its own again
};

// 8 lower-case hex digits, which may be a part of a file's name.
bool is_save(std::string_view text);

// "<checkpoint>.account.json"; trailing slashes of a folder's path are dropped.
std::string sidecar_path(std::string_view checkpoint);

std::string write_sidecar(const Sidecar& sidecar);  // one line
Result<Sidecar> parse_sidecar(std::string_view bytes);
// not_found, saying what to do, where the checkpoint has none.
Result<Sidecar> read_sidecar(FileSystem& files, const std::string& checkpoint);

// The same facts in a ledger: what a note of kind `resumed` holds besides its kind.
Json to_json(const Sidecar& sidecar);
Result<Sidecar> sidecar_from_json(const Json& json);  // further members are ignored

}  // namespace account::record
