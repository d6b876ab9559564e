// A step's calls on their way from the rank to the auditor.
#include "count/transcript.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "count/transcript_row.h"
#include "count/uncounted.h"
#include "support.h"

namespace account::count {
namespace {

using List = std::initializer_list<int64_t>;
using testing::HasSubstr;

// A shared page, active in this process, and the keeper's view of it.
class TranscriptTest : public testing::Test {
 protected:
  TranscriptTest() {
    if (mkdtemp(root_.data()) == nullptr) abort();
    auto page = tally::Page::create({root_ + "/account/run"}, tally::Identity());
    if (!page.ok() || (*page)->in_memory()) abort();
    const std::string path = (*page)->path();
    tally::activate(std::move(page).value());
    view_ = tally::PageView::open(path).value();
  }
  ~TranscriptTest() override { std::filesystem::remove_all(root_); }

  // What the adapter does for one mm of [rows,5] and [5,7].
  static void call_mm(int64_t rows, Phase phase = Phase::forward) {
    const Arguments arguments = arguments_of({List{rows, 5}, List{5, 7}});
    const Row& row = *find_row("aten::mm", "");
    const tally::Key key{tally::op_id(row.op), DType::float32, phase, Category::unassigned};
    const Figures figures = count_call(row, arguments, key.dtype, phase).figures;
    tally::add(key, figures);
    if (recording.load()) record(row, arguments, key, figures);
  }

  static void close() { on_step_closed(tally::close_step()); }

  std::optional<Transcript> take_one() {
    Transcript transcript;
    if (!take(*view_, transcript)) return std::nullopt;
    return transcript;
  }

  std::string root_ = testing::TempDir() + "/account-count-XXXXXX";
  std::unique_ptr<tally::PageView> view_;
};

constexpr char kTwoCalls[] =
    R"({"op":"aten::mm","overload":"","dtype":"float32","phase":"forward",)"
    R"("category":"unassigned","arguments":{"self":[3,5],"mat2":[5,7]},)"
    R"("calls":2,"executed":"420","model":"420","lower":"420"})"
    "\n";

TEST_F(TranscriptTest, EqualCallsShareALineThatSaysAllToCountThemAgain) {
  begin();
  call_mm(3);
  call_mm(3);
  EXPECT_FALSE(take_one().has_value()) << "the step is not closed yet";
  close();
  const auto transcript = take_one();
  ASSERT_TRUE(transcript.has_value());
  EXPECT_EQ(transcript->step, 1u);
  EXPECT_EQ(transcript->not_kept, 0u);
  EXPECT_EQ(transcript->lines, kTwoCalls);
  uint64_t rows = 0;
  const auto sum = recount(transcript->lines, rows);
  ASSERT_TRUE(sum.ok()) << sum.status().to_string();
  EXPECT_EQ(rows, 1u);
  EXPECT_EQ(sum->executed, OpCount(420));
}

TEST_F(TranscriptTest, CallsThatDifferInAnyWordHaveLinesOfTheirOwn) {
  begin();
  call_mm(3);
  call_mm(4);
  call_mm(3, Phase::recompute);
  close();
  const auto transcript = take_one();
  uint64_t rows = 0;
  const auto sum = recount(transcript->lines, rows);
  ASSERT_TRUE(sum.ok()) << sum.status().to_string();
  EXPECT_EQ(rows, 3u);
  EXPECT_EQ(*sum, (Figures{700, 490, 700}));
}

TEST_F(TranscriptTest, ItSumsToTheStep) {
  begin();
  for (int64_t rows = 1; rows <= 20; ++rows) call_mm(rows);
  close();
  uint64_t rows = 0;
  EXPECT_EQ(recount(take_one()->lines, rows)->executed, view_->take_steps().steps.at(0).executed);
}

TEST_F(TranscriptTest, Steps1And10And100AreRecordedAndOneSoonAfterTheFirst) {
  begin();
  std::vector<uint64_t> recorded;
  for (int step = 1; step <= 120; ++step) {
    call_mm(step);
    close();
    if (const auto transcript = take_one()) recorded.push_back(transcript->step);
  }
  // The wish for step 2 comes while the area still holds step 1.
  EXPECT_EQ(recorded, (std::vector<uint64_t>{1, 3, 10, 100}));
}

TEST_F(TranscriptTest, AWishThatMetAFullAreaIsMetLater) {
  begin();
  for (int step = 1; step <= 5; ++step) close();
  EXPECT_EQ(take_one()->step, 1u);  // nobody had emptied the area before step 5 closed
  close();
  close();
  EXPECT_EQ(take_one()->step, 7u) << "for step 2";
}

TEST_F(TranscriptTest, TheKeepersWishIsMetOnce) {
  for (int step = 1; step <= 200; ++step) {  // no begin(): only wishes count
    close();
    (void)take_one();
  }
  view_->layout().transcript.wanted_at.store(205);
  std::vector<uint64_t> recorded;
  for (int step = 201; step <= 220; ++step) {
    call_mm(1);
    close();
    if (const auto transcript = take_one()) recorded.push_back(transcript->step);
  }
  EXPECT_EQ(recorded, std::vector<uint64_t>{205});
}

TEST_F(TranscriptTest, WhatFindsNoRowIsCounted) {
  begin();
  for (int64_t rows = 1; rows <= tally::kTranscriptRows + 16; ++rows) call_mm(rows);
  call_mm(1);  // has a row already
  close();
  const auto transcript = take_one();
  EXPECT_EQ(transcript->not_kept, 16u);
  EXPECT_EQ(std::count(transcript->lines.begin(), transcript->lines.end(), '\n'),
            tally::kTranscriptRows);
}

TEST_F(TranscriptTest, ThreadsRecordTogether) {
  begin();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int call = 0; call < 500; ++call) call_mm(call % 7);
    });
  }
  for (std::thread& thread : threads) thread.join();
  close();
  uint64_t rows = 0;
  const auto sum = recount(take_one()->lines, rows);
  EXPECT_EQ(rows, 7u);
  EXPECT_EQ(sum->executed, view_->take_steps().steps.at(0).executed);
}

TEST_F(TranscriptTest, HostileRowsAreLeftOutAndCounted) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    tally::Transcript& area = view_->layout().transcript;
    area.state.store(static_cast<uint32_t>(tally::TranscriptState::recording));
    area.rows.store(0);
    area.not_kept.store(0);
    recording.store(true);
    begin();  // finds the area busy; the rows below come from this loop
    RowBytes bytes;
    TranscriptCall call{find_row("aten::mm", ""), arguments_of({List{3, 5}, List{5, 7}}),
                        DType::float32,           Phase::forward,
                        Category::train,          1,
                        {210, 210, 210}};
    ASSERT_TRUE(encode(call, bytes));
    char* row = area.row[0].bytes;
    memcpy(row, &bytes, sizeof(bytes));
    for (int flip = 0; flip < 1 + round % 20; ++flip) {
      row[8 + random() % (sizeof(bytes) - 8)] ^= static_cast<char>(1 << random() % 8);
    }
    area.rows.store(round % 2 == 0 ? 1 : 0xFFFFFFFF);
    area.state.store(static_cast<uint32_t>(tally::TranscriptState::ready));
    const auto transcript = take_one();
    ASSERT_TRUE(transcript.has_value());
    uint64_t rows = 0;
    EXPECT_TRUE(recount(transcript->lines, rows).ok());
  }
  recording.store(false);
}

// ---- recounting ------------------------------------------------------------------------------

Status recount_status(std::string lines) {
  uint64_t rows = 0;
  return recount(lines, rows).status();
}

std::string with(std::string_view from, std::string_view to) {
  std::string line = kTwoCalls;
  const size_t at = line.find(from);
  if (at == std::string::npos) ADD_FAILURE() << from;
  return line.replace(at, from.size(), to);
}

TEST(RecountTest, NamesTheLineAndTheFault) {
  const struct {
    std::string line;
    const char* fault;
  } cases[] = {
      {with("\"420\"", "\"421\""), "its shapes give 420"},
      {with(R"("lower":"420")", R"("lower":"419")"), "lower 419"},
      {with("[3,5]", "[3,6]"), "shapes that do not fit together"},
      {with("[3,5]", "[-3,5]"), "negative size"},
      {with("[3,5]", "[3]"), "unexpected number of dimensions"},
      {with("[3,5]", "7"), "argument 'self' is no list"},
      {with("[3,5]", "[1,2,3,4,5,6,7,8,9]"), "argument 'self' has too many numbers"},
      {with("[3,5]", "[3,\"5\"]"), "argument 'self' holds something else than numbers"},
      {with("\"self\"", "\"other\""), "argument 'other' is out of place"},
      {with("\"self\":[3,5],", ""), "has other members than the op's formula reads"},
      {with("aten::mm", "aten::nn"), "no formula for 'aten::nn'"},
      {with("float32", "float33"), "'float33' is no dtype"},
      {with("forward", "forwards"), "'forwards' is no phase"},
      {with("unassigned", "assigned"), "'assigned' is no category"},
      {with("\"calls\":2", "\"calls\":0"), "'calls' is below 1"},
      {with("\"calls\":2", "\"calls\":3"), "its shapes give 630"},
      {with(",\"calls\"", ", \"calls\""), "canonical"},
      {with("\n", ""), "it does not end"},
      {with("\"op\"", "\"extra\":1,\"op\""), "extra"},
      {"\n", "line 2"},
  };
  for (const auto& [line, fault] : cases) {
    const Status status = recount_status(kTwoCalls + line);
    EXPECT_EQ(status.code(), Code::corrupt) << line;
    EXPECT_THAT(status.to_string(), HasSubstr("transcript line 2"));
    EXPECT_THAT(status.to_string(), HasSubstr(fault));
  }
}

TEST(RecountTest, AnEmptyTranscriptIsFine) {
  uint64_t rows = 7;
  EXPECT_EQ(*recount("", rows), Figures());
  EXPECT_EQ(rows, 0u);
}

TEST(RecountTest, NoSingleBitFlipPasses) {
  for (size_t at = 0; at < sizeof(kTwoCalls) - 1; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string line = kTwoCalls;
      line[at] ^= static_cast<char>(1 << bit);
      const Status status = recount_status(line);
      // A flip may make another true line: another dtype or category, sizes that give the same.
      if (status.ok()) {
        uint64_t rows = 0;
        EXPECT_EQ(recount(line, rows)->executed, OpCount(420)) << line;
      }
    }
  }
}

TEST(TranscriptRowTest, ARowAndItsLineSayTheSame) {
  const TranscriptCall call{find_row("aten::convolution_backward", ""),
                            arguments_of({List{2, 8, 5, 5}, List{2, 4, 5, 5}, List{8, 4, 3, 3},
                                          List{0}, List{1}, kAbsent}),
                            DType::bfloat16,
                            Phase::backward,
                            Category::train,
                            4,
                            {OpCount::max(), 2, 3}};
  RowBytes bytes;
  ASSERT_TRUE(encode(call, bytes));
  const auto decoded = decode(bytes);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(to_json_line(*decoded), to_json_line(call));
  const auto parsed = from_json_line(to_json_line(call));
  ASSERT_TRUE(parsed.ok()) << parsed.status().to_string();
  EXPECT_EQ(to_json_line(*parsed), to_json_line(call));
  EXPECT_THAT(to_json_line(call), HasSubstr("\"output_mask\":null"));
  EXPECT_THAT(to_json_line(call), HasSubstr("340282366920938463463374607431768211455"));
}

TEST(TranscriptRowTest, FieldsLieWhereTheFormatPageSays) {
  std::ifstream file(std::string(ACCOUNT_TESTS_DIR) + "/../libaccount/doc/transcript_format.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  const auto expect = [&](const std::string& name, size_t offset, size_t size) {
    EXPECT_THAT(page, HasSubstr("\n| `" + name + "` | " + std::to_string(offset) + " | " +
                                std::to_string(size) + " |"));
  };
#define ACCOUNT_FIELD(member) expect(#member, offsetof(RowBytes, member), sizeof(RowBytes::member))
  ACCOUNT_FIELD(identity);
  ACCOUNT_FIELD(calls);
  ACCOUNT_FIELD(executed_low);
  ACCOUNT_FIELD(executed_high);
  ACCOUNT_FIELD(model_low);
  ACCOUNT_FIELD(model_high);
  ACCOUNT_FIELD(lower_low);
  ACCOUNT_FIELD(lower_high);
  ACCOUNT_FIELD(op);
  ACCOUNT_FIELD(overload);
  ACCOUNT_FIELD(dtype);
  ACCOUNT_FIELD(phase);
  ACCOUNT_FIELD(category);
  ACCOUNT_FIELD(arguments);
  ACCOUNT_FIELD(sizes);
  ACCOUNT_FIELD(values);
#undef ACCOUNT_FIELD
}

TEST(UncountedTest, CallsAreListedWithTheirReasonAndSubtract) {
  const auto before = read_uncounted();
  note_uncounted("test::odd", "sparse layout");
  note_uncounted("test::odd", "sparse layout");
  note_uncounted("test::odd", "symbolic size");
  const auto noted = subtract(read_uncounted(), before);
  ASSERT_EQ(noted.size(), 2u);
  EXPECT_EQ(noted[0].op, "test::odd");
  EXPECT_EQ(noted[0].reason, "sparse layout");
  EXPECT_EQ(noted[0].calls, 2u);
  EXPECT_EQ(noted[1].calls, 1u);
  EXPECT_TRUE(subtract(before, before).empty());
}

TEST(UncountedTest, BoundsAddUpAndGoIntoTheUpperFigure) {
  const auto before = read_uncounted();
  note_uncounted("test::bounded", "no formula", 1000);
  note_uncounted("test::bounded", "no formula", 234);
  Totals totals;
  totals.upper = 5;
  add_uncounted(totals, subtract(read_uncounted(), before));
  ASSERT_EQ(totals.uncounted.size(), 1u);
  EXPECT_EQ(totals.uncounted[0].bound, OpCount(1234));
  EXPECT_EQ(totals.upper, OpCount(1239));
}

TEST(UncountedTest, ABoundPairsTheTwoLargestTensors) {
  const auto bound = [](std::vector<int64_t> elements) { return bound_of_elements(elements); };
  EXPECT_EQ(bound({}), OpCount(0));
  EXPECT_EQ(bound({3}), OpCount(4 * 9 + 64 * 3));
  EXPECT_EQ(bound({2, 7, 5}), OpCount(4 * 35 + 64 * 14));
  EXPECT_EQ(bound({7, 7, -1}), OpCount(4 * 49 + 64 * 14));
  EXPECT_GT(bound({INT64_MAX, INT64_MAX}), OpCount::from_limbs(0, uint64_t{1} << 62));
  // It is above what a product, [3,40] x [40,5], and an attention, 2 heads of [6,8], cost.
  EXPECT_GE(bound({120, 200, 15}), OpCount(2 * 3 * 40 * 5));
  EXPECT_GE(bound({96, 96, 96}), OpCount(2 * 2 * 6 * 6 * (8 + 8)));
}

}  // namespace
}  // namespace account::count
