// Billed device time: what schedulers and invoices write, and the ceiling that follows.
#include "policy/usage.h"

#include <gtest/gtest.h>

#include "policy/devices.h"
#include "support/matchers.h"

namespace account::policy {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::testing::HasSubstr;

constexpr uint64_t kHour = 3600;

TEST(UsageTest, ReadsWhatSacctWrites) {
  const auto usage = parse_usage(
      "JobID|ElapsedRaw|AllocTRES\n"
      "12|7200|billing=64,cpu=64,gres/gpu=8,gres/gpu:h100=8\n"
      "12.batch|7200|cpu=64,gres/gpu=8\n"  // within job 12
      "12.0|7200|cpu=64,gres/gpu=8\n"
      "13|3600|cpu=8\n"
      "14|3600|gres/gpu:a100=4\n");
  ASSERT_THAT(usage, IsOk());
  EXPECT_EQ(usage->rows, 2u);
  EXPECT_EQ(usage->device_seconds.at("h100"), 8 * 2 * kHour);
  EXPECT_EQ(usage->device_seconds.at("a100"), 4 * kHour);
  EXPECT_EQ(usage->total_seconds(), 20 * kHour);
}

TEST(UsageTest, ReadsElapsedTimesAndWindowsLineEnds) {
  const auto usage = parse_usage(
      "Elapsed,AllocTRES\r\n"
      "1-02:03:04,\"gres/gpu=2,cpu=1\"\r\n"
      "03:04,gres/gpu=1\r\n");
  ASSERT_THAT(usage, IsOk());
  EXPECT_EQ(usage->total_seconds(), 2 * (26 * kHour + 184) + 184);
}

TEST(UsageTest, ReadsInvoices) {
  const auto hours = parse_usage("date,device,device_hours\n2026-01-01,H100 SXM,1000.5\n");
  ASSERT_THAT(hours, IsOk());
  EXPECT_EQ(hours->device_seconds.at("H100 SXM"), 1000 * kHour + kHour / 2);
  const auto product = parse_usage("hours,devices\n10,8\n0.000001,1\n");
  ASSERT_THAT(product, IsOk());
  EXPECT_EQ(product->total_seconds(), 80 * kHour + 1);  // rounded up
}

TEST(UsageTest, NamesTheLineThatItCannotRead) {
  const struct {
    const char* text;
    const char* fault;
  } kCases[] = {
      {"", "holds no device time"},
      {"a,b\n1,2\n", "line 1: it has no columns"},
      {"device_hours\n", "holds no device time"},
      {"device_hours\n5\nsix\n", "line 3: 'six' are no hours"},
      {"device_hours\n-5\n", "line 2"},
      {"device_hours\n5,5\n", "line 2: it has 2 fields, and the header 1"},
      {"device_hours,x\n5,\"open\n", "line 2: a quote is not closed"},
      {"ElapsedRaw|AllocTRES\nlong|gres/gpu=1\n", "line 2: its elapsed time"},
      {"Elapsed|AllocTRES\n1:2:3:4|gres/gpu=1\n", "line 2: its elapsed time"},
      {"ElapsedRaw|AllocTRES\n5|gres/gpu=many\n", "line 2: its AllocTRES"},
      {"ElapsedRaw|AllocTRES\n9999999999999999999|gres/gpu=9\n", "line 2: the device time"},
      {"hours,devices\n5,all\n", "line 2: its number of devices"},
  };
  for (const auto& [text, fault] : kCases) {
    const auto usage = parse_usage(text);
    EXPECT_THAT(usage, StatusIs(Code::corrupt)) << text;
    EXPECT_THAT(usage.status().fault(), HasSubstr(fault)) << text;
  }
}

TEST(UsageTest, TakesTheFastestOfTheDevicesThatANameMayMean) {
  Usage usage;
  usage.device_seconds["h100"] = 10;
  const OpCount sxm = OpCount::from_text("1978.9e12").value();
  const OpCount pcie = OpCount::from_text("1513e12").value();
  EXPECT_EQ(ceiling_of(usage, "").value(), saturating_multiply(sxm, 10));
  EXPECT_EQ(highest_rate("NVIDIA H100 PCIe").value(), pcie);
  usage.device_seconds = {{"", 10}};
  EXPECT_EQ(ceiling_of(usage, "H100 PCIe").value(), saturating_multiply(pcie, 10));
  EXPECT_THAT(ceiling_of(usage, ""), StatusIs(Code::invalid_argument));
  EXPECT_THAT(ceiling_of(usage, "abacus"), StatusIs(Code::not_found));
  // A name of the cluster's own: what the user says it is.
  usage.device_seconds = {{"big-gpu", 10}};
  EXPECT_THAT(ceiling_of(usage, ""), StatusIs(Code::not_found));
  EXPECT_EQ(ceiling_of(usage, "H100 SXM").value(), saturating_multiply(sxm, 10));
}

TEST(DevicesTest, HaveARateForEachFamilyOfTypes) {
  const auto device = find_device("NVIDIA H100 80GB HBM3");
  ASSERT_THAT(device, IsOk());
  EXPECT_EQ(rate_of(*device, "float8_e4m3fn"), rate_of(*device, "float8_e5m2"));
  EXPECT_EQ(rate_of(*device, "uint8"), rate_of(*device, "int8"));
  EXPECT_EQ(rate_of(*device, "complex64"), std::nullopt);
}

TEST(DevicesTest, RefuseATableThatIsNone) {
  for (const char* text :
       {"", "{}", R"({"devices":[{"match":"x","device":"x","peaks":{}}]})",
        R"({"devices":[{"match":"x|","device":"x","peaks":{"float32":"1"}}]})",
        R"({"devices":[{"match":"x","device":"x","peaks":{"float32":"fast"}}]})",
        R"({"devices":[{"match":"x","device":"x","peaks":{"float32":-1}}]})",
        R"({"devices":[{"match":"x","device":"x","peaks":{"float32":"1"},"rate":1}]})",
        R"({"format":"account-devices/2","devices":[]})"}) {
    EXPECT_FALSE(parse_devices(text).ok()) << text;
  }
  EXPECT_THAT(parse_devices(R"({"devices":[{"match":"x","device":"x","peaks":{"int8":"1e12"}}]})"),
              IsOk());
}

}  // namespace
}  // namespace account::policy
