// The writer: sessions, recovery, refusals, and what it promises between them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WriterTest : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Writer>> open(const WriterOptions& options) {
    return Writer::open(FileSystem::real(), clock_, options);
  }
  Result<std::unique_ptr<Writer>> open() { return open(options_for(run_)); }
  std::string node(std::string_view file) const {
    return run_ + "/node-1f00ba5e/" + std::string(file);
  }

  TempDir dir_;
  const std::string run_ = dir_ / "run-1";
  FakeClock clock_;
};

TEST_F(WriterTest, MakesAFolderThatVerifies) {
  write_sample(FileSystem::real(), run_);
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(kSampleOperations));
  EXPECT_EQ(report.run, "run-1");
  ASSERT_EQ(report.nodes.size(), 1u);
  EXPECT_TRUE(report.nodes[0].closed);
  EXPECT_EQ(report.nodes[0].open_bytes, 0u);
  EXPECT_THAT(report.nodes[0].remarks, IsEmpty());
}

TEST_F(WriterTest, AcknowledgesExactlyWhatTheNoteCovers) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  EXPECT_EQ((*writer)->sealed().lines, 1u);  // the opening line is sealed before anything else
  (*writer)->incarnation(process(0, 1, 'a'));
  EXPECT_EQ((*writer)->sealed().lines, 1u);
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  EXPECT_EQ((*writer)->sealed().lines, 3u);
  const auto note = sign::parse_checkpoint(read_file(node("checkpoint")));
  EXPECT_EQ(note->size, 3u);
  EXPECT_EQ(sign::to_hex(note->root), (*writer)->sealed().root_hex);
  EXPECT_EQ(note->origin, "account/run-1/1f00ba5e");
}

TEST_F(WriterTest, LeavesAnUnclosedRunAfterAnEndWithoutWarning) {
  write_sample(FileSystem::real(), run_, false);
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_FALSE(report.nodes[0].closed);
  EXPECT_EQ(report.incarnations[0].ended, "");
}

TEST_F(WriterTest, GoesOnWithANewKeyAfterACrash) {
  write_sample(FileSystem::real(), run_, false);
  {
    auto writer = open();
    ASSERT_THAT(writer, IsOk());
    EXPECT_EQ((*writer)->incarnation(process(0, 2, 'a')), 1);  // keeps its number
    const int fresh = (*writer)->incarnation(process(0, 2, 'c'));
    EXPECT_EQ(fresh, 3);
    (*writer)->counters(counted(fresh, 1, 4));
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  }
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_THAT(report.nodes[0].remarks, ElementsAre("session 2: new key after a crash"));
  ASSERT_EQ(report.nodes[0].keys.size(), 2u);
  EXPECT_NE(report.nodes[0].keys[0], report.nodes[0].keys[1]);
  EXPECT_EQ(report.totals.executed, OpCount(kSampleOperations + 100));
  EXPECT_EQ(report.totals.steps, 7u);  // rank 0: 3 in its first process and 4 in its second
  EXPECT_EQ(report.ranks, 2u);
}

TEST_F(WriterTest, GoesOnAfterAnOrderlyEnd) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(open(), IsOk());
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_THAT(report.nodes[0].remarks, ElementsAre("session 2: new key after an orderly end"));
  EXPECT_FALSE(report.nodes[0].closed);
}

TEST_F(WriterTest, CutsWhatLiesBehindTheLastNoteAndSaysSo) {
  write_sample(FileSystem::real(), run_, false);
  const std::string segment = node("ledger/000001.jsonl");
  write_file(segment, read_file(segment) + "{\"half");
  Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.nodes[0].open_bytes, 6u);
  ASSERT_THAT(open(), IsOk());
  report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.nodes[0].open_bytes, 0u);
  EXPECT_THAT(report.nodes[0].remarks, Contains("session 2: cut 6 unacknowledged bytes"));
}

TEST_F(WriterTest, RefusesADamagedLedgerAndNamesThePlace) {
  write_sample(FileSystem::real(), run_, false);
  const std::string segment = node("ledger/000001.jsonl");
  std::string bytes = read_file(segment);
  const size_t second = bytes.find('\n') + 1;
  bytes[second] = '[';
  write_file(segment, bytes);
  EXPECT_THAT(open(),
              StatusIs(Code::corrupt, HasSubstr("node-1f00ba5e/ledger/000001.jsonl line 2")));
  EXPECT_EQ(read_file(segment), bytes);  // a refusal changes nothing
}

TEST_F(WriterTest, RefusesTheFolderOfAnotherRunAndNamesBoth) {
  write_sample(FileSystem::real(), run_);
  EXPECT_THAT(open(options_for(run_, "run-2")),
              StatusIs(Code::invalid_argument,
                       ::testing::AllOf(HasSubstr("'run-1'"), HasSubstr("'run-2'"))));
}

TEST_F(WriterTest, RefusesNamesThatAreNoRunAndNoNode) {
  for (const char* id : {"", ".", "..", "a/b", "a b", "a+b", "\u00e9"}) {
    EXPECT_THAT(open(options_for(dir_ / "x", id)), StatusIs(Code::invalid_argument)) << id;
  }
  EXPECT_THAT(open(options_for(dir_ / "x", std::string(97, 'a'))),
              StatusIs(Code::invalid_argument));
  EXPECT_THAT(open(options_for(dir_ / "x", "run", "1F00BA5E")), StatusIs(Code::invalid_argument));
  EXPECT_FALSE(FileSystem::real().exists(dir_ / "x"));
  EXPECT_THAT(check_run_id(std::string(96, 'a')), IsOk());
}

TEST_F(WriterTest, RefusesASecondWriterInAnotherProcess) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  const pid_t child = fork();
  if (child == 0) {
    const auto second = Writer::open(FileSystem::real(), Clock::real(), options_for(run_));
    _exit(second.status().code() == Code::unavailable ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_THAT((*writer)->seal(SealReason::time), IsOk());
}

TEST_F(WriterTest, RefusesASecondWriterInTheSameProcess) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  EXPECT_THAT(open(), StatusIs(Code::unavailable, HasSubstr("another keeper")));
}

TEST_F(WriterTest, BeginsANewSegmentBeforeOneIsFull) {
  WriterOptions options = options_for(run_);
  options.segment_bytes = 2000;
  auto writer = open(options);
  ASSERT_THAT(writer, IsOk());
  const int a = (*writer)->incarnation(process(0, 1, 'a'));
  for (uint64_t i = 1; i <= 40; ++i) {
    (*writer)->counters(counted(a, i, i));
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  }
  writer = Status(Code::internal, "closed");
  const auto segments = FileSystem::real().list(node("ledger")).value();
  EXPECT_GT(segments.size(), 5u);
  for (const std::string& name : segments) {
    EXPECT_LE(read_file(node("ledger/" + name)).size(), 2000u) << name;
  }
  EXPECT_EQ(verified(run_).totals.executed, OpCount(4000));
  // A cut that reaches back over segments: the newer files go as well.
  write_file(node("ledger/" + segments.back()),
             read_file(node("ledger/" + segments.back())) + "tail");
  ASSERT_THAT(open(options), IsOk());
  EXPECT_TRUE(verified(run_).ok());
}

TEST_F(WriterTest, RefusesASegmentThatIsMissingInBetween) {
  WriterOptions options = options_for(run_);
  options.segment_bytes = 1000;
  {
    auto writer = open(options);
    ASSERT_THAT(writer, IsOk());
    const int a = (*writer)->incarnation(process(0, 1, 'a'));
    for (uint64_t i = 1; i <= 9; ++i) {
      (*writer)->counters(counted(a, i, i));
      ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
    }
  }
  ASSERT_THAT(FileSystem::real().remove(node("ledger/000002.jsonl")), IsOk());
  const Report report = verified(run_);
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problems[0].place, "node-1f00ba5e/ledger/000002.jsonl");
}

TEST_F(WriterTest, WritesTheCountersOfRanksThatCountTheSameOnce) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  for (int rank = 0; rank < 4; ++rank) {
    const int number = (*writer)->incarnation(process(rank, 4, static_cast<char>('a' + rank)));
    (*writer)->counters(counted(number, rank == 2 ? 5 : 3, 1));  // one of them did more
  }
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  const std::string lines = read_file(node("ledger/000001.jsonl"));
  EXPECT_NE(lines.find(R"({"incarnation":2,"same":1},{"incarnation":3,"steps_closed")"),
            std::string::npos);
  EXPECT_NE(lines.find(R"({"incarnation":4,"same":1}])"), std::string::npos);
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(1400));  // 3 x 300 and 500
  EXPECT_EQ(report.ranks, 4u);
}

TEST_F(WriterTest, SplitsCountersThatAreTooManyForALine) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  CounterLine line = counted(0, 1, 1);
  line.rows.clear();
  for (int i = 0; i < 4000; ++i) {
    CountRow row;
    row.op = "aten::some_operator_with_a_long_name_" + std::to_string(i);
    row.calls = 1;
    row.figures = {1, 1, 1};
    line.rows.push_back(row);
  }
  for (int rank = 0; rank < 6; ++rank) {
    line.incarnation = (*writer)->incarnation(process(rank, 6, static_cast<char>('a' + rank)));
    line.steps_closed = static_cast<uint64_t>(rank);  // else all but one would be "the same"
    (*writer)->counters(line);
  }
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  EXPECT_GT((*writer)->sealed().lines, 1u + 6u + 1u);
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(24000));
}

TEST_F(WriterTest, ReplacesWhatCouldNotBeReadAgain) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  IncarnationLine line = process(0, 1, 'a');
  line.model = "\xff";
  const int a = (*writer)->incarnation(line);
  CounterLine counters = counted(a, 1, 1);
  counters.rows[0].op = "\xfe";
  (*writer)->counters(counters);
  (*writer)->event("note", Json::object({{"detail", "\xff"}}));
  (*writer)->gap(Json::object({{"kind", "big"}, {"detail", std::string(2 << 20, 'x')}}));
  (*writer)->event("unheard_of", Json::object());
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(100));  // counted all the same
  EXPECT_EQ(report.gaps.size(), 4u);
}

TEST_F(WriterTest, SealsNothingMoreOnceClosed) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  (*writer)->closed(Json::object({{"how", "finished"}}));
  ASSERT_THAT((*writer)->seal(SealReason::end), IsOk());
  EXPECT_THAT((*writer)->seal(SealReason::end), StatusIs(Code::invalid_argument));
}

TEST_F(WriterTest, KeepsOneTranscriptForAStep) {
  auto writer = open();
  ASSERT_THAT(writer, IsOk());
  const int a = (*writer)->incarnation(process(0, 1, 'a'));
  (*writer)->transcript(a, 1, 0, kTranscript);
  (*writer)->transcript(a, 1, 0, "another\n");
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  (*writer)->transcript(a, 1, 0, "a third\n");
  ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  EXPECT_EQ(read_file(node("transcripts/1-1.jsonl")), kTranscript);
  const Report report = verified(run_);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.nodes[0].transcripts, 1u);
}

TEST(WriterClockTest, AClockThatGoesBackStandsStillAndIsNoted) {
  TempDir dir;
  FakeClock clock;
  const int64_t began = clock.unix_ns();
  {
    auto writer = Writer::open(FileSystem::real(), clock, options_for(dir / "run-1"));
    ASSERT_THAT(writer, IsOk());
    clock.set_unix_ns(began - 3'600'000'000'000);  // an hour
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  }
  clock.set_unix_ns(began - 7'200'000'000'000);  // and the next keeper is on another clock
  auto next = Writer::open(FileSystem::real(), clock, options_for(dir / "run-1"));
  ASSERT_THAT(next, IsOk());
  clock.set_unix_ns(began + 5);
  ASSERT_THAT((*next)->seal(SealReason::time), IsOk());
  const Report report = verified(dir / "run-1");
  EXPECT_TRUE(report.ok()) << describe(report);
  ASSERT_EQ(report.nodes[0].events.size(), 1u);
  EXPECT_EQ(report.nodes[0].events[0].get_string("kind").value(), "clock_went_back");
  EXPECT_EQ(report.nodes[0].events[0].get_integer("seconds").value(), 3600);
}

}  // namespace
}  // namespace account::ledger
