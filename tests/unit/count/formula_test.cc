// Formulas against numbers that were worked out by hand.
#include <algorithm>
#include <set>
#include <string>

#include "support.h"
#include "tally/layout.h"

namespace account::count {
namespace {

using List = std::initializer_list<int64_t>;

Figures same(uint64_t operations) { return {operations, operations, operations}; }

// ---- the table -----------------------------------------------------------------------------

TEST(TableTest, EveryRowIsFoundByItsNameAndFitsItsArguments) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Row& row : table()) {
    EXPECT_TRUE(seen.emplace(row.op, row.overload).second) << row.op << "." << row.overload;
    EXPECT_EQ(find_row(row.op, row.overload), &row);
    const auto spaces = std::count(row.arguments.begin(), row.arguments.end(), ' ');
    EXPECT_LT(spaces, kMaxArguments) << row.op;
    EXPECT_LT(row.op.size(), static_cast<size_t>(tally::kOpNameBytes)) << row.op;
  }
  EXPECT_EQ(find_row("aten::mm", "no_such_overload"), nullptr);
  EXPECT_EQ(find_row("aten::add", ""), nullptr);
}

TEST(TableTest, EveryFormulaDeclinesACallWithoutArguments) {
  for (const Row& row : table()) EXPECT_EQ(row.formula({}).decline, Decline::bad_rank) << row.op;
}

// ---- matrix products -------------------------------------------------------------------------

TEST(MatmulTest, TwoTimesTheProductOfTheSizes) {
  for (const auto& [op, overload] : {std::pair{"aten::mm", ""},
                                     {"aten::mm", "out"},
                                     {"aten::mm", "dtype"},
                                     {"aten::addmm", ""},
                                     {"aten::addmm", "out"},
                                     {"aten::addmm_", ""}}) {
    // 3 * 7 sums of 5 products and 5 additions.
    EXPECT_EQ(count_call(op, arguments_of({List{3, 5}, List{5, 7}}), overload).figures, same(210));
  }
}

TEST(MatmulTest, BatchesMultiply) {
  for (const auto* op : {"aten::bmm", "aten::baddbmm", "aten::baddbmm_"}) {
    EXPECT_EQ(count_call(op, arguments_of({List{4, 3, 5}, List{4, 5, 7}})).figures, same(840));
  }
}

TEST(MatmulTest, EmptyFactorsAreNoWork) {
  EXPECT_EQ(count_call("aten::mm", arguments_of({List{0, 5}, List{5, 7}})).figures, same(0));
  EXPECT_EQ(count_call("aten::mm", arguments_of({List{3, 0}, List{0, 7}})).figures, same(0));
  EXPECT_EQ(count_call("aten::mm", arguments_of({List{3, 0}, List{0, 7}})).decline, Decline::none);
}

TEST(MatmulTest, SizesBeyond64BitProductsAreExact) {
  const int64_t large = int64_t{1} << 31;  // the first that the short way does not take
  const Counted counted =
      count_call("aten::mm", arguments_of({List{large, large}, List{large, 3}}));
  EXPECT_EQ(counted.figures.executed, *checked_multiply(uint64_t{6} << 31, uint64_t{1} << 31));
  const int64_t below = large - 1;
  const OpCount square = *checked_multiply(OpCount(static_cast<uint64_t>(below)),
                                           OpCount(static_cast<uint64_t>(below)));
  EXPECT_EQ(count_call("aten::mm", arguments_of({List{below, below}, List{below, below}}))
                .figures.executed,
            *checked_multiply(square, OpCount(2 * static_cast<uint64_t>(below))));
}

TEST(MatmulTest, DeclinesWhatIsNoProduct) {
  const auto decline = [](Numbers a, Numbers b) {
    return count_call("aten::mm", arguments_of({a, b})).decline;
  };
  EXPECT_EQ(decline(List{3, 5}, List{5}), Decline::bad_rank);
  EXPECT_EQ(decline(List{3, 5}, kAbsent), Decline::bad_rank);
  EXPECT_EQ(decline(List{3, 5}, List{4, 7}), Decline::mismatched_shapes);
  EXPECT_EQ(decline(List{3, -5}, List{-5, 7}), Decline::negative);
  constexpr int64_t kMost = INT64_MAX;
  EXPECT_EQ(decline(List{kMost, kMost}, List{kMost, kMost}), Decline::overflow);
  EXPECT_EQ(count_call("aten::bmm", arguments_of({List{4, 3, 5}, List{2, 5, 7}})).decline,
            Decline::mismatched_shapes);
}

// ---- convolutions ----------------------------------------------------------------------------

// input, weight, transposed, groups, output.
Counted convolution(List input, List weight, bool transposed, int64_t groups, List output) {
  const int64_t flag = transposed ? 1 : 0;
  return count_call("aten::convolution",
                    arguments_of({input, weight, List{flag}, List{groups}, output}));
}

TEST(ConvolutionTest, EachOutputPositionMeetsTheWholeWeight) {
  // 8 * 32 * 32 positions, weight of 64 * 3 * 3 * 3 = 1728 numbers: 2 * 8192 * 1728.
  EXPECT_EQ(convolution({8, 3, 32, 32}, {64, 3, 3, 3}, false, 1, {8, 64, 32, 32}).figures,
            same(28'311'552));
  // One dimension: 2 * (1 * 10) * (4 * 2 * 3).
  EXPECT_EQ(convolution({1, 2, 10}, {4, 2, 3}, false, 1, {1, 4, 10}).figures, same(480));
  // Three: 2 * (1 * 2*2*2) * (1 * 1 * 8).
  EXPECT_EQ(convolution({1, 1, 3, 3, 3}, {1, 1, 2, 2, 2}, false, 1, {1, 1, 2, 2, 2}).figures,
            same(128));
}

TEST(ConvolutionTest, GroupsDivideTheWork) {
  // Depthwise: each of 16 channels alone. 2 * (2 * 5*5) * (16 * 1 * 3*3).
  EXPECT_EQ(convolution({2, 16, 5, 5}, {16, 1, 3, 3}, false, 16, {2, 16, 5, 5}).figures,
            same(14'400));
}

TEST(ConvolutionTest, ATransposedOneSlidesOverItsInput) {
  // 2 * (1 * 4*4) * (6 * 2 * 3*3), whatever the output's size; 6 inputs, 2 groups of 2 outputs.
  EXPECT_EQ(convolution({1, 6, 4, 4}, {6, 2, 3, 3}, true, 2, {1, 4, 9, 9}).figures, same(3456));
}

TEST(ConvolutionTest, DeclinesShapesThatDoNotFit) {
  EXPECT_EQ(convolution({3, 32, 32}, {64, 3, 3, 3}, false, 1, {64, 32, 32}).decline,
            Decline::bad_rank);
  EXPECT_EQ(convolution({8, 4, 32, 32}, {64, 3, 3, 3}, false, 1, {8, 64, 32, 32}).decline,
            Decline::mismatched_shapes);
  EXPECT_EQ(convolution({8, 3, 32, 32}, {64, 3, 3, 3}, false, 1, {8, 63, 32, 32}).decline,
            Decline::mismatched_shapes);
  EXPECT_EQ(convolution({8, 3, 32, 32}, {64, 3, 3, 3}, false, 0, {8, 64, 32, 32}).decline,
            Decline::mismatched_shapes);
  EXPECT_EQ(convolution({8, 3, 32, 32}, {64, 3, 3, 3}, false, INT64_MAX, {8, 64, 32, 32}).decline,
            Decline::overflow);
}

// grad_output, input, weight, transposed, groups, output_mask.
Counted backward(List mask, int64_t groups = 1) {
  return count_call("aten::convolution_backward",
                    arguments_of({List{2, 8, 5, 5}, List{2, 4 * groups, 5, 5}, List{8, 4, 3, 3},
                                  List{0}, List{groups}, mask}));
}

TEST(ConvolutionBackwardTest, EachWantedGradientCostsAForward) {
  // A forward: 2 * (2 * 5*5) * (8 * 4 * 3*3) = 28800.
  EXPECT_EQ(backward({1, 1, 1}).figures, same(57'600));
  EXPECT_EQ(backward({1, 1, 0}).figures, same(57'600));
  EXPECT_EQ(backward({0, 1, 1}).figures, same(28'800));
  EXPECT_EQ(backward({1, 0, 0}).figures, same(28'800));
  EXPECT_EQ(backward({0, 0, 1}).figures, same(0)) << "a bias gradient is a sum";
}

TEST(ConvolutionBackwardTest, GroupsAreInTheWeightsSizeOnce) {
  // 8 inputs in 2 groups: B * prod(out) * prod(k) * Cout * Cin / g = 2 * 25 * 9 * 8 * 8 / 2.
  EXPECT_EQ(backward({0, 1, 0}, 2).figures, same(2 * 2 * 25 * 9 * 8 * 8 / 2));
}

TEST(ConvolutionBackwardTest, ATransposedOneSlidesOverItsInput) {
  const Counted counted =
      count_call("aten::convolution_backward",
                 arguments_of({List{1, 4, 9, 9}, List{1, 6, 4, 4}, List{6, 2, 3, 3}, List{1},
                               List{2}, List{1, 1, 0}}));
  EXPECT_EQ(counted.figures, same(2 * 3456));
}

TEST(ConvolutionBackwardTest, DeclinesAMaskOfAnotherLength) {
  EXPECT_EQ(backward({1, 1}).decline, Decline::bad_rank);
}

// ---- attention -------------------------------------------------------------------------------

constexpr const char* kForward = "aten::_scaled_dot_product_flash_attention_for_cpu";
constexpr const char* kBackward = "aten::_scaled_dot_product_flash_attention_for_cpu_backward";

Counted attention(const char* op, List q, List k, List v, bool causal) {
  const int64_t flag = causal ? 1 : 0;
  return count_call(op, arguments_of({q, k, v, List{flag}}));
}

TEST(AttentionTest, ForwardIsTwoProductsOverAllPairs) {
  // 2 batches * 3 heads * 4 * 6 pairs, each 2 * (8 + 10).
  EXPECT_EQ(attention(kForward, {2, 3, 4, 8}, {2, 3, 6, 8}, {2, 3, 6, 10}, false).figures,
            same(2 * 3 * 24 * 2 * 18));
}

TEST(AttentionTest, SharedKeysAndValuesSaveNoProduct) {
  EXPECT_EQ(attention(kForward, {2, 6, 4, 8}, {2, 2, 4, 8}, {2, 2, 4, 8}, false).figures,
            attention(kForward, {2, 6, 4, 8}, {2, 6, 4, 8}, {2, 6, 4, 8}, false).figures);
}

TEST(AttentionTest, ACausalMaskOnlyLowersLower) {
  // 4 queries see 1 + 2 + 3 + 4 = 10 of 16 pairs.
  const Counted square = attention(kForward, {1, 1, 4, 8}, {1, 1, 4, 8}, {1, 1, 4, 8}, true);
  EXPECT_EQ(square.figures, (Figures{16 * 32, 16 * 32, 10 * 32}));
  // 2 queries, 5 keys: 1 + 2.
  const Counted wide = attention(kForward, {1, 1, 2, 8}, {1, 1, 5, 8}, {1, 1, 5, 8}, true);
  EXPECT_EQ(wide.figures, (Figures{10 * 32, 10 * 32, 3 * 32}));
  // 5 queries, 2 keys: 1 + 2 + 2 + 2 + 2.
  const Counted tall = attention(kForward, {1, 1, 5, 8}, {1, 1, 2, 8}, {1, 1, 2, 8}, true);
  EXPECT_EQ(tall.figures, (Figures{10 * 32, 10 * 32, 9 * 32}));
}

TEST(AttentionTest, BackwardIsFiveProductsOfWhichTheModelKnowsFour) {
  // 24 pairs; executed 2 * (3 * 8 + 2 * 10) = 88 each, model 2 * (2 * 8 + 2 * 10) = 72.
  const Counted dense = attention(kBackward, {1, 1, 4, 8}, {1, 1, 6, 8}, {1, 1, 6, 10}, false);
  EXPECT_EQ(dense.figures, (Figures{24 * 88, 24 * 72, 24 * 88}));
  // Causal: 1 + 2 + 3 + 4 pairs.
  const Counted causal = attention(kBackward, {1, 1, 4, 8}, {1, 1, 6, 8}, {1, 1, 6, 10}, true);
  EXPECT_EQ(causal.figures, (Figures{24 * 88, 24 * 72, 10 * 88}));
}

TEST(AttentionTest, EveryKernelHasTheSameFormula) {
  const Arguments arguments =
      arguments_of({List{1, 2, 4, 8}, List{1, 2, 4, 8}, List{1, 2, 4, 8}, List{0}});
  for (const Row& row : table()) {
    if (row.op.find("scaled_dot_product") == std::string_view::npos) continue;
    const bool is_backward = row.op.ends_with("backward");
    EXPECT_EQ(row.formula(arguments).figures.executed, OpCount(32 * 2 * (is_backward ? 40 : 16)))
        << row.op;
  }
}

TEST(AttentionTest, ABlockMaskOnlyLowersLower) {
  // 2 batches, 4 heads, 8 queries, 12 keys: 96 pairs for one head of one batch, each 2 * (16 + 16).
  const Row* row = find_row("higher_order::flex_attention", "");
  ASSERT_NE(row, nullptr);
  const auto lower = [row](List mask) {
    const Counted counted = row->formula(
        arguments_of({List{2, 4, 8, 16}, List{2, 2, 12, 16}, List{2, 2, 12, 16}, mask}));
    EXPECT_EQ(counted.figures.executed, OpCount(2 * 4 * 96 * 64));
    EXPECT_EQ(counted.figures.model, OpCount(2 * 4 * 96 * 64));
    return counted.figures.lower;
  };
  // Blocks, each of 4 queries by 4 keys; of a mask for all batches and heads.
  EXPECT_EQ(lower({5, 4, 4, 1, 1}), OpCount(2 * 4 * (5 * 16) * 64));
  EXPECT_EQ(lower({10, 4, 4, 2, 1}), OpCount(4 * (10 * 16) * 64)) << "a mask for each batch";
  EXPECT_EQ(lower({20, 4, 4, 1, 4}), OpCount(2 * (20 * 16) * 64)) << "one for each head";
  EXPECT_EQ(lower({0, 4, 4, 1, 1}), OpCount(0));
  constexpr int64_t kWhole = int64_t{1} << 30;
  EXPECT_EQ(lower({1, kWhole, kWhole, 1, 1}), OpCount(2 * 4 * 96 * 64)) << "no mask";
  EXPECT_EQ(lower({9, 5, 5, 1, 1}), OpCount(2 * 4 * 96 * 64)) << "no more than there are";
  EXPECT_EQ(lower({-1, 4, 4, 1, 1}), OpCount(0)) << "nobody has read it";
  EXPECT_EQ(lower({5, 4, 4, 0, 1}), OpCount(0));
  EXPECT_EQ(lower({INT64_MAX, INT64_MAX, INT64_MAX, 1, 1}), OpCount(2 * 4 * 96 * 64));
}

TEST(AttentionTest, DeclinesShapesThatDoNotFit) {
  const auto decline = [](List q, List k, List v) {
    return attention(kForward, q, k, v, false).decline;
  };
  EXPECT_EQ(decline({2, 4, 8}, {2, 4, 8}, {2, 4, 8}), Decline::bad_rank);
  EXPECT_EQ(decline({2, 3, 4, 8}, {1, 3, 4, 8}, {2, 3, 4, 8}), Decline::mismatched_shapes);
  EXPECT_EQ(decline({2, 3, 4, 8}, {2, 3, 4, 9}, {2, 3, 4, 8}), Decline::mismatched_shapes);
  EXPECT_EQ(decline({2, 3, 4, 8}, {2, 2, 4, 8}, {2, 2, 4, 8}), Decline::mismatched_shapes);
  EXPECT_EQ(decline({2, 3, 4, 8}, {2, 3, 5, 8}, {2, 3, 4, 8}), Decline::mismatched_shapes);
  EXPECT_EQ(decline({2, 3, -4, 8}, {2, 3, 4, 8}, {2, 3, 4, 8}), Decline::negative);
  constexpr int64_t kMost = INT64_MAX;
  EXPECT_EQ(decline({2, 3, kMost, 8}, {2, 3, kMost, 8}, {2, 3, kMost, 8}), Decline::overflow);
}

// ---- phases ----------------------------------------------------------------------------------

// [3,5] by [5,7]: 3 * 7 sums of 5 products and 5 additions.
Figures product_in(DType dtype, Phase phase = Phase::forward) {
  return count_call(*find_row("aten::mm", ""), arguments_of({List{3, 5}, List{5, 7}}), dtype, phase)
      .figures;
}

TEST(PhaseTest, RecomputationIsExecutedButNoPartOfTheModel) {
  EXPECT_EQ(product_in(DType::float32, Phase::recompute), (Figures{210, 0, 210}));
  for (const Phase phase : {Phase::forward, Phase::backward, Phase::optimizer}) {
    EXPECT_EQ(product_in(DType::float32, phase), same(210));
  }
}

TEST(DTypeTest, AComplexMultiplyAddIsEightRealOperations) {
  for (const DType dtype : {DType::complex32, DType::complex64, DType::complex128}) {
    EXPECT_EQ(product_in(dtype), same(105 * 8));
  }
  for (const DType dtype : {DType::other, DType::float64, DType::bfloat16, DType::float8_e4m3fn,
                            DType::int8, DType::int64, DType::bool_}) {
    EXPECT_EQ(product_in(dtype), same(210)) << name(dtype);
  }
}

TEST(DTypeTest, AnElementOfTwoNumbersCountsTwice) {
  EXPECT_EQ(product_in(DType::float4_e2m1fn_x2), same(2 * 210));
}

}  // namespace
}  // namespace account::count
