// Endorsement: what a developer's key adds, and everything that must not count as it.
#include "ledger/endorsement.h"

#include <gtest/gtest.h>

#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;
using ::testing::HasSubstr;

class EndorsementTest : public ::testing::Test {
 protected:
  static sign::NamedSecretKey key(char seed) {
    return {"Ada Example", sign::SecretKey::from_seed(std::string(32, seed),
                                                      sign::SecretAccess::i_know_what_i_am_doing())
                               .value()};
  }
  static sign::PublicKey public_key(char seed) { return key(seed).key.public_key(); }
  Result<std::string> sign_run(char seed, const std::string& path) {
    return endorse(FileSystem::real(), FakeClock(), path, key(seed), kRecount);
  }

  TempDir dir_;
  const std::string run_ = dir_ / "run-1";
};

TEST_F(EndorsementTest, LiftsTheRunToLevelOneForThatKeyOnly) {
  write_sample(FileSystem::real(), run_);
  const auto file = sign_run(1, run_);
  ASSERT_THAT(file, IsOk());
  EXPECT_EQ(*file, endorsement_path(run_, public_key(1)));

  const Report asked = verified(run_, public_key(1));
  EXPECT_TRUE(asked.ok()) << describe(asked);
  EXPECT_TRUE(asked.trusted);
  EXPECT_EQ(asked.level, "L1");
  EXPECT_EQ(asked.endorsed_by, public_key(1).id());

  const Report unasked = verified(run_);
  EXPECT_TRUE(unasked.ok());
  EXPECT_FALSE(unasked.trusted);
  EXPECT_EQ(unasked.level, "L0");
  ASSERT_EQ(unasked.remarks.size(), 2u);  // the other: that nobody anchored it
  EXPECT_THAT(unasked.remarks[0], HasSubstr(public_key(1).id().substr(0, 16)));

  const Report foreign = verified(run_, public_key(2));
  EXPECT_FALSE(foreign.ok());
  EXPECT_FALSE(foreign.trusted);
  EXPECT_THAT(foreign.problems[0].fault, HasSubstr("account sign"));
}

TEST_F(EndorsementTest, CoversOneNodeOfTheRunToo) {
  write_sample(FileSystem::real(), run_);
  write_sample(FileSystem::real(), run_, true, kOtherNode, 2);
  ASSERT_THAT(sign_run(1, run_ + "/node-1f00ba5e"), IsOk());  // signs the whole run
  EXPECT_TRUE(verified(run_ + "/node-2f00ba5e", public_key(1)).trusted);
  EXPECT_TRUE(verified(run_, public_key(1)).trusted);
}

TEST_F(EndorsementTest, EndsWhenTheRunGoesOn) {
  write_sample(FileSystem::real(), run_, false);
  ASSERT_THAT(sign_run(1, run_), IsOk());
  {
    ASSERT_THAT(Writer::open(FileSystem::real(), Clock::real(), options_for(run_)), IsOk());
  }
  const Report report = verified(run_, public_key(1));
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problems[0].fault, HasSubstr("has gone on since"));
  ASSERT_THAT(sign_run(1, run_), IsOk());
  EXPECT_TRUE(verified(run_, public_key(1)).trusted);
}

TEST_F(EndorsementTest, DoesNotCoverANodeThatCameLater) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(sign_run(1, run_), IsOk());
  write_sample(FileSystem::real(), run_, true, kOtherNode, 2);
  const Report report = verified(run_, public_key(1));
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problems[0].fault, HasSubstr("does not cover node 2f00ba5e"));
}

TEST_F(EndorsementTest, DoesNotMoveToAnotherRun) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(sign_run(1, run_), IsOk());
  const std::string other = dir_ / "other";
  write_sample(FileSystem::real(), other);  // same id and figures, its own keeper's key
  copy_folder(run_ + "/endorsements", other + "/endorsements");
  const Report report = verified(other, public_key(1));
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.problems[0].fault, HasSubstr("another head"));
}

TEST_F(EndorsementTest, IsRefusedForARunThatDoesNotVerify) {
  write_sample(FileSystem::real(), run_);
  const std::string note = run_ + "/node-1f00ba5e/checkpoint";
  write_file(note, read_file(note) + "x");
  EXPECT_THAT(sign_run(1, run_), StatusIs(Code::unverified, HasSubstr("checkpoint")));
  EXPECT_FALSE(FileSystem::real().exists(run_ + "/endorsements"));
}

TEST_F(EndorsementTest, KeepsSeveralSignersApart) {
  write_sample(FileSystem::real(), run_);
  ASSERT_THAT(sign_run(1, run_), IsOk());
  ASSERT_THAT(sign_run(2, run_), IsOk());
  EXPECT_TRUE(verified(run_, public_key(1)).trusted);
  EXPECT_TRUE(verified(run_, public_key(2)).trusted);
  const std::string first = endorsement_path(run_, public_key(1));
  write_file(endorsement_path(run_, public_key(2)), read_file(first));  // under another's name
  EXPECT_FALSE(verified(run_, public_key(2)).ok());
}

TEST_F(EndorsementTest, ReadsBackWhatItWrites) {
  const Endorsement endorsement{"run-1", {{kNode, "o", 7, "aa"}}, 12, 34, "Ada", public_key(1)};
  const std::string bytes = write_endorsement(endorsement, key(1).key);
  const auto read = parse_endorsement(bytes);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->heads, endorsement.heads);
  EXPECT_EQ(read->operations, OpCount(12));
  EXPECT_EQ(read->unix_ns, 34);
  // Signed by another key than the one that it names.
  sign::Envelope forged = sign::parse_lone_envelope(bytes, 1 << 20).value();
  forged.signatures.clear();
  sign::add_signature(forged, key(2).key);
  EXPECT_THAT(parse_endorsement(sign::write_envelope(forged)), StatusIs(Code::unverified));
}

}  // namespace
}  // namespace account::ledger
