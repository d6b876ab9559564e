// Times and names as roots and orders write them.
#include "order/fields.h"

#include <gtest/gtest.h>

namespace account::order {
namespace {

TEST(FieldsTest, ReadsTimesBothWays) {
  EXPECT_EQ(unix_seconds_from_text("1970-01-01T00:00:00Z").value(), 0);
  EXPECT_EQ(unix_seconds_from_text("2026-11-24T10:12:08Z").value(), 1'795'515'128);
  for (const int64_t seconds : {int64_t{0}, int64_t{951'782'400}, int64_t{4'102'444'799}}) {
    EXPECT_EQ(unix_seconds_from_text(time_text(seconds)).value(), seconds);
  }
}

TEST(FieldsTest, RefusesEveryOtherSpellingOfATime) {
  for (const char* bad :
       {"", "2026-11-24", "2026-11-24T10:12:08", "2026-11-24T10:12:08z", "2026-11-24 10:12:08Z",
        "2026-11-24T10:12:08+00:00", "2026-11-24T10:12:08.0Z", "2026-11-24T24:00:00Z",
        "2026-11-24T10:60:00Z", "2026-11-24T10:12:60Z", "2026-02-29T10:12:08Z",
        "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "2026-11-24T1a:12:08Z"}) {
    EXPECT_EQ(unix_seconds_from_text(bad).status().code(), Code::corrupt) << bad;
  }
}

TEST(FieldsTest, TakesNamesThatAreSafeInAPath) {
  EXPECT_TRUE(check_name("acme-cluster_1.b", "x").ok());
  for (const std::string& bad :
       {std::string(), std::string("a/b"), std::string("a b"), std::string(97, 'a')}) {
    EXPECT_FALSE(check_name(bad, "x").ok()) << bad;
  }
}

}  // namespace
}  // namespace account::order
