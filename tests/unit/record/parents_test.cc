// Lines of models, checked against the records of their parents.
#include "record/parents.h"

#include <gtest/gtest.h>

#include "unit/record/support.h"

namespace account::record {
namespace {

using testing::IsOk;

TEST(RecordLineTest, MissingParentsAreNamed) {
  const SignedRecord base = signed_record(record_of(Kind::pretraining, {part("p", 400)}, "p"));
  const SignedRecord first =
      signed_record(derived(record_of(Kind::fine_tune, {part("a", 10)}), {base}));
  const SignedRecord second =
      signed_record(derived(record_of(Kind::fine_tune, {part("b", 5)}), {first}));
  Shelf shelf;
  shelf.add(first);
  const auto some = check_line(second, shelf);
  ASSERT_THAT(some, IsOk());
  EXPECT_EQ(some->missing, std::vector<std::string>{base.id});
  shelf.add(base);
  const auto all = check_line(second, shelf);
  ASSERT_THAT(all, IsOk());
  EXPECT_TRUE(all->verified());
  EXPECT_EQ(all->parents.size(), 2U);
}

TEST(RecordLineTest, AMissingTeacherTakesNothingAway) {
  const SignedRecord base = signed_record(record_of(Kind::pretraining, {part("p", 400)}, "p"));
  Record tuned = derived(record_of(Kind::distillation, {part("a", 10)}), {base});
  tuned.parents.push_back({std::string(64, 'e'), "teacher", true});
  Shelf shelf;
  shelf.add(base);
  const auto line = check_line(signed_record(tuned), shelf);
  ASSERT_THAT(line, IsOk());
  EXPECT_TRUE(line->verified());
}

TEST(RecordLineTest, RefusesALineThatItsParentsContradict) {
  const SignedRecord base = signed_record(record_of(Kind::pretraining, {part("p", 400)}, "p"));
  Record tuned = derived(record_of(Kind::fine_tune, {part("a", 10)}), {base});
  tuned.lineage[0].parts[0] = part("p", 4000);  // a larger base makes a smaller share
  Shelf shelf;
  shelf.add(base);
  const auto line = check_line(signed_record(tuned), shelf);
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.status().code(), Code::corrupt);
}

TEST(RecordSubjectsTest, RefusesOtherFewerAndMoreWeights) {
  const Record record = record_of(Kind::pretraining, {part("p", 1)});
  const Subject its = record.subjects[0];
  const Subject other{"x.pt", "sha256", std::string(64, 'd')};
  EXPECT_THAT(check_subjects(record, {its}), IsOk());
  EXPECT_EQ(check_subjects(record, {other}).code(), Code::unverified);
  EXPECT_EQ(check_subjects(record, {}).code(), Code::unverified);
  EXPECT_EQ(check_subjects(record, {its, other}).code(), Code::unverified);
}

}  // namespace
}  // namespace account::record
