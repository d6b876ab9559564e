// Records as bytes, and a node's records as its total.
#include "nccl/record.h"

#include <algorithm>
#include <cstdio>

namespace account::nccl {
namespace {

constexpr uint32_t kMagic = 0x314E4341;  // "ACN1"
constexpr uint32_t kHasTotals = 1;
constexpr size_t kOperationsAt = 32;
static_assert(kOperationsAt + 16 * kCategoryCount <= kRecordBytes);

template <typename Number>
void put(RecordBytes& bytes, size_t at, Number value) {
  for (size_t i = 0; i < sizeof(Number); ++i) {
    bytes[at + i] = static_cast<unsigned char>(value >> (8 * i));
  }
}

template <typename Number>
Number get(const unsigned char* bytes, size_t at) {
  Number value = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<Number>(static_cast<Number>(bytes[at + i]) << (8 * i));
  }
  return value;
}

}  // namespace

RecordBytes encode(const Record& record) {
  RecordBytes bytes{};
  put(bytes, 0, kMagic);
  put(bytes, 4, record.node);
  put(bytes, 8, static_cast<uint32_t>(record.rank));
  put(bytes, 12, static_cast<uint32_t>(record.world_size));
  put(bytes, 16, record.steps);
  put(bytes, 24, record.has_totals ? kHasTotals : uint32_t{0});
  for (size_t i = 0; i < record.operations.size(); ++i) {
    put(bytes, kOperationsAt + 16 * i, record.operations[i].low());
    put(bytes, kOperationsAt + 16 * i + 8, record.operations[i].high());
  }
  return bytes;
}

std::optional<Record> decode(const unsigned char* bytes) {
  if (get<uint32_t>(bytes, 0) != kMagic) return std::nullopt;
  Record record;
  record.node = get<uint32_t>(bytes, 4);
  record.rank = static_cast<int>(get<uint32_t>(bytes, 8));
  record.world_size = static_cast<int>(get<uint32_t>(bytes, 12));
  if (record.rank < 0 || record.rank >= record.world_size) return std::nullopt;
  record.steps = get<uint64_t>(bytes, 16);
  record.has_totals = get<uint32_t>(bytes, 24) == kHasTotals;
  for (size_t i = 0; i < record.operations.size(); ++i) {
    const auto low = get<uint64_t>(bytes, kOperationsAt + 16 * i);
    const auto high = get<uint64_t>(bytes, kOperationsAt + 16 * i + 8);
    record.operations[i] = OpCount::from_raw(Uint128{high} << 64 | low);
  }
  return record;
}

std::optional<keeper::NodeTotal> node_of(const std::vector<Record>& records, int rank) {
  const auto asked = std::find_if(records.begin(), records.end(),
                                  [&](const Record& record) { return record.rank == rank; });
  if (asked == records.end()) return std::nullopt;
  keeper::NodeTotal total;
  char node[9];
  std::snprintf(node, sizeof(node), "%08x", asked->node);
  total.node = node;
  bool has_totals = false;
  for (const Record& record : records) {
    if (record.node != asked->node) continue;
    total.ranks.push_back(record.rank);
    if (!record.has_totals) continue;
    has_totals = true;
    total.world_size = record.world_size;
    total.steps = record.steps;
    for (size_t i = 0; i < record.operations.size(); ++i) {
      if (record.operations[i] == OpCount()) continue;
      total.operations[{static_cast<Category>(i), Phase::forward}] = record.operations[i];
    }
  }
  if (!has_totals) return std::nullopt;
  std::sort(total.ranks.begin(), total.ranks.end());
  return total;
}

}  // namespace account::nccl
