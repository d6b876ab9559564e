// The run under tests/vectors/ledger, written once by this format's first version and never again:
// what verifies today verifies for ever. libaccount/doc/ledger_format.md works it through.
#include <gtest/gtest.h>

#include <filesystem>

#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

const std::string kGolden = std::string(ACCOUNT_TESTS_DIR) + "/vectors/ledger/run-1";

TEST(GoldenTest, TheFirstRunStillVerifies) {
  const auto developer =
      sign::parse_public_key_file(read_file(kGolden + "/../developer.public.json"));
  ASSERT_THAT(developer, testing::IsOk());
  const Report report = verified(kGolden, developer->key);
  EXPECT_TRUE(report.ok()) << describe(report);
  EXPECT_TRUE(report.trusted);
  EXPECT_EQ(report.totals.executed, OpCount(kSampleOperations));
  EXPECT_EQ(report.totals.upper, OpCount(kSampleOperations + kSampleBound));
  EXPECT_EQ(report.nodes[0].lines, 12u);
  EXPECT_EQ(report.nodes[0].transcripts, 1u);
  EXPECT_EQ(report.nodes[0].root_hex, read_file(kGolden + "/../root.hex"));
}

// A writer of today writes the same bytes, but for what is random or names the build.
TEST(GoldenTest, TheWriterStillWritesTheSameLines) {
  testing::TempDir dir;
  write_sample(FileSystem::real(), dir / "run-1");
  const auto lines_from_second = [](const std::string& run) {
    const std::string bytes = read_file(run + "/node-1f00ba5e/ledger/000001.jsonl");
    std::string rest = bytes.substr(bytes.find('\n'));
    for (size_t at; (at = rest.find("\"root\":\"")) != std::string::npos;) rest.erase(at, 74);
    return rest;
  };
  EXPECT_EQ(lines_from_second(dir / "run-1"), lines_from_second(kGolden));
  for (const char* file : {"run.json", "transcripts/1-1.jsonl"}) {
    const std::string path = std::string("/node-1f00ba5e/") + file;
    EXPECT_EQ(read_file(dir / "run-1" + path), read_file(kGolden + path));
  }
}

}  // namespace
}  // namespace account::ledger
