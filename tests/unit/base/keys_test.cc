// The words that breakdowns, files and the command line share.
#include "account/keys.h"

#include <gtest/gtest.h>

#include <set>

namespace account {
namespace {

TEST(KeysTest, EveryKeyComesBackFromItsWordAndNoTwoShareOne) {
  std::set<std::string_view> words;
  for (size_t i = 0; i < kPhaseCount; ++i) {
    const auto phase = static_cast<Phase>(i);
    EXPECT_EQ(phase_from_name(name(phase)), phase);
    words.insert(name(phase));
  }
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const auto category = static_cast<Category>(i);
    EXPECT_EQ(category_from_name(name(category)), category);
    words.insert(name(category));
  }
  for (size_t i = 0; i < kDTypeCount; ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(dtype_from_name(name(dtype)), dtype);
    words.insert(name(dtype));
  }
  EXPECT_EQ(words.size(), kPhaseCount + kCategoryCount + kDTypeCount);
}

TEST(KeysTest, WordsAreThoseOfTheLedger) {
  EXPECT_EQ(name(Phase::recompute), "recompute");
  EXPECT_EQ(name(Category::unassigned), "unassigned");
  EXPECT_EQ(name(Category::auxiliary), "auxiliary");
  EXPECT_EQ(name(DType::bfloat16), "bfloat16");
  EXPECT_EQ(name(DType::float8_e4m3fn), "float8_e4m3fn");
  EXPECT_EQ(name(DType::complex128), "complex128");
}

TEST(KeysTest, OtherWordsAndOtherValuesAreNone) {
  EXPECT_FALSE(phase_from_name("Forward"));
  EXPECT_FALSE(category_from_name(""));
  EXPECT_FALSE(dtype_from_name("bf16"));
  EXPECT_EQ(name(static_cast<Phase>(200)), "?");
}

}  // namespace
}  // namespace account
