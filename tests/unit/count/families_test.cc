// Rows whose ops need a GPU or a packed weight, from shapes alone, against numbers worked out by
// hand; and what they all decline.
#include "count/attention.h"
#include "support.h"

namespace account::count {
namespace {

using List = std::initializer_list<int64_t>;

Figures same(uint64_t operations) { return {operations, operations, operations}; }

TEST(GroupedTest, CountsWhatTheGroupsCover) {
  const auto grouped = [](Numbers a, Numbers b, Numbers end) {
    return count_call("aten::_scaled_grouped_mm", arguments_of({a, b, end}));
  };
  EXPECT_EQ(grouped(List{32, 16}, List{4, 16, 24}, kAbsent).figures, same(24576));
  EXPECT_EQ(grouped(List{32, 16}, List{4, 16, 24}, List{28}).figures, same(21504));
  EXPECT_EQ(grouped(List{4, 8, 16}, List{16, 32}, List{32}).figures, same(8192));
  EXPECT_EQ(grouped(List{8, 32}, List{32, 16}, List{20}).figures, same(2 * 8 * 20 * 16));
  EXPECT_EQ(grouped(List{4, 8, 16}, List{4, 16, 24}, kAbsent).figures, same(24576));
  EXPECT_EQ(grouped(List{32, 16}, List{4, 16, 24}, List{33}).decline, Decline::mismatched_shapes);
  EXPECT_EQ(grouped(List{32, 16}, List{4, 15, 24}, List{32}).decline, Decline::mismatched_shapes);
  EXPECT_EQ(grouped(List{32}, List{4, 15, 24}, List{32}).decline, Decline::bad_rank);
}

TEST(ForeachTest, CountsTheSumOverItsPairs) {
  EXPECT_EQ(count_call("aten::_foreach_mm", arguments_of({List{36 + 140}})).figures, same(352));
}

TEST(LinearTest, InputAndOutputSayAll) {
  // 6 inputs of length 32 to 16 outputs.
  EXPECT_EQ(count_call("aten::_weight_int4pack_mm", arguments_of({List{192}, List{16}})).figures,
            same(6144));
  EXPECT_EQ(count_call("onednn::qlinear_pointwise", arguments_of({List{192}, List{16}})).figures,
            same(6144));
}

TEST(LinearTest, AHardwarePatternHalvesTheLowerFigure) {
  EXPECT_EQ(count_call("aten::_sparse_semi_structured_mm", arguments_of({List{32, 8}, List{128}}))
                .figures,
            (Figures{8192, 8192, 4096}));
  EXPECT_EQ(count_call("aten::_sparse_semi_structured_linear", arguments_of({List{192}, List{16}}))
                .figures,
            (Figures{6144, 6144, 3072}));
}

TEST(ConvolutionFamiliesTest, AreOneFormula) {
  // [2,8,10,10] by 3x3: 2 * 2 * 64 * 9 for each pair of channels.
  constexpr uint64_t kPair = 2 * 2 * 64 * 9;
  for (const char* op : {"aten::cudnn_convolution", "aten::miopen_convolution",
                         "mkldnn::_convolution_pointwise", "onednn::qconv2d_pointwise"}) {
    const auto call =
        arguments_of({List{2, 8, 10, 10}, List{4, 8, 3, 3}, List{1}, List{2, 4, 8, 8}});
    EXPECT_EQ(count_call(op, call).figures, same(32 * kPair)) << op;
  }
  EXPECT_EQ(count_call("aten::_conv_depthwise2d",
                       arguments_of({List{2, 8, 10, 10}, List{8, 1, 3, 3}, List{2, 8, 8, 8}}))
                .figures,
            same(8 * kPair));
  EXPECT_EQ(
      count_call("aten::cudnn_convolution_transpose",
                 arguments_of({List{2, 8, 8, 8}, List{8, 4, 3, 3}, List{1}, List{2, 4, 10, 10}}))
          .figures,
      same(32 * kPair));
}

TEST(RecurrentTest, AllWeightsMeetAllTimeSteps) {
  // A packed batch of 20 steps: LSTM 16 -> 32, weights 128 * (16 + 32).
  EXPECT_EQ(count_call("aten::_cudnn_rnn", arguments_of({List{20, 16}, List{6144}})).figures,
            same(245760));
  EXPECT_EQ(count_call("aten::_cudnn_rnn_backward",
                       arguments_of({List{2, 10, 16}, List{6144}, List{1, 1, 1, 1}}))
                .figures,
            same(491520));
  EXPECT_EQ(count_call("aten::_cudnn_rnn_backward",
                       arguments_of({List{2, 10, 16}, List{6144}, List{1, 1, 1, 0}}))
                .figures,
            same(245760));
  // Two layers both ways: 2 * 128 * (16 + 32) + 2 * 128 * (64 + 32).
  EXPECT_EQ(count_call("aten::quantized_lstm",
                       arguments_of({List{2, 10, 16}, List{2, 10, 64}, List{2}, List{1}}), "input")
                .figures,
            same(2 * 20 * 36864));
}

// ---- attention -------------------------------------------------------------------------------

uint64_t pairs(const Window& window, int64_t queries, int64_t keys) {
  uint64_t count = 0;  // one by one
  const int64_t shift = window.from_end ? keys - queries : 0;
  for (int64_t i = 0; i < queries; ++i) {
    for (int64_t j = 0; j < keys; ++j) {
      const int64_t distance = j - i - shift;
      const bool left = window.left == Window::kOpen || -distance <= window.left;
      const bool right = window.right == Window::kOpen || distance <= window.right;
      count += left && right;
    }
  }
  return count;
}

TEST(WindowTest, CountsThePairsThatCountingOneByOneCounts) {
  for (const bool from_end : {false, true}) {
    for (const int64_t left : {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{20}, Window::kOpen}) {
      for (const int64_t right : {int64_t{0}, int64_t{2}, int64_t{20}, Window::kOpen}) {
        for (int64_t queries = 0; queries < 8; ++queries) {
          for (int64_t keys = 0; keys < 8; ++keys) {
            const Window window{left, right, from_end};
            EXPECT_EQ(pairs_within(window, queries, keys), pairs(window, queries, keys))
                << left << ' ' << right << ' ' << from_end << ' ' << queries << 'x' << keys;
          }
        }
      }
    }
  }
}

Counted flash(Numbers q, Numbers k, Numbers v, int64_t causal, Numbers left = kAbsent,
              const char* op = "aten::_flash_attention_forward") {
  return count_call(
      op, arguments_of({q, k, v, kAbsent, kAbsent, List{0}, List{0}, List{causal}, left, kAbsent}));
}

TEST(FlashTest, SequenceComesBeforeHeads) {
  // 2 * 2 * 3 heads * 4 * 5 pairs * (8 + 8)
  EXPECT_EQ(flash(List{2, 4, 3, 8}, List{2, 5, 1, 8}, List{2, 5, 1, 8}, 0).figures, same(3840));
  EXPECT_EQ(flash(List{2, 4, 3, 8}, List{2, 5, 1, 8}, List{2, 5, 1, 8}, 0, kAbsent,
                  "aten::_flash_attention_backward")
                .figures,
            (Figures{9600, 7680, 9600}));
}

TEST(FlashTest, AMaskStandsAtTheEndAndAWindowCutsIt) {
  // Queries 2 at keys 4: they see 3 and 4 keys.
  EXPECT_EQ(flash(List{1, 2, 1, 8}, List{1, 4, 1, 8}, List{1, 4, 1, 8}, 1).figures,
            (Figures{256, 256, 7 * 32}));
  // At most one key to the left: 2 and 2.
  EXPECT_EQ(flash(List{1, 2, 1, 8}, List{1, 4, 1, 8}, List{1, 4, 1, 8}, 1, List{1}).figures,
            (Figures{256, 256, 4 * 32}));
}

TEST(FlashTest, PackedSequencesAreBoundedByTheLongest) {
  // 3 sequences (4 ends), 12 tokens, the longest 6: at most 72 pairs, at least 48.
  const auto packed = [](int64_t causal) {
    return count_call("aten::_flash_attention_forward",
                      arguments_of({List{12, 2, 8}, List{12, 2, 8}, List{12, 2, 8}, List{4},
                                    List{4}, List{6}, List{6}, List{causal}, kAbsent, kAbsent}));
  };
  EXPECT_EQ(packed(0).figures, (Figures{2 * 2 * 16 * 72, 2 * 2 * 16 * 72, 2 * 2 * 16 * 48}));
  EXPECT_EQ(packed(1).figures, (Figures{2 * 2 * 16 * 72, 2 * 2 * 16 * 72, 2 * 2 * 16 * 30}));
}

TEST(EfficientTest, MaskTypesAndWindow) {
  const auto efficient = [](int64_t mask, Numbers window) {
    return count_call("aten::_efficient_attention_forward",
                      arguments_of({List{1, 2, 1, 8}, List{1, 4, 1, 8}, List{1, 4, 1, 8}, kAbsent,
                                    kAbsent, kAbsent, kAbsent, List{mask}, window}))
        .figures.lower;
  };
  EXPECT_EQ(efficient(0, kAbsent), 256u);
  EXPECT_EQ(efficient(1, kAbsent), 3u * 32);
  EXPECT_EQ(efficient(2, kAbsent), 7u * 32);
  EXPECT_EQ(efficient(2, List{2}), 4u * 32);
}

TEST(SparseTest, DeclinesTwoSparseFactors) {
  const auto product = [](Numbers a, Numbers b) {
    return count_call("aten::mm", arguments_of({List{4, 6}, List{6, 7}, a, b}), "sparse");
  };
  EXPECT_EQ(product(List{5}, kAbsent).figures, same(70));
  EXPECT_EQ(product(kAbsent, List{5}).figures, same(40));
  EXPECT_EQ(product(List{5}, List{5}).decline, Decline::two_sparse);
  EXPECT_EQ(product(kAbsent, kAbsent).decline, Decline::mismatched_shapes);
}

}  // namespace
}  // namespace account::count
