// safetensors: digests that metadata does not change, and files that are refused.
#include "record/safetensors.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "record/weights.h"
#include "sign/sign.h"
#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account::record {
namespace {

using testing::IsOk;
using testing::TempDir;

std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return bytes + header + data;
}

void write(const std::string& path, const std::string& bytes) {
  ASSERT_THAT(FileSystem::real().write_atomically(path, bytes, 0644), IsOk());
}

constexpr const char* kTwo =
    R"({"b":{"dtype":"U8","shape":[2,2],"data_offsets":[2,6]},"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})";

std::vector<Subject> digests(const std::string& path) {
  const auto weights = find_weights(path);
  EXPECT_THAT(weights, IsOk());
  auto subjects = digest_weights(*weights, nullptr);
  EXPECT_THAT(subjects, IsOk());
  return std::move(subjects).value();
}

TEST(SafetensorsTest, MetadataChangesNeitherTensorsNorDigest) {
  const TempDir dir;
  const std::string path = dir / "m.safetensors";
  write(path, file_of(kTwo, "abcdef"));
  const auto before = digests(path);
  ASSERT_THAT(set_metadata(path, "compute_record", "text with \"quotes\""), IsOk());
  ASSERT_THAT(set_metadata(path, "other", "more"), IsOk());
  EXPECT_EQ(digests(path), before);
  const auto read = read_safetensors(path);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->metadata("compute_record"), "text with \"quotes\"");
  EXPECT_EQ(read->metadata("other"), "more");
  EXPECT_EQ(read->data_begin % 8, 0U);
  const auto bytes = FileSystem::real().read(path, 4096);
  EXPECT_TRUE(bytes->ends_with("abcdef"));
}

TEST(SafetensorsTest, OrderAndSplitIntoFilesDoNotChangeTheDigest) {
  const TempDir dir;
  ASSERT_THAT(FileSystem::real().make_directories(dir / "one", 0755), IsOk());
  ASSERT_THAT(FileSystem::real().make_directories(dir / "two", 0755), IsOk());
  write(dir / "one/m.safetensors", file_of(kTwo, "abcdef"));
  write(dir / "two/m-1.safetensors",
        file_of(R"({"b":{"dtype":"U8","shape":[2,2],"data_offsets":[0,4]}})", "cdef"));
  write(dir / "two/m-2.safetensors",
        file_of(R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})", "ab"));
  EXPECT_EQ(digests(dir / "one"), digests(dir / "two"));
}

TEST(SafetensorsTest, NameTypeShapeAndBytesAllChangeTheDigest) {
  const TempDir dir;
  const std::string path = dir / "m.safetensors";
  const std::string header = R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})";
  write(path, file_of(header, "ab"));
  const auto first = digests(path);
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"\"a\"", "\"b\""}, {"I8", "U8"}, {"[2]", "[1,2]"}}) {
    std::string changed = header;
    changed.replace(changed.find(from), from.size(), to);
    write(path, file_of(changed, "ab"));
    EXPECT_NE(digests(path), first) << to;
  }
  write(path, file_of(header, "ac"));
  EXPECT_NE(digests(path), first);
}

TEST(SafetensorsTest, RefusesBytesThatNoTensorCoversAndWhatIsNoFile) {
  const TempDir dir;
  const std::string path = dir / "m.safetensors";
  const std::string one = R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}})";
  const std::string cases[] = {
      "",
      "short",
      std::string(8, '\xff') + "{}",
      file_of(one, "abc"),
      file_of(one, "a"),
      file_of(R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[1,3]}})", "abc"),
      file_of(
          R"({"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"I8","shape":[2],"data_offsets":[1,3]}})",
          "abc"),
      file_of(R"({"a":{"dtype":"I8","shape":[2]}})", "ab"),
      file_of("[]", ""),
      file_of("{", ""),
      file_of(R"({"a":1,"a":2})", "")};
  for (const std::string& bytes : cases) {
    write(path, bytes);
    const auto read = read_safetensors(path);
    ASSERT_FALSE(read.ok()) << bytes;
    EXPECT_EQ(read.status().code(), Code::corrupt);
    EXPECT_NE(read.status().to_string().find(path), std::string::npos);
  }
}

TEST(WeightsTest, OptimizersAndHiddenFoldersAreNoWeights) {
  const TempDir dir;
  ASSERT_THAT(FileSystem::real().make_directories(dir / ".cache", 0755), IsOk());
  write(dir / ".cache/x.pt", "x");
  write(dir / "optimizer.pt", "o");
  write(dir / "config.json", "{}");
  EXPECT_EQ(find_weights(dir.path()).status().code(), Code::not_found);
  write(dir / "model.pt", "m");
  write(dir / "__0_0.distcp", "d");
  write(dir / ".metadata", "d");
  const auto found = digests(dir.path());
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].name, ".metadata");
  EXPECT_EQ(found[2].digest, sign::to_hex(sign::sha256("m")));
}

}  // namespace
}  // namespace account::record
