// MFU of a node, by numbers worked out by hand.
#include "keeper/utilisation.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr uint64_t kTera = 1'000'000'000'000;

tally::CellRow row(DType dtype, uint64_t executed, uint64_t model) {
  tally::CellRow row{};
  row.dtype = dtype;
  row.figures.executed = executed;
  row.figures.model = model;
  return row;
}

policy::Device device() {
  policy::Device device;
  device.peaks = {{"bfloat16", 100 * kTera}, {"float32", 10 * kTera}, {"tf32", 50 * kTera}};
  return device;
}

TEST(SecondsAtPeakTest, AddsTheTimeOfEachTypeAndLeavesRecomputationOut) {
  // 300e12 / 100e12 + 25e12 / 50e12: float32 at the higher of its two rates.
  EXPECT_DOUBLE_EQ(*seconds_at_peak(device(), {row(DType::bfloat16, 400 * kTera, 300 * kTera),
                                               row(DType::float32, 25 * kTera, 25 * kTera)}),
                   3.5);
}

TEST(SecondsAtPeakTest, KnowsNothingWhereATypeHasNoPeak) {
  EXPECT_FALSE(seconds_at_peak(device(), {row(DType::bfloat16, 1, 1), row(DType::float64, 1, 1)}));
  EXPECT_TRUE(seconds_at_peak(device(), {row(DType::float64, 1, 0)}));
}

TEST(UtilisationTest, IsTheShareOfThePeakOfAllRanksOverTheLastSeconds) {
  Utilisation utilisation("NVIDIA H200");  // 989.4e12 a second in bfloat16
  ASSERT_TRUE(utilisation.known());
  EXPECT_EQ(utilisation.percent(), "");
  std::vector<tally::CellRow> one, other;
  const auto look = [&](uint64_t tera, int64_t second) {
    one = {row(DType::bfloat16, tera * kTera, tera * kTera)};
    other = {row(DType::bfloat16, 2 * tera * kTera, tera * kTera)};
    utilisation.look({&one, &other}, 2, second * kSecond);
  };
  look(0, 100);
  EXPECT_EQ(utilisation.percent(), "");
  look(1000, 102);
  EXPECT_EQ(utilisation.percent(), "50.5");  // 2 x 1000e12 / (2 x 2 s x 989.4e12)
  look(1000, 109);
  EXPECT_EQ(utilisation.percent(), "11.2");  // the same over 9 s
  look(1000, 113);                           // what is older than ten seconds counts no more
  look(1000, 114);
  EXPECT_EQ(utilisation.percent(), "");
}

TEST(UtilisationTest, SaysNothingOfADeviceThatIsNotKnown) {
  Utilisation utilisation("Abacus 3000");
  EXPECT_FALSE(utilisation.known());
  std::vector<tally::CellRow> rows = {row(DType::bfloat16, kTera, kTera)};
  utilisation.look({&rows}, 1, kSecond);
  utilisation.look({&rows}, 1, 2 * kSecond);
  EXPECT_EQ(utilisation.percent(), "");
}

TEST(DeviceHereTest, IsTheModelOfTheGpusWhereAllAreTheSame) {
  const testing::TempDir folder;
  FileSystem& files = FileSystem::real();
  const auto list = [&](const std::string& gpu, const std::string& model) {
    const std::string path = join_path(folder.path(), gpu);
    ASSERT_TRUE(files.make_directories(path, 0755).ok());
    const std::string about = "Model: \t\t " + model + "\nIRQ:   \t\t 11\n";
    ASSERT_TRUE(files.write_atomically(join_path(path, "information"), about, 0644).ok());
  };
  list("0000:00:04.0", "NVIDIA H200");
  list("0000:00:05.0", "NVIDIA H200");
  EXPECT_EQ(device_here(files, folder.path()), "NVIDIA H200");
  list("0000:00:06.0", "NVIDIA L40S");
  EXPECT_EQ(device_here(files, folder.path()), "");
}

}  // namespace
}  // namespace account::keeper
