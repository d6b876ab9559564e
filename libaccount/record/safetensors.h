// safetensors files: their tensors, and text in their metadata.
//
// The format (huggingface/safetensors, README "Format"): 8 bytes little-endian N, N bytes of JSON
// {"<tensor>": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {text: text}},
// then the data, which the tensors cover without a hole. Must not know records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "base/json.h"

namespace account::record {

struct Tensor {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  uint64_t begin = 0, end = 0;  // in the file
};

struct Safetensors {
  Json header;
  uint64_t data_begin = 0;
  std::vector<Tensor> tensors;  // in the order of their bytes
  // The metadata's text of that name, if there is one.
  std::optional<std::string> metadata(std::string_view name) const;
};

// corrupt, naming the file: no header, a tensor outside of the file, an overlap, or bytes that are
// no tensor's (which no digest would cover).
Result<Safetensors> read_safetensors(const std::string& path);

// Rewrites the file with this text in its metadata: a new file beside it, synced, then renamed. The
// tensors' bytes and all other members of the header stay as they were.
Status set_metadata(const std::string& path, std::string_view name, const std::string& text);

}  // namespace account::record
