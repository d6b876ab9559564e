// The record of a rank: its bytes, and a node's records as the node's total.
#include "nccl/record.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace account::nccl {
namespace {

Record record_of(uint32_t node, int rank, uint64_t operations) {
  Record record;
  record.node = node;
  record.rank = rank;
  record.world_size = 4;
  record.has_totals = operations > 0;
  record.steps = 7;
  record.operations[static_cast<size_t>(Category::train)] = operations;
  return record;
}

// The worked example of libaccount/doc/nccl_record_format.md.
TEST(RecordTest, HasTheBytesOfItsPage) {
  Record record = record_of(0x1f00ba5e, 2, 0);
  record.has_totals = true;
  record.operations[0] = OpCount::from_raw(Uint128{1} << 64 | 2);
  record.operations[5] = 258;
  const RecordBytes bytes = encode(record);
  const std::string hex =
      to_hex(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  EXPECT_EQ(hex,
            "41434e31"
            "5eba001f"
            "02000000"
            "04000000"
            "0700000000000000"
            "01000000"
            "00000000"
            "0200000000000000"
            "0100000000000000" +
                std::string(4 * 32, '0') +
                "0201000000000000"
                "0000000000000000");
  const auto again = decode(bytes.data());
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->node, 0x1f00ba5eu);
  EXPECT_EQ(again->rank, 2);
  EXPECT_EQ(again->operations[0], OpCount::from_raw(Uint128{1} << 64 | 2));
  EXPECT_EQ(again->operations[5], OpCount(258));
  EXPECT_EQ(encode(*again), bytes);
}

TEST(RecordTest, ForeignBytesAreNoRecord) {
  EXPECT_FALSE(decode(RecordBytes{}.data()).has_value());
  RecordBytes outside = encode(record_of(1, 4, 1));  // rank 4 of a world of 4
  EXPECT_FALSE(decode(outside.data()).has_value());
}

TEST(RecordTest, ANodesTotalIsThatOfTheRankThatItsKeeperTalksTo) {
  const std::vector<Record> records = {record_of(1, 3, 0), record_of(2, 0, 50), record_of(1, 1, 70),
                                       record_of(3, 2, 0)};
  const auto node = node_of(records, 3);
  ASSERT_TRUE(node.has_value());
  EXPECT_EQ(node->node, "00000001");
  EXPECT_EQ(node->ranks, (std::vector<int>{1, 3}));
  EXPECT_EQ(node->steps, 7u);
  EXPECT_EQ(keeper::sum(node->operations), OpCount(70));
  EXPECT_FALSE(node_of(records, 2).has_value());  // its keeper said nothing yet
  EXPECT_FALSE(node_of(records, 7).has_value());
}

}  // namespace
}  // namespace account::nccl
