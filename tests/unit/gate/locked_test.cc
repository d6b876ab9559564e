// Locked files: nothing in plain on the disk, whole or nothing, and only for recovery keys.
#include "gate/locked.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "base/json.h"
#include "base/random.h"
#include "gate/recovery.h"
#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account::gate {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class LockedTest : public ::testing::Test {
 protected:
  LockedHeader about() const {
    LockedHeader header;
    header.run = "r7";
    header.order.fill(7);
    header.step = 41;
    header.rank = 3;
    header.world_size = 8;
    return header;
  }
  std::string write(const std::vector<std::string>& pieces) {
    auto writer = LockedWriter::create(path_, about(), {safe_.public_key(), vault_.public_key()});
    EXPECT_TRUE(writer.ok()) << writer.status().to_string();
    for (const std::string& piece : pieces) EXPECT_THAT(writer->write(piece), IsOk());
    EXPECT_THAT(writer->commit(), IsOk());
    const std::string bytes = contents(path_);
    EXPECT_EQ(writer->bytes(), bytes.size());
    EXPECT_EQ(writer->sha256(), sign::to_hex(sign::sha256(bytes)));
    return bytes;
  }
  static std::string contents(const std::string& path) {
    return FileSystem::real().read(path, 64 << 20).value();
  }
  void put(const std::string& bytes) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  Result<std::string> read(const sign::SecretKey& recovery) const {
    ACCOUNT_ASSIGN_OR_RETURN(const LockedHeader header, read_locked_header(path_));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string key, unseal_key(header, recovery));
    std::string plain;
    ACCOUNT_RETURN_IF_ERROR(read_locked(path_, key, [&](std::string_view bytes) {
      plain += bytes;
      return Status();
    }));
    return plain;
  }

  testing::TempDir folder_;
  std::string path_ = folder_.path() + "/a/rank-3.locked";
  sign::SecretKey safe_ = sign::SecretKey::generate(), vault_ = sign::SecretKey::generate();
};

TEST_F(LockedTest, AnyRecoveryKeyOpensWhatWasWritten) {
  write({"weights", " and ", "more"});
  EXPECT_EQ(read(safe_).value(), "weights and more");
  EXPECT_EQ(read(vault_).value(), "weights and more");
  EXPECT_THAT(read(sign::SecretKey::generate()).status(),
              StatusIs(Code::unverified, HasSubstr("not sealed to key")));
  const LockedHeader header = read_locked_header(path_).value();
  EXPECT_EQ(header.run, "r7");
  EXPECT_EQ(header.step, 41u);
  EXPECT_EQ(header.rank, 3);
  EXPECT_EQ(header.world_size, 8);
  EXPECT_EQ(header.order, about().order);
}

// tests/independent/locked.py wrote it.
TEST_F(LockedTest, OpensWhatAStrangerLockedByTheFormatsPage) {
  const std::string text = contents(ACCOUNT_TESTS_DIR "/vectors/locked.json");
  const Json vector = Json::parse(text, 1 << 20).value();
  std::filesystem::create_directories(folder_.path() + "/a");
  put(from_base64(vector.get_string("file").value()).value());
  for (const Json& seed : vector.get_array("seeds").value()->items()) {
    const auto key = sign::SecretKey::from_seed(from_hex(seed.as_string()).value(),
                                                sign::SecretAccess::i_know_what_i_am_doing());
    EXPECT_EQ(read(*key).value(), vector.get_string("content").value());
  }
}

TEST_F(LockedTest, EverySizeAroundAPieceComesBackAsItWas) {
  constexpr size_t kPiece = size_t{1} << 20;
  for (const size_t size : {size_t{0}, size_t{1}, kPiece - 1, kPiece, kPiece + 1, 2 * kPiece}) {
    const std::string plain = random_bytes(size);
    std::filesystem::remove_all(folder_.path() + "/a");
    write({plain.substr(0, size / 3), plain.substr(size / 3)});
    EXPECT_EQ(read(safe_).value(), plain) << size;
  }
}

TEST_F(LockedTest, UntilItIsWholeItHasNoNameAndNoPlainByte) {
  const std::string plain(3 << 20, 'w');
  {
    auto writer = LockedWriter::create(path_, about(), {safe_.public_key()});
    ASSERT_TRUE(writer.ok());
    ASSERT_THAT(writer->write(plain), IsOk());
    EXPECT_FALSE(std::filesystem::exists(path_));
    EXPECT_EQ(contents(path_ + ".partial").find("wwwwwwww"), std::string::npos);
  }
  EXPECT_FALSE(std::filesystem::exists(path_)) << "one that was given up stays unnamed";
  EXPECT_EQ(write({plain}).find("wwwwwwww"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".partial"));
}

TEST_F(LockedTest, EveryChangeAndEveryCutIsNoticed) {
  const std::string whole = write({"weights"});
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bent = whole;
    bent[i] = static_cast<char>(bent[i] ^ 1);
    put(bent);
    EXPECT_FALSE(read(safe_).ok() && read(vault_).ok()) << "byte " << i;
    put(whole.substr(0, i));
    EXPECT_FALSE(read(safe_).ok()) << "cut at " << i;
  }
  put(whole + "x");
  EXPECT_FALSE(read(safe_).ok());
}

TEST_F(LockedTest, APieceThatIsMissingAtTheEndIsNoticed) {
  const std::string whole = write({std::string((1 << 20) + 5, 'w')});
  put(whole.substr(0, whole.size() - 5 - sign::kStreamOverhead));
  EXPECT_THAT(read(safe_).status(), StatusIs(Code::corrupt, HasSubstr(path_)));
}

TEST_F(LockedTest, AnOpenedKeyIsItsFilesOwnAndItsOwners) {
  write({"weights"});
  const LockedHeader header = read_locked_header(path_).value();
  EXPECT_THAT(read_opened_key(path_, header).status(),
              StatusIs(Code::unavailable, HasSubstr("is locked")));
  const std::string key = unseal_key(header, safe_).value();
  ASSERT_THAT(write_opened_key(path_, header, key), IsOk());
  EXPECT_EQ(read_opened_key(path_, header).value(), key);
  const auto mode = std::filesystem::status(path_ + ".key").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  LockedHeader other = header;
  other.id[0] = other.id[0] == '0' ? '1' : '0';
  EXPECT_THAT(read_opened_key(path_, other).status(),
              StatusIs(Code::corrupt, HasSubstr("another file")));
  std::ofstream(path_ + ".key") << "{}";
  EXPECT_THAT(read_opened_key(path_, header).status(),
              StatusIs(Code::corrupt, HasSubstr(path_ + ".key")));
}

TEST_F(LockedTest, WithoutARecoveryKeyNothingIsWritten) {
  EXPECT_THAT(LockedWriter::create(path_, about(), {}).status(),
              StatusIs(Code::invalid_argument, HasSubstr("recovery")));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/a"));
}

TEST_F(LockedTest, TheKeepersWordReadsBackAndNothingElseDoes) {
  Recovery recovery;
  recovery.authorities.push_back({"1f", {safe_.public_key(), vault_.public_key()}});
  recovery.authorities.push_back({"2e", {}});
  const std::string text = write_recovery(recovery);
  const auto read_back = parse_recovery(text);
  ASSERT_TRUE(read_back.ok()) << read_back.status().to_string();
  ASSERT_EQ(read_back->authorities.size(), 2u);
  EXPECT_EQ(read_back->authorities[0].pin, "1f");
  EXPECT_EQ(read_back->authorities[0].keys, recovery.authorities[0].keys);
  EXPECT_TRUE(read_back->authorities[1].keys.empty());
  for (size_t i = 0; i + 1 < text.size(); ++i) EXPECT_FALSE(parse_recovery(text.substr(0, i)).ok());
  EXPECT_FALSE(parse_recovery(R"({"format":"account-recovery/2","authorities":[]})").ok());
  EXPECT_FALSE(parse_recovery(R"({"format":"account-recovery/1","authorities":[1]})").ok());
}

}  // namespace
}  // namespace account::gate
