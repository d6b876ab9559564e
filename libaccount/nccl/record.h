// The record that each rank gathers: 128 bytes, little endian,
// libaccount/doc/nccl_record_format.md. Must not know NCCL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "account/keys.h"
#include "account/op_count.h"
#include "keeper/job_totals.h"

namespace account::nccl {

inline constexpr size_t kRecordBytes = 128;
using RecordBytes = std::array<unsigned char, kRecordBytes>;

struct Record {
  uint32_t node = 0;  // its 8 hex digits as a number
  int rank = -1, world_size = -1;
  // Of the whole node, as its keeper said; only in the record of the rank that the keeper talks to.
  bool has_totals = false;
  uint64_t steps = 0;
  std::array<OpCount, kCategoryCount> operations{};  // executed, by category
};

RecordBytes encode(const Record& record);
// Nothing where the bytes are no record: a rank that is not counted leaves zeros, or anything.
std::optional<Record> decode(const unsigned char* bytes);

// What the node of `rank` said, as its keeper's blob would (phases are not told apart). Nothing
// where that rank left no record, or no record of its node has totals.
std::optional<keeper::NodeTotal> node_of(const std::vector<Record>& records, int rank);

}  // namespace account::nccl
