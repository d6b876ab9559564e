// Which weights a record is about: digests of a file or a folder of weights.
// libaccount/doc/record_format.md, Subjects. Must not know what a record says of them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "account/status.h"

namespace account::record {

// One digest that a record is about. All tensors of all safetensors files together are one subject,
// so that neither metadata nor another split into files changes it; any other file is its bytes.
struct Subject {
  std::string name;
  std::string algorithm;  // kTensorsAlgorithm or "sha256"
  std::string digest;     // hex
  friend auto operator<=>(const Subject&, const Subject&) = default;
};
inline constexpr std::string_view kTensorsAlgorithm = "accountTensorsV1";

// Told by the calling thread, a few times a second and at the end.
using Progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

struct Weights {
  std::string path;
  bool is_folder = false;
  std::vector<std::string> safetensors;  // paths, sorted
  std::vector<std::string> others;       // paths, sorted: one subject each
  std::string model_metadata;            // libaccount's entry in the first safetensors file, if any
};

// The files of weights under a path. not_found, naming what was looked for, where there are none.
Result<Weights> find_weights(const std::string& path);

// Reads all of them once, on all cores. Sorted. Fails where a file cannot be read, or names a
// tensor that another one has too.
Result<std::vector<Subject>> digest_weights(const Weights& weights, const Progress& progress);

// Name under which a record stands in the metadata of a safetensors file.
inline constexpr std::string_view kMetadataName = "compute_record";

}  // namespace account::record
