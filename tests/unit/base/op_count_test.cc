// OpCount by numbers worked out by hand (and with bc).
#include "account/op_count.h"

#include "support/matchers.h"

namespace account {
namespace {

using ::testing::HasSubstr;
using testing::IsOkAndHolds;
using testing::StatusIs;

constexpr uint64_t kMax64 = ~uint64_t{0};
constexpr std::string_view kMaxText = "340282366920938463463374607431768211455";  // 2^128 - 1

TEST(OpCountTest, HoldsTheLegalThresholdsExactly) {
  // 10^26 = 5421010 * 2^64 + 15908979783594147840, by bc.
  const OpCount model = OpCount::from_decimal("100000000000000000000000000").value();
  EXPECT_EQ(model.high(), 5'421'010u);
  EXPECT_EQ(model.low(), 15'908'979'783'594'147'840u);
  EXPECT_EQ(OpCount::from_text("3e25").value().to_decimal(), "30000000000000000000000000");
  EXPECT_THAT(OpCount::from_text("1e26"), IsOkAndHolds(model));
}

TEST(OpCountTest, CarriesFromTheLowLimbIntoTheHigh) {
  const OpCount two_to_64 = checked_add(OpCount(kMax64), OpCount(1)).value();
  EXPECT_EQ(two_to_64.low(), 0u);
  EXPECT_EQ(two_to_64.high(), 1u);
  EXPECT_EQ(two_to_64.to_decimal(), "18446744073709551616");
  EXPECT_EQ(checked_subtract(two_to_64, OpCount(1)), OpCount(kMax64));
  // (2^64 - 1)^2 = 2^128 - 2^65 + 1
  const OpCount square = checked_multiply(OpCount(kMax64), OpCount(kMax64)).value();
  EXPECT_EQ(square.low(), 1u);
  EXPECT_EQ(square.high(), kMax64 - 1);
}

TEST(OpCountTest, ArithmeticPastTheEndIsNothingOrStops) {
  EXPECT_EQ(OpCount::max().to_decimal(), kMaxText);
  EXPECT_EQ(checked_add(OpCount::max(), OpCount(0)), OpCount::max());
  EXPECT_EQ(checked_add(OpCount::max(), OpCount(1)), std::nullopt);
  EXPECT_EQ(checked_subtract(OpCount(1), OpCount(2)), std::nullopt);
  const OpCount two_to_64 = OpCount::from_limbs(0, 1);
  EXPECT_EQ(checked_multiply(two_to_64, two_to_64), std::nullopt);
  EXPECT_EQ(checked_multiply(two_to_64, OpCount(kMax64)), OpCount::from_limbs(0, kMax64));
  EXPECT_EQ(checked_multiply(OpCount(0), OpCount::max()), OpCount(0));
  EXPECT_EQ(checked_multiply(OpCount::max(), OpCount(0)), OpCount(0));
  EXPECT_EQ(saturating_add(OpCount::max(), OpCount(7)), OpCount::max());
  EXPECT_EQ(saturating_add(OpCount(5), OpCount(7)), OpCount(12));
  EXPECT_EQ(saturating_multiply(two_to_64, two_to_64), OpCount::max());
  EXPECT_EQ(saturating_multiply(OpCount(6), OpCount(7)), OpCount(42));
}

TEST(OpCountTest, ComparesByValueAcrossLimbs) {
  EXPECT_LT(OpCount(kMax64), OpCount::from_limbs(0, 1));
  EXPECT_GT(OpCount::from_limbs(0, 2), OpCount::from_limbs(kMax64, 1));
  EXPECT_EQ(OpCount::from_limbs(7, 0), OpCount(7));
}

TEST(OpCountTest, ReadsDecimalUpToItsLargestValue) {
  EXPECT_THAT(OpCount::from_decimal("0"), IsOkAndHolds(OpCount(0)));
  EXPECT_THAT(OpCount::from_decimal("18446744073709551615"), IsOkAndHolds(OpCount(kMax64)));
  EXPECT_THAT(OpCount::from_decimal(kMaxText), IsOkAndHolds(OpCount::max()));
}

TEST(OpCountTest, RefusesDecimalThatIsNotCanonicalAndShowsIt) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is no decimal number"},
      {"01", "leading zero"},
      {"00", "leading zero"},
      {"+1", "is no decimal number"},
      {"-1", "is no decimal number"},
      {" 1", "is no decimal number"},
      {"1 ", "is no decimal number"},
      {"1\n", "is no decimal number"},
      {"0x1f", "is no decimal number"},
      {"1e3", "is no decimal number"},
      {"1.0", "is no decimal number"},
      {"1_000", "is no decimal number"},
      {"\xD9\xA1", "is no decimal number"},  // an Arabic-Indic one
      {"340282366920938463463374607431768211456", "does not fit into 128 bits"},
      {"999999999999999999999999999999999999999", "does not fit into 128 bits"},
      {"1000000000000000000000000000000000000000", "does not fit into 128 bits"},
  };
  for (const auto& [text, fault] : cases) {
    const auto count = OpCount::from_decimal(text);
    EXPECT_THAT(count, StatusIs(Code::invalid_argument, HasSubstr(fault))) << text;
    EXPECT_THAT(std::string(count.status().fault()), HasSubstr(std::string("'") + text + "'"));
  }
}

TEST(OpCountTest, ReadsWhatPeopleWrite) {
  const std::pair<const char*, const char*> cases[] = {
      {"3e25", "30000000000000000000000000"},
      {"3E+25", "30000000000000000000000000"},
      {"1.5e9", "1500000000"},
      {"1.50e1", "15"},
      {"2.0", "2"},
      {"0e0", "0"},
      {"0.0", "0"},
      {"007", "7"},
      {"3_000_000", "3000000"},
      {"3e38", "300000000000000000000000000000000000000"},
      {"3.40282366920938463463374607431768211455e38", "340282366920938463463374607431768211455"},
  };
  for (const auto& [text, decimal] : cases) {
    EXPECT_THAT(OpCount::from_text(text), IsOkAndHolds(OpCount::from_decimal(decimal).value()))
        << text;
  }
}

TEST(OpCountTest, RefusesTextThatIsNoWholeCount) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is no number"},      {"abc", "is no number"},    {"e5", "is no number"},
      {"1e", "is no number"},    {"1e-3", "is no number"},   {"-1", "is no number"},
      {"1e5.0", "is no number"}, {"1.", "is no number"},     {".5", "is no number"},
      {"1.2.3", "is no number"}, {"1,000", "is no number"},  {"_1", "is no number"},
      {"1_", "is no number"},    {"1__0", "is no number"},   {"1_e5", "is no number"},
      {"1_.0", "is no number"},  {"1._0", "is no number"},   {"nan", "is no number"},
      {"inf", "is no number"},   {"1.5", "is not whole"},    {"1.23e1", "is not whole"},
      {"1e39", "does not fit"},  {"3.5e38", "does not fit"}, {"1e99", "does not fit"},
      {"1e100", "does not fit"}, {"3 e25", "is no number"},
  };
  for (const auto& [text, fault] : cases) {
    EXPECT_THAT(OpCount::from_text(text), StatusIs(Code::invalid_argument, HasSubstr(fault)))
        << text;
  }
}

TEST(OpCountTest, EveryPowerOfTwoSurvivesTheWayThroughText) {
  for (int bit = 0; bit < 128; ++bit) {
    const OpCount count = OpCount::from_raw(static_cast<Uint128>(1) << bit);
    EXPECT_THAT(OpCount::from_decimal(count.to_decimal()), IsOkAndHolds(count)) << bit;
  }
}

TEST(OpCountTest, ShortFormRoundsHalfUpToThreeDigits) {
  const std::pair<const char*, const char*> cases[] = {
      {"0", "0"},
      {"999", "999"},
      {"1000", "1.00e+03"},
      {"1004", "1.00e+03"},
      {"1005", "1.01e+03"},
      {"9994", "9.99e+03"},
      {"9995", "1.00e+04"},
      {"34112345678901", "3.41e+13"},
      {"9999999999", "1.00e+10"},
      {"340282366920938463463374607431768211455", "3.40e+38"},
  };
  for (const auto& [decimal, text] : cases) {
    EXPECT_EQ(OpCount::from_decimal(decimal).value().to_short(), text) << decimal;
  }
}

}  // namespace
}  // namespace account
