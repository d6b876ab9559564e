// Anchors: what a witness's cosignature holds against whoever has the run's keys.
#include "ledger/anchor.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;
using ::testing::Contains;
using ::testing::HasSubstr;

class AnchorTest : public ::testing::Test {
 protected:
  static sign::NamedSecretKey key(char seed) {
    return {"ada", sign::SecretKey::from_seed(std::string(32, seed),
                                              sign::SecretAccess::i_know_what_i_am_doing())
                       .value()};
  }
  static sign::PublicKey public_key(char seed) { return key(seed).key.public_key(); }

  // `seconds` after (or before) the last line was written.
  Result<Anchored> anchor_run(int64_t seconds = 0, const std::string& keep = "") {
    FakeClock clock;
    clock.set_unix_ns(verified(run_).nodes[0].last_unix_ns + seconds * 1'000'000'000);
    const sign::NamedSecretKey witness = key(9);
    return anchor(FileSystem::real(), clock, run_, {witness, "witness.example", keep}, kRecount);
  }

  Report with_witness(char seed, const std::vector<std::string>& anchors = {},
                      const std::optional<sign::PublicKey>& developer = std::nullopt) const {
    auto report = verify(FileSystem::real(), run_, developer, kRecount,
                         {.witnesses = {public_key(seed)}, .anchors = anchors});
    EXPECT_THAT(report, IsOk());
    return std::move(report).value();
  }

  void write_open() const { write_sample(FileSystem::real(), run_, false); }
  // Goes on with the run, and ends it.
  void end() const {
    auto writer = Writer::open(FileSystem::real(), Clock::real(), options_for(run_));
    ASSERT_THAT(writer, IsOk());
    (*writer)->closed(Json::object({{"how", "finished"}}));
    ASSERT_THAT((*writer)->seal(SealReason::end), IsOk());
  }
  // Another ledger in its place, properly signed by a keeper: what an owner can always make.
  void rewrite() const {
    std::filesystem::remove_all(run_ + "/node-1f00ba5e");
    write_sample(FileSystem::real(), run_);
  }

  TempDir dir_;
  const std::string run_ = dir_ / "run-1";
  const std::string kept_ = dir_ / "kept";
};

TEST_F(AnchorTest, ReachesLevelTwoByAWitnessWhileItRanAndAtItsEnd) {
  write_open();
  ASSERT_THAT(anchor_run(-1), IsOk());
  end();
  ASSERT_THAT(anchor_run(1), IsOk());
  ASSERT_THAT(endorse(FileSystem::real(), FakeClock(), run_, key(1), kRecount), IsOk());

  const Report both = with_witness(9, {}, public_key(1));
  EXPECT_TRUE(both.ok()) << describe(both);
  EXPECT_EQ(both.level, "L2");
  ASSERT_EQ(both.anchors.size(), 2u);
  EXPECT_EQ(both.anchors[1].size, both.nodes[0].lines);
  EXPECT_EQ(both.anchors[1].witness_name, "witness.example");
  EXPECT_TRUE(both.anchors[1].asked);
  // Levels build on each other: without the developer's word there is no more than a count.
  EXPECT_EQ(with_witness(9).level, "L0");
  // Without the witness's key the anchors are checked, and do not count.
  const Report unasked = verified(run_, public_key(1));
  EXPECT_TRUE(unasked.ok()) << describe(unasked);
  EXPECT_EQ(unasked.level, "L1");
  EXPECT_FALSE(unasked.anchors[0].asked);
  EXPECT_EQ(with_witness(8, {}, public_key(1)).level, "L1");
}

TEST_F(AnchorTest, SaysWhatCouldHaveBeenRewritten) {
  write_open();
  EXPECT_THAT(verified(run_).remarks, Contains(HasSubstr("no anchor: whoever holds")));
  ASSERT_THAT(anchor_run(-1), IsOk());
  end();
  EXPECT_THAT(with_witness(9).remarks, Contains(HasSubstr("anchored up to line ")));
  std::filesystem::remove_all(run_ + "/anchors");
  ASSERT_THAT(anchor_run(1), IsOk());
  EXPECT_THAT(with_witness(9).remarks, Contains(HasSubstr("anchored only after its end")));
  EXPECT_THAT(with_witness(8).remarks, Contains(HasSubstr("the witness asked for anchored none")));
}

TEST_F(AnchorTest, RefusesALedgerThatWasRewrittenAndSignedAgain) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(anchor_run(0, kept_), IsOk());
  rewrite();
  const Report report = verified(run_);
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problems[0].fault, HasSubstr("was rewritten: it is not the one that it was"));
  // Without the anchors it verifies, and says what that is worth; the witness's copies still tell.
  std::filesystem::remove_all(run_ + "/anchors");
  EXPECT_TRUE(verified(run_).ok());
  EXPECT_THAT(verified(run_).remarks, Contains(HasSubstr("could have rewritten")));
  EXPECT_FALSE(with_witness(9, {kept_}).ok());
  EXPECT_THAT(anchor_run(0, kept_), StatusIs(Code::unverified));
}

TEST_F(AnchorTest, RefusesALedgerThatIsShorterThanItWas) {
  write_open();
  TempDir before;
  copy_folder(run_, before / "run-1");
  end();
  ASSERT_THAT(anchor_run(), IsOk());
  std::filesystem::remove_all(run_ + "/node-1f00ba5e");
  copy_folder(before / "run-1", run_);
  const Report report = verified(run_);
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problems[0].fault, HasSubstr(" lines and had "));
}

TEST_F(AnchorTest, AnchorsAHeadOnce) {
  write_sample(FileSystem::real(), run_);
  const auto first = anchor_run(0, kept_);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->files.size(), 2u);  // in the run, and the witness's copy
  const auto second = anchor_run(60, kept_);
  ASSERT_THAT(second, IsOk());
  EXPECT_TRUE(second->files.empty());
}

TEST_F(AnchorTest, SaysWhetherAllOfTheRunIsAnchored) {
  write_open();
  EXPECT_FALSE(anchor_run(-1)->over);
  end();
  EXPECT_TRUE(anchor_run(1)->over);
}

TEST_F(AnchorTest, PassesOverAWitnesssCopiesOfOtherRuns) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(anchor_run(0, kept_), IsOk());
  TempDir other;
  const std::string run_2 = other / "run-2";
  auto options = options_for(run_2, "run-2");
  auto writer = Writer::open(FileSystem::real(), Clock::real(), options);
  ASSERT_THAT(writer, IsOk());
  (*writer)->closed(Json::object({{"how", "finished"}}));
  ASSERT_THAT((*writer)->seal(SealReason::end), IsOk());
  auto report = verify(FileSystem::real(), run_2, std::nullopt, kRecount, {.anchors = {kept_}});
  ASSERT_THAT(report, IsOk());
  EXPECT_TRUE(report->ok()) << describe(*report);
  // In the run's own folder they have no business.
  copy_folder(run_ + "/anchors", run_2 + "/anchors");
  EXPECT_THAT(describe(verified(run_2)), HasSubstr("which is not this run"));
}

TEST_F(AnchorTest, RefusesEveryFlippedBitAndEveryTruncation) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(anchor_run(), IsOk());
  for (const std::string& path : files_below(run_ + "/anchors")) {
    const std::string bytes = read_file(path);
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = bytes;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      write_file(path, flipped);
      EXPECT_FALSE(verified(run_).ok()) << path << " bit " << bit;
    }
    for (size_t size = 0; size < bytes.size(); ++size) {
      write_file(path, bytes.substr(0, size));
      EXPECT_FALSE(verified(run_).ok()) << path << " cut to " << size;
    }
    write_file(path, bytes);
  }
  EXPECT_TRUE(verified(run_).ok());
}

TEST_F(AnchorTest, RefusesForeignFilesAndNames) {
  write_sample(FileSystem::real(), run_);
  const sign::NamedSecretKey witness = key(9);
  EXPECT_FALSE(
      anchor(FileSystem::real(), Clock::real(), run_, {witness, "a name", ""}, kRecount).ok());
  ASSERT_THAT(anchor_run(), IsOk());
  write_file(run_ + "/anchors/readme.txt", "hello");
  EXPECT_THAT(describe(verified(run_)), HasSubstr("neither an anchor (.note) nor a key (.pub)"));
}

}  // namespace
}  // namespace account::ledger
