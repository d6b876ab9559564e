// Counter tables: one spelling, and sums that never fall.
#include "ledger/table.h"

#include <gtest/gtest.h>

#include "support/matchers.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;

Table one(Figures figures, uint64_t calls = 1) {
  return {{RowKey{"", Category::train, Phase::forward, DType::bfloat16}, Cell{calls, figures}}};
}

TEST(TableTest, LeavesOutWhatRepeats) {
  EXPECT_EQ(encode_rows(one({8, 8, 8}, 2)).dump(), R"({"train/forward/bfloat16":["2","8"]})");
  EXPECT_EQ(encode_rows(one({8, 6, 8})).dump(), R"({"train/forward/bfloat16":["1","8","6"]})");
  EXPECT_EQ(encode_rows(one({8, 8, 6})).dump(), R"({"train/forward/bfloat16":["1","8","8","6"]})");
  EXPECT_EQ(encode_rows(one({8, 7, 6})).dump(), R"({"train/forward/bfloat16":["1","8","7","6"]})");
}

TEST(TableTest, ReadsBackWhatItWrites) {
  for (const Figures& figures :
       {Figures{8, 8, 8}, Figures{8, 6, 8}, Figures{8, 8, 6}, Figures{OpCount::max(), 7, 6}}) {
    const auto read = decode_rows(encode_rows(one(figures, UINT64_MAX)));
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->begin()->second.figures, figures);
    EXPECT_EQ(read->begin()->second.calls, UINT64_MAX);
  }
}

TEST(TableTest, RefusesOtherSpellings) {
  const char* const bad[] = {
      R"({"train/forward/bfloat16":["2","8","8"]})",      // model repeats executed
      R"({"train/forward/bfloat16":["2","8","7","8"]})",  // lower repeats executed
      R"({"train/forward/bfloat16":["2","8","9"]})",      // model above executed
      R"({"train/forward/bfloat16":["2","8","8","9"]})",  // lower above executed
      R"({"train/forward/bfloat16":["2"]})",
      R"({"train/forward/bfloat16":["2","8","7","6","5"]})",
      R"({"train/forward/bfloat16":["02","8"]})",
      R"({"train/forward/bfloat16":[2,8]})",
      R"({"train/forward/bfloat16":["18446744073709551616","8"]})",
      R"({"train/forward/bfloat16":"2"})",
      R"({"train/forward":["2","8"]})",
      R"({"train/forward/bf16":["2","8"]})",
      R"({"training/forward/bfloat16":["2","8"]})",
      R"({"train/sideways/bfloat16":["2","8"]})",
  };
  for (const char* text : bad) {
    EXPECT_THAT(decode_rows(Json::parse(text, 1000).value()), StatusIs(Code::corrupt)) << text;
  }
}

TEST(TableTest, SeesAnyCounterThatFell) {
  const Table before = one({8, 7, 6}, 2);
  EXPECT_THAT(check_never_fell(before, before), IsOk());
  EXPECT_THAT(check_never_fell(before, one({9, 7, 6}, 2)), IsOk());
  for (const Table& after :
       {one({8, 7, 6}, 1), one({7, 7, 6}, 2), one({8, 6, 6}, 2), one({8, 7, 5}, 2), Table()}) {
    EXPECT_THAT(check_never_fell(before, after), StatusIs(Code::corrupt));
  }
}

TEST(TableTest, SumsAndSubtractsWithoutOps) {
  Table table;
  table[{"a", Category::train, Phase::forward, DType::bfloat16}] = {1, {8, 7, 6}};
  table[{"b", Category::train, Phase::forward, DType::bfloat16}] = {2, {80, 70, 60}};
  const Table sums = without_ops(table);
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums.begin()->second.figures, (Figures{88, 77, 66}));
  const Table rest = difference(one({100, 80, 70}, 5), sums);
  EXPECT_EQ(rest.begin()->second.calls, 2u);
  EXPECT_EQ(rest.begin()->second.figures, (Figures{12, 3, 4}));
  EXPECT_TRUE(difference(sums, sums).empty());
}

}  // namespace
}  // namespace account::ledger
