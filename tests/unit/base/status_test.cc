// Status and Result: what they carry, how they read, that copies are apart.
#include "account/status.h"

#include <set>

#include "account/version.h"
#include "support/matchers.h"

namespace account {
namespace {

using testing::IsOk;
using testing::IsOkAndHolds;
using testing::StatusIs;

TEST(StatusTest, OkIsTheDefaultAndCostsOnePointer) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::ok);
  EXPECT_EQ(status.to_string(), "ok");
  EXPECT_EQ(status.fault(), "");
  EXPECT_EQ(sizeof(Status), sizeof(void*));
  EXPECT_THAT(Status(Code::ok, "ignored"), IsOk());
}

TEST(StatusTest, ReadsAsFaultAndNextStepOnOneLine) {
  EXPECT_EQ(Status(Code::io, "cannot open a", "check the path").to_string(),
            "cannot open a; check the path");
  EXPECT_EQ(Status(Code::io, "cannot open a").to_string(), "cannot open a");
}

TEST(StatusTest, ContextGoesBeforeTheFaultAndKeepsTheRest) {
  const Status status = Status(Code::corrupt, "member 'a' is missing", "restore it");
  EXPECT_THAT(status.with_context("reading x.json"),
              StatusIs(Code::corrupt, "reading x.json: member 'a' is missing; restore it"));
  EXPECT_THAT(Status().with_context("reading x.json"), IsOk());
}

TEST(StatusTest, CopiesAreApart) {
  Status first(Code::io, "one");
  const Status copy = first;
  first = Status(Code::expired, "two");
  EXPECT_THAT(copy, StatusIs(Code::io, "one"));
  first = copy;
  EXPECT_THAT(first, StatusIs(Code::io, "one"));
  first = Status();
  EXPECT_THAT(first, IsOk());
}

TEST(StatusTest, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code) {
    names.insert(code_name(static_cast<Code>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(Code::internal) + 1);
  EXPECT_TRUE(names.contains("shutdown_ordered"));
}

Result<int> half(int value) {
  if (value % 2 != 0) return Status(Code::invalid_argument, "odd");
  return value / 2;
}
Result<int> quarter(int value) {
  ACCOUNT_ASSIGN_OR_RETURN(const int once, half(value));
  return half(once);
}
Status check_quarter(int value) {
  ACCOUNT_RETURN_IF_ERROR(quarter(value).status());
  return {};
}

TEST(ResultTest, MacrosPassValuesOnAndLeaveWithTheFailure) {
  EXPECT_THAT(quarter(12), IsOkAndHolds(3));
  EXPECT_THAT(quarter(6), StatusIs(Code::invalid_argument, "odd"));
  EXPECT_THAT(quarter(5), StatusIs(Code::invalid_argument, "odd"));
  EXPECT_THAT(check_quarter(8), IsOk());
  EXPECT_THAT(check_quarter(2), StatusIs(Code::invalid_argument));
}

TEST(ResultTest, HoldsWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(4));
  ASSERT_THAT(result, IsOk());
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 4);
}

TEST(VersionTest, LibraryAndHeaderAgree) {
  EXPECT_EQ(version(), ACCOUNT_VERSION);
  EXPECT_EQ(build_id(), ACCOUNT_BUILD_ID);
  EXPECT_EQ(build_id().size(), 16u);
  EXPECT_EQ(build_id().find_first_not_of("0123456789abcdef"), std::string_view::npos);
}

}  // namespace
}  // namespace account
