// Verification: sums, gaps and the rules between lines, on ledgers that are correctly signed.
#include <gtest/gtest.h>

#include <functional>

#include "ledger/format.h"
#include "ledger/lines.h"
#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class VerifyTest : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string run_ = dir_ / "run-1";
};

TEST_F(VerifyTest, RecomputesEveryFigureFromTheLastLines) {
  write_sample(FileSystem::real(), run_);
  const Report report = verified(run_);
  ASSERT_TRUE(report.ok()) << describe(report);
  const Totals& totals = report.totals;
  EXPECT_EQ(totals.executed, OpCount(1300));
  EXPECT_EQ(totals.model, OpCount(1300 - 130));
  EXPECT_EQ(totals.lower, OpCount(1300 - 65));
  EXPECT_EQ(totals.upper, OpCount(1300 + kSampleBound));
  EXPECT_EQ(totals.calls, 26u);
  EXPECT_EQ(totals.steps, 3u);
  EXPECT_EQ(totals.by_op, (std::map<std::string, OpCount>{{"aten::mm", 1300}}));
  EXPECT_EQ(totals.by_phase, (std::map<std::string, OpCount>{{"backward", 520}, {"forward", 780}}));
  EXPECT_EQ(totals.by_dtype, (std::map<std::string, OpCount>{{"float32", 1300}}));
  EXPECT_EQ(totals.by_category, (std::map<std::string, OpCount>{{"train", 1300}}));
  ASSERT_EQ(totals.uncounted.size(), 1u);
  EXPECT_EQ(totals.uncounted[0].op, "my::op");
  EXPECT_EQ(totals.uncounted[0].calls, 3u);
  EXPECT_EQ(report.ranks, 2u);
  EXPECT_EQ(report.world_size, 2u);
  EXPECT_FALSE(report.trusted);
  EXPECT_EQ(report.level, "L0");
}

// Each process start tells cumulative numbers, again and again.
TEST_F(VerifyTest, TakesTheLastWordOfEachProcessStartOnUncountedCalls) {
  const auto said = [](int incarnation, const char* reason, int calls, uint64_t bound) {
    return Json::object({{"kind", "uncounted"},
                         {"op", "my::op"},
                         {"incarnation", incarnation},
                         {"reason", reason},
                         {"calls", calls},
                         {"bound_operations", OpCount(bound)}});
  };
  write_sample(FileSystem::real(), run_, true, kNode, 0,
               {said(1, "no formula", 1, 10), said(1, "no formula", 4, 40),
                said(2, "no formula", 2, 20), said(1, "other", 1, 5)});
  const Totals totals = verified(run_).totals;
  ASSERT_EQ(totals.uncounted.size(), 3u);  // with the sample's own
  uint64_t calls = 0;
  for (const Uncounted& kind : totals.uncounted) {
    if (kind.reason == "no formula") {
      EXPECT_EQ(kind.calls, 6u);
      EXPECT_EQ(kind.bound, OpCount(60));
    }
    calls += kind.calls;
  }
  EXPECT_EQ(calls, 6u + 1u + 3u);
  EXPECT_EQ(totals.upper, OpCount(kSampleOperations + kSampleBound + 60 + 5));
}

TEST_F(VerifyTest, BoundsOpsWithoutAFormulaByTheWorstAuditedStep) {
  const auto audit = [](uint64_t executed, uint64_t bound) {
    return Json::object({{"kind", "audit"},
                         {"executed", OpCount(executed)},
                         {"estimate", OpCount(bound / 2)},
                         {"bound_operations", OpCount(bound)}});
  };
  write_sample(FileSystem::real(), run_, true, kNode, 0, {audit(100, 2), audit(50, 4)});
  const Report report = verified(run_);
  EXPECT_EQ(report.audited_steps, 2u);
  EXPECT_EQ(report.audit_bound, OpCount((kSampleOperations / 50 + 1) * 4));
  EXPECT_EQ(report.totals.upper,
            OpCount(kSampleOperations + kSampleBound + (kSampleOperations / 50 + 1) * 4));
}

TEST_F(VerifyTest, TakesARunAndANodeFolderAlike) {
  write_sample(FileSystem::real(), run_);
  EXPECT_EQ(verified(run_).totals.executed, verified(run_ + "/node-1f00ba5e").totals.executed);
  EXPECT_EQ(verified(run_ + "/").totals.executed, OpCount(kSampleOperations));
  const auto at = [](const std::string& path) {
    return verify(FileSystem::real(), path, std::nullopt, kRecount);
  };
  EXPECT_THAT(at(dir_ / "nothing"), StatusIs(Code::not_found));
  EXPECT_THAT(at(dir_.path()), StatusIs(Code::not_found, HasSubstr("<run id>")));
}

TEST_F(VerifyTest, SumsTheNodesOfARun) {
  write_sample(FileSystem::real(), run_, true, kNode, 0);
  write_sample(FileSystem::real(), run_, true, kOtherNode, 2);
  const Report report = verified(run_);
  ASSERT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(2 * kSampleOperations));
  EXPECT_EQ(report.ranks, 4u);
  EXPECT_EQ(report.totals.steps, 3u);
  EXPECT_EQ(report.nodes.size(), 2u);
}

TEST_F(VerifyTest, RefusesANodeOfAnotherRunAndARenamedNode) {
  write_sample(FileSystem::real(), run_);
  const std::string other = dir_ / "run-2";
  {
    ASSERT_THAT(
        Writer::open(FileSystem::real(), Clock::real(), options_for(other, "run-2", kOtherNode)),
        IsOk());
  }
  copy_folder(other + "/node-2f00ba5e", run_ + "/node-2f00ba5e");
  Report report = verified(run_);
  ASSERT_EQ(report.problems.size(), 1u) << describe(report);
  EXPECT_EQ(report.problems[0].place, "node-2f00ba5e/run.json");
  copy_folder(run_ + "/node-1f00ba5e", run_ + "/node-3f00ba5e");
  report = verified(run_);
  EXPECT_EQ(report.problems.size(), 2u) << describe(report);
}

TEST_F(VerifyTest, PutsWhatCameAfterTheLastFullTableUnderUnattributed) {
  {
    auto writer = Writer::open(FileSystem::real(), Clock::real(), options_for(run_));
    ASSERT_THAT(writer, IsOk());
    const int a = (*writer)->incarnation(process(0, 1, 'a'));
    (*writer)->counters(counted(a, 3, 1));
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
    (*writer)->counters(counted(a, 5, 1, false));
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  }
  const Report report = verified(run_);
  ASSERT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.by_op,
            (std::map<std::string, OpCount>{{"aten::mm", 300}, {"unattributed", 200}}));
  EXPECT_EQ(report.totals.model, OpCount(450));
  EXPECT_EQ(report.totals.calls, 10u);
}

TEST_F(VerifyTest, BoundsTheRanksThatStandInNoLedger) {
  FakeClock clock;
  {
    auto writer = Writer::open(FileSystem::real(), clock, options_for(run_));
    ASSERT_THAT(writer, IsOk());
    const int a = (*writer)->incarnation(process(0, 4, 'a'));
    ASSERT_THAT((*writer)->seal(SealReason::start), IsOk());
    clock.advance(9'500'000'000);
    (*writer)->counters(counted(a, 1, 1));
    // One of the three is known to its keeper, which noted its bound; it is not bounded twice.
    (*writer)->gap(Json::object(
        {{"kind", "missing_rank"}, {"restart_count", 0}, {"bound_operations", OpCount(5)}}));
    ASSERT_THAT((*writer)->seal(SealReason::time), IsOk());
  }
  const Report report = verified(run_);
  ASSERT_TRUE(report.ok()) << describe(report);
  ASSERT_EQ(report.gaps.size(), 2u);
  EXPECT_THAT(report.gaps[1], HasSubstr("2 of 4 ranks stand in no ledger given"));
  // 2 ranks x 10 s x 10^16 a second, beside the noted bound and what was counted.
  EXPECT_EQ(report.totals.upper, OpCount(200'000'000'000'000'000 + 5 + 100));
}

TEST_F(VerifyTest, SaysWhenNothingWasSealed) {
  ASSERT_THAT(FileSystem::real().make_directories(run_ + "/node-1f00ba5e/ledger", 0755), IsOk());
  write_file(run_ + "/node-1f00ba5e/run.json", "");
  const Report report = verified(run_);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_THAT(report.problems[0].fault, HasSubstr("nothing of this run was ever sealed"));
}

TEST_F(VerifyTest, ReportsAsJsonAndAsLines) {
  write_sample(FileSystem::real(), run_);
  const Json json = report_to_json(verified(run_));
  EXPECT_TRUE(*json.get_bool("ok"));
  EXPECT_FALSE(*json.get_bool("trusted"));
  EXPECT_EQ(*json.get_string("operations"), "1300");
  EXPECT_EQ(*json.get_string("upper"), "1307");
  EXPECT_EQ(*json.get_integer("ranks"), 2);
  EXPECT_EQ(*json.get_integer("steps"), 3);
  EXPECT_EQ(*json.get_string("level"), "L0");
  EXPECT_THAT((*json.get_array("problems"))->items(), IsEmpty());
  EXPECT_EQ((*json.get_array("gaps"))->items().size(), 1u);
  EXPECT_THAT(report_to_lines(verified(run_))[0], HasSubstr("run-1: verified"));
  EXPECT_THAT(Json::parse(json.dump(), 1 << 20), IsOk());
}

// ---- rules between lines, each broken by a keeper that signs correctly ------------------------

// Writes a ledger of these lines behind an opening one, all under one note that fits.
class ForgedLedger {
 public:
  explicit ForgedLedger(const std::string& run_folder)
      : folder_(run_folder + "/node-1f00ba5e"), key_(sign::SecretKey::generate()) {
    run_file_ = write_run_file({"run-1", kNode, 1});
    OpenLine open;
    open.session = 1;
    open.reason = kFirst;
    open.run = "run-1";
    open.node = kNode;
    open.run_file_sha256 = sign::to_hex(sign::sha256(run_file_));
    open.key = key_.public_key().bytes();
    add(encode(open, 1));
  }
  ForgedLedger& add(const Json& line) {
    lines_ += line.dump() + "\n";
    tree_.append(line.dump());
    return *this;
  }
  ForgedLedger& seal(std::vector<Json> counters) {
    return add(seal_line(SealReason::time, tree_.root(), std::move(counters), 1));
  }
  Report report() {
    FileSystem& files = FileSystem::real();
    EXPECT_THAT(files.make_directories(folder_ + "/ledger", 0755), IsOk());
    write_file(folder_ + "/run.json", run_file_);
    write_file(folder_ + "/ledger/000001.jsonl", lines_);
    const auto note =
        sign::write_checkpoint({origin_of("run-1", kNode), tree_.size(), tree_.root()}, key_);
    write_file(folder_ + "/checkpoint", note.value());
    return verified(folder_);
  }

 private:
  std::string folder_, run_file_, lines_;
  sign::SecretKey key_;
  sign::MerkleTree tree_;
};

Json typed(std::string_view type, const Json& body = Json::object()) {
  return line_of(type, body, 1);
}

CounterLine took(uint64_t samples, uint64_t tokens) {
  CounterLine line = counted(1, 1, 1);
  line.processed = {samples, tokens};
  return line;
}

TEST_F(VerifyTest, TakesTheLastWordOnSamplesAndTokens) {
  CounterLine last = took(12, UINT64_MAX);
  last.steps.tokens = last.steps.samples = last.steps.operations;
  const Report report = ForgedLedger(run_)
                            .add(encode(1, process(0, 2, 'a'), 1))
                            .add(encode(2, process(1, 2, 'b'), 1))
                            .seal({encode(took(8, 256))})
                            .seal({encode(last), same_entry(2, 1)})
                            .report();
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.processed, (Processed{24, UINT64_MAX}));
  const Json json = report_to_json(report);
  EXPECT_EQ(*json.get_string("samples"), "24");
  EXPECT_EQ(*json.get_string("tokens"), "18446744073709551615");
}

TEST_F(VerifyTest, AcceptsAWellFormedForgery) {
  const Report report = ForgedLedger(run_)
                            .add(encode(1, process(0, 1, 'a'), 1))
                            .seal({encode(counted(1, 1, 1))})
                            .report();
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_EQ(report.totals.executed, OpCount(100));
}

TEST_F(VerifyTest, RefusesWhatBreaksARuleBetweenLines) {
  using Forge = std::function<void(ForgedLedger&)>;
  const auto begin = [](ForgedLedger& l) -> ForgedLedger& {
    return l.add(encode(1, process(0, 1, 'a'), 1));
  };
  CounterLine fewer_ops = counted(1, 9, 9);
  fewer_ops.rows.pop_back();
  const struct {
    const char* fault;
    Forge forge;
  } cases[] = {
      {"fell",
       [&](auto& l) {
         begin(l).seal({encode(counted(1, 2, 1))}).seal({encode(counted(1, 1, 1))});
       }},
      {"fell",
       [&](auto& l) {
         begin(l).seal({encode(counted(1, 2, 1, false))}).seal({encode(counted(1, 1, 1))});
       }},
      {"fell",
       [&](auto& l) { begin(l).seal({encode(counted(1, 2, 1))}).seal({encode(fewer_ops)}); }},
      {"steps fell",
       [&](auto& l) {
         begin(l).seal({encode(counted(1, 2, 2))}).seal({encode(counted(1, 2, 1))});
       }},
      {"samples or tokens fell",
       [&](auto& l) { begin(l).seal({encode(took(8, 256))}).seal({encode(took(8, 255))}); }},
      {"samples or tokens fell",
       [&](auto& l) { begin(l).seal({encode(took(8, 256))}).seal({encode(took(7, 256))}); }},
      {"'tokens' is out of range",
       [&](auto& l) {
         Json entry = encode(took(8, 256));
         begin(l).seal({entry.set("tokens", OpCount::from_limbs(0, 1))});
       }},
      {"never begun", [&](auto& l) { l.seal({encode(counted(1, 1, 1))}); }},
      {"same id", [&](auto& l) { begin(l).add(encode(2, process(1, 2, 'a'), 1)); }},
      {"incarnation 3 follows", [&](auto& l) { begin(l).add(encode(3, process(1, 2, 'b'), 1)); }},
      {"no type of line", [&](auto& l) { l.add(typed("surprise")); }},
      {"'kind' is missing", [&](auto& l) { l.add(typed("gap")); }},
      {"bound_operations",
       [&](auto& l) {
         l.add(typed("gap", Json::object({{"kind", "x"}, {"bound_operations", "-1"}})));
       }},
      {"follows the closing", [&](auto& l) { l.add(typed("closed")).add(typed("note")); }},
      {"not named by",
       [&](auto& l) { begin(l).add(encode(TranscriptLine{1, 1, 1, 0, "../../x", "00"}, 1)); }},
      {"is unknown",
       [&](auto& l) { l.add(typed("ended", Json::object({{"incarnation", 1}, {"x", 1}}))); }},
      {"'time_unix_ns' is missing", [&](auto& l) { l.add(Json::object({{"type", "note"}})); }},
      {"not the ones that were sealed",
       [&](auto& l) { l.add(seal_line(SealReason::time, sign::Digest{}, {}, 1)); }},
      {"reason to seal",
       [&](auto& l) {
         Json s = seal_line(SealReason::time, sign::Digest{}, {}, 1);
         s.set("reason", "x");
         l.add(s);
       }},
  };
  for (const auto& [fault, forge] : cases) {
    ForgedLedger ledger(run_);
    forge(ledger);
    const Report report = ledger.report();
    ASSERT_FALSE(report.ok()) << fault;
    EXPECT_THAT(report.problems[0].fault, HasSubstr(fault));
    EXPECT_THAT(report.problems[0].place, HasSubstr("node-1f00ba5e/ledger/000001.jsonl line"));
  }
}

}  // namespace
}  // namespace account::ledger
