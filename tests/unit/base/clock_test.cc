// Dates as text at the turns of days, leap years and epochs; the real clocks move.
#include "base/clock.h"

#include "support/matchers.h"

namespace account {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::StatusIs;

constexpr int64_t kSecond = 1'000'000'000;

TEST(ClockTest, WritesUtcInWholeSeconds) {
  EXPECT_EQ(to_iso8601(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(to_iso8601(kSecond - 1), "1970-01-01T00:00:00Z");
  EXPECT_EQ(to_iso8601(-1), "1969-12-31T23:59:59Z");
  EXPECT_EQ(to_iso8601(951'782'400 * kSecond), "2000-02-29T00:00:00Z");
  EXPECT_EQ(to_iso8601(1'000'000'000 * kSecond), "2001-09-09T01:46:40Z");  // date -ud @1000000000
  EXPECT_EQ(to_iso_date(1'000'000'000 * kSecond), "2001-09-09");
}

TEST(ClockTest, CountsDaysOfDatesThatExist) {
  EXPECT_THAT(days_from_iso_date("1970-01-01"), IsOkAndHolds(int64_t{0}));
  EXPECT_THAT(days_from_iso_date("1969-12-31"), IsOkAndHolds(int64_t{-1}));
  EXPECT_THAT(days_from_iso_date("2000-02-29"), IsOkAndHolds(int64_t{11'016}));
  EXPECT_THAT(days_from_iso_date("2026-11-24"), IsOkAndHolds(int64_t{20'781}));
}

TEST(ClockTest, RefusesDatesThatDoNotExistAndShowsThem) {
  for (const char* text : {"", "2026-02-29", "1900-02-29", "2026-13-01", "2026-00-01", "2026-01-00",
                           "2026-04-31", "26-01-01", "2026-1-01", "2026/01/01", "2026-01-01T",
                           "2026-01-0x", "20-26-0101", "2026--1-1", "----------"}) {
    EXPECT_THAT(days_from_iso_date(text),
                StatusIs(Code::invalid_argument, HasSubstr(std::string("'") + text + "'")));
  }
}

TEST(ClockTest, RealClocksMoveForward) {
  const Clock& clock = Clock::real();
  const int64_t before = clock.monotonic_ns();
  EXPECT_GT(clock.unix_ns(), 1'700'000'000 * kSecond);  // after November 2023
  EXPECT_GE(clock.monotonic_ns(), before);
}

TEST(ClockTest, FakeClockMovesOnlyWhenTold) {
  FakeClock clock;
  const int64_t unix_before = clock.unix_ns();
  const int64_t monotonic_before = clock.monotonic_ns();
  clock.advance(5 * kSecond);
  EXPECT_EQ(clock.unix_ns() - unix_before, 5 * kSecond);
  EXPECT_EQ(clock.monotonic_ns() - monotonic_before, 5 * kSecond);
  clock.set_unix_ns(0);
  EXPECT_EQ(clock.monotonic_ns() - monotonic_before, 5 * kSecond);
}

TEST(DateTest, ReadsTheTimesThatItWrites) {
  for (const int64_t time : {int64_t{0}, 951'782'400 * kSecond, 1'000'000'000 * kSecond}) {
    EXPECT_EQ(unix_ns_from_iso8601(to_iso8601(time)).value(), time);
  }
  EXPECT_EQ(unix_ns_from_iso8601("2001-09-09").value(), 999'993'600 * kSecond);
  for (const char* text : {"", "2001", "2001-09-09T", "2001-09-09T01:46:40", "2001-09-09T01:46:60Z",
                           "2001-09-09T24:00:00Z", "2001-09-09T-1:46:40Z", "2001-09-09T01:46:40Z ",
                           "2001-09-09 01:46:40Z", "2001-02-30T01:46:40Z"}) {
    EXPECT_FALSE(unix_ns_from_iso8601(text).ok()) << text;
  }
}

TEST(DateTest, RefusesTimesThatNanosecondsDoNotReach) {
  for (const char* text : {"3026-11-29T00:00:00Z", "9999-12-31", "0001-01-01T00:00:00Z"}) {
    EXPECT_FALSE(unix_ns_from_iso8601(text).ok()) << text;
  }
  for (const char* text : {"2262-01-01T00:00:00Z", "1678-01-01T00:00:00Z"}) {
    EXPECT_EQ(to_iso8601(unix_ns_from_iso8601(text).value()), text);
  }
}

}  // namespace
}  // namespace account
