// Damage: whatever is changed in a run that ended, verification says so and names the place.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "ledger/format.h"
#include "unit/ledger/sample.h"

namespace account::ledger {
namespace {

using ::account::testing::IsOk;
using ::account::testing::TempDir;
using ::testing::HasSubstr;

sign::NamedSecretKey developer() {
  return {"Ada Example", sign::SecretKey::from_seed(std::string(32, '\7'),
                                                    sign::SecretAccess::i_know_what_i_am_doing())
                             .value()};
}

// A closed, endorsed run that verifies, and a way to change one of its files and ask again.
class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_sample(FileSystem::real(), run_);
    ASSERT_THAT(endorse(FileSystem::real(), FakeClock(), run_, developer(), kRecount), IsOk());
    const Report report = verified(run_, key_);
    ASSERT_TRUE(report.ok()) << describe(report);
    ASSERT_TRUE(report.trusted);
  }
  Report with(const std::string& path, const std::string& bytes) {
    const std::string before = read_file(path);
    write_file(path, bytes);
    Report report = verified(run_, key_);
    write_file(path, before);
    return report;
  }
  std::string segment() const { return run_ + "/node-1f00ba5e/ledger/000001.jsonl"; }
  std::vector<std::string> segment_lines() const {
    std::vector<std::string> lines;
    std::string_view rest(segment_bytes_);
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos;
         rest.remove_prefix(end + 1)) {
      lines.emplace_back(rest.substr(0, end));
    }
    return lines;
  }
  static std::string joined(const std::vector<std::string>& lines) {
    std::string bytes;
    for (const std::string& line : lines) bytes += line + "\n";
    return bytes;
  }

  TempDir dir_;
  const std::string run_ = dir_ / "run-1";
  const sign::PublicKey key_ = developer().key.public_key();
  std::string segment_bytes_;
};

// True where `place` names `line` (from 1) of the first segment, or a range with it.
bool names_line(const std::string& place, size_t line) {
  static const std::regex shape("node-1f00ba5e/ledger/000001\\.jsonl lines? (\\d+)(?: to (\\d+))?");
  std::smatch found;
  if (!std::regex_match(place, found, shape)) return false;
  const size_t first = std::stoul(found[1]);
  const size_t last = found[2].matched ? std::stoul(found[2]) : first;
  return first <= line && line <= last;
}

TEST_F(DamageTest, EveryFlippedBitOfEveryFileIsCaughtAndPlaced) {
  for (const std::string& path : files_below(run_)) {
    const std::string good = read_file(path);
    const std::string name = path.substr(run_.size() + 1);
    size_t line = 1;
    for (size_t i = 0; i < good.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = good;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        const Report report = with(path, flipped);
        ASSERT_FALSE(report.ok()) << name << " byte " << i << " bit " << bit;
        ASSERT_FALSE(report.trusted);
        const std::string& place = report.problems[0].place;
        if (path == segment()) {
          ASSERT_TRUE(names_line(place, line)) << place << " for line " << line << " byte " << i;
        } else if (name.find("run.json") == std::string::npos) {
          ASSERT_EQ(place, name) << i;
        }
      }
      if (good[i] == '\n') ++line;
    }
  }
}

TEST_F(DamageTest, EveryTruncationOfEveryFileIsCaught) {
  for (const std::string& path : files_below(run_)) {
    const std::string good = read_file(path);
    for (size_t size = 0; size < good.size(); ++size) {
      const Report report = with(path, good.substr(0, size));
      ASSERT_FALSE(report.ok()) << path << " cut to " << size;
      ASSERT_FALSE(report.problems[0].place.empty());
    }
    ASSERT_FALSE(with(path, good + "x").ok()) << path << " with a byte behind";
  }
}

TEST_F(DamageTest, EveryMissingFileIsCaught) {
  for (const std::string& path : files_below(run_)) {
    const std::string good = read_file(path);
    ASSERT_THAT(FileSystem::real().remove(path), IsOk());
    EXPECT_FALSE(verified(run_, key_).ok()) << path;
    write_file(path, good);
  }
}

TEST_F(DamageTest, DroppedDoubledAndSwappedLinesAreCaught) {
  segment_bytes_ = read_file(segment());
  const std::vector<std::string> good = segment_lines();
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::string> dropped = good, doubled = good, swapped = good;
    dropped.erase(dropped.begin() + static_cast<ptrdiff_t>(i));
    doubled.insert(doubled.begin() + static_cast<ptrdiff_t>(i), good[i]);
    EXPECT_FALSE(with(segment(), joined(dropped)).ok()) << i;
    EXPECT_FALSE(with(segment(), joined(doubled)).ok()) << i;
    if (i + 1 == good.size()) continue;
    std::swap(swapped[i], swapped[i + 1]);
    EXPECT_FALSE(with(segment(), joined(swapped)).ok()) << i;
  }
}

TEST_F(DamageTest, AChangeOfAWholeNumberIsPlacedBetweenTwoSeals) {
  std::string bytes = read_file(segment());
  // The bound of the gap, in the batch of the second seal: lines 6 and 7, sealed by line 8... a
  // reader sees that one of the lines since the first seal is not the one that was sealed.
  const size_t at = bytes.find("\"bound_operations\":\"7\"");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 22, "\"bound_operations\":\"8\"");
  const auto line = static_cast<size_t>(std::count(
                        bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(at), '\n')) +
                    1;
  const Report report = with(segment(), bytes);
  ASSERT_EQ(report.problems.empty(), false);
  EXPECT_TRUE(names_line(report.problems[0].place, line)) << report.problems[0].place;
  EXPECT_THAT(report.problems[0].fault, HasSubstr("not the ones that were sealed"));
}

TEST_F(DamageTest, ALedgerSignedAgainByAnotherKeyIsCaught) {
  const std::string path = run_ + "/node-1f00ba5e/checkpoint";
  const sign::Checkpoint checkpoint = sign::parse_checkpoint(read_file(path)).value();
  const sign::SecretKey thief = sign::SecretKey::generate();
  const Report report = with(path, sign::write_checkpoint(checkpoint, thief).value());
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problems[0].place, "node-1f00ba5e/checkpoint");
}

TEST_F(DamageTest, ARollBackToAnEarlierNoteIsCaughtInAClosedRun) {
  // The writer's notes are gone once replaced, so the attacker kept one from an unclosed run.
  const std::string open_run = dir_ / "open/run-1";
  write_sample(FileSystem::real(), open_run, false);
  const std::string old_note = read_file(open_run + "/node-1f00ba5e/checkpoint");
  EXPECT_FALSE(with(run_ + "/node-1f00ba5e/checkpoint", old_note).ok());
}

}  // namespace
}  // namespace account::ledger
