// Prices by date, and what device time costs.
#include "policy/prices.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/matchers.h"

namespace account::policy {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::testing::HasSubstr;

constexpr std::string_view kTable = R"({"format":"account-prices/1","about":"a test","prices":[
  {"device":"A100","from":"2025-06-01","usd_per_device_hour":"1.5","source":"b"},
  {"device":"A100","from":"2025-01-01","usd_per_device_hour":"2","source":"a"},
  {"device":"H100","from":"2025-01-01","usd_per_device_hour":"2.345678","source":"c"}]})";

TEST(PricesTest, ThePriceOfADayIsTheLastBeforeIt) {
  const auto prices = parse_prices(kTable);
  ASSERT_THAT(prices, IsOk());
  EXPECT_EQ(price_on(*prices, "A100", "2025-01-01")->micro_usd_hour, 2'000'000u);
  EXPECT_EQ(price_on(*prices, "A100", "2025-05-31")->micro_usd_hour, 2'000'000u);
  EXPECT_EQ(price_on(*prices, "A100", "2025-06-01")->micro_usd_hour, 1'500'000u);
  EXPECT_EQ(price_on(*prices, "H100", "2030-01-01")->micro_usd_hour, 2'345'678u);
  EXPECT_THAT(price_on(*prices, "A100", "2024-12-31"), StatusIs(Code::not_found));
  EXPECT_THAT(price_on(*prices, "B200", "2025-06-01"),
              StatusIs(Code::not_found, HasSubstr("no device 'B200'")));
  EXPECT_THAT(price_on(*prices, "", "2025-06-01"),
              StatusIs(Code::not_found, HasSubstr("several devices")));
}

TEST(PricesTest, CostsAreRoundedUpAndNeverWrap) {
  const Price price{"A100", "2025-01-01", 2'000'001, "a"};
  EXPECT_EQ(micro_usd_of(3600, price), 2'000'001u);
  EXPECT_EQ(micro_usd_of(1, price), 556u);
  EXPECT_EQ(micro_usd_of(0, price), 0u);
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  EXPECT_EQ(micro_usd_of(kMost, price), kMost);
  EXPECT_EQ(whole_usd(0), 0u);
  EXPECT_EQ(whole_usd(10'000'000'000'000), 10'000'000u);
  EXPECT_EQ(whole_usd(10'000'000'000'001), 10'000'001u);
}

TEST(PricesTest, RefuseATableThatIsNone) {
  const auto with = [](const std::string& entry) {
    return R"({"format":"account-prices/1","prices":[)" + entry + "]}";
  };
  const auto priced = [&](const std::string& amount) {
    return with(R"({"device":"A100","from":"2025-01-01","usd_per_device_hour":)" + amount +
                R"(,"source":"a"})");
  };
  EXPECT_THAT(parse_prices(priced("\"1000000\"")), IsOk());
  for (const char* amount :
       {"2", "\"\"", "\"0\"", "\"0.0\"", "\"-1\"", "\"1.\"", "\".5\"", "\"1e3\"", "\"1.0000001\"",
        "\"1000000.1\"", "\"99999999\"", "\"1,5\""}) {
    EXPECT_THAT(parse_prices(priced(amount)), StatusIs(Code::corrupt)) << amount;
  }
  const std::string good =
      R"({"device":"A100","from":"2025-01-01","usd_per_device_hour":"1","source":"a"})";
  for (const std::string& text :
       {std::string(), with(""), with(good + "," + good),
        with(R"({"device":"","from":"2025-01-01","usd_per_device_hour":"1","source":"a"})"),
        with(R"({"device":"A","from":"2025-01-01","usd_per_device_hour":"1","source":""})"),
        with(R"({"device":"A","from":"2025-13-01","usd_per_device_hour":"1","source":"a"})"),
        with(R"({"device":"A","from":"2025-01-01","usd_per_device_hour":"1"})"),
        with(R"({"device":"A","from":"2025-01-01","usd_per_device_hour":"1","source":"a","x":1})"),
        std::string(R"({"format":"account-prices/2","prices":[)") + good + "]}"}) {
    EXPECT_THAT(parse_prices(text), StatusIs(Code::corrupt)) << text;
  }
}

}  // namespace
}  // namespace account::policy
