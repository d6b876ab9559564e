// Key files: what is written is read back, and nothing else is.
#include "unit/sign/support.h"

namespace account::sign {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(KeyFileTest, ReadsBackAPublicKey) {
  const SecretKey key = fixed_key(7);
  const std::string file = public_key_file({"Ada Example", key.public_key()});
  const auto read = parse_public_key_file(file);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->name, "Ada Example");
  EXPECT_EQ(read->key, key.public_key());
  EXPECT_EQ(file.find('\n'), file.size() - 1);
}

TEST(KeyFileTest, ReadsBackASecretKey) {
  const SecretKey key = fixed_key(7);
  const auto read = parse_secret_key_file(secret_key_file("Ada Example", key));
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->name, "Ada Example");
  EXPECT_EQ(read->key.sign("m"), key.sign("m"));
}

TEST(KeyFileTest, TheWorkedExampleOfTheFormatPageIsCurrent) {
  EXPECT_EQ(public_key_file({"ada", fixed_key(7).public_key()}),
            "{\"format\":\"account-public-key/1\",\"type\":\"ed25519\",\"name\":\"ada\",\"public\":"
            "\"6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\",\"id\":"
            "\"aab53bf186c65dff5419f05c947f7c5dd08d48321c1efe631415cba8fdc7428b\"}\n");
}

TEST(KeyFileTest, RefusesWhatIsNoKeyFile) {
  const std::string good = public_key_file({"ada", fixed_key(7).public_key()});
  const std::string secret = secret_key_file("ada", fixed_key(7));
  const std::string bad[] = {
      "",
      "not JSON",
      "{}",
      secret,  // a secret where a public is due
      replaced(good, "account-public-key/1", "account-public-key/2"),
      replaced(good, "ed25519", "ed448"),
      replaced(good, "\"name\":\"ada\",", ""),
      replaced(good, "\"ada\"", "\"a\\u0000a\""),
      replaced(good, "\"ada\"", "\"" + std::string(129, 'a') + "\""),
      replaced(good, "\"name\"", "\"comment\":\"x\",\"name\""),  // unknown member
      replaced(good, "\"id\":\"a", "\"id\":\"b"),                // an id of another key
      replaced(good, "\"public\":\"6", "\"public\":\"!"),
  };
  for (const std::string& text : bad) {
    EXPECT_FALSE(parse_public_key_file(text).ok()) << text;
  }
  EXPECT_FALSE(parse_secret_key_file(good).ok());
  EXPECT_FALSE(parse_secret_key_file(replaced(secret, "\"seed\":\"B", "\"seed\":\"C")).ok());
}

TEST(KeyFileTest, RefusesEveryFlippedBitOutsideTheName) {
  const std::string good = public_key_file({"", fixed_key(7).public_key()});
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(parse_public_key_file(flipped).ok()) << flipped;
  }
}

// A guess costs nothing here, or the tests would take minutes.
constexpr Effort kNoEffort{1, 8};

std::string protected_file(std::string_view passphrase) {
  auto file = protected_key_file("Ada Example", fixed_key(7), passphrase, kNoEffort);
  EXPECT_TRUE(file.ok()) << file.status().to_string();
  return file.ok() ? *file : "";
}

TEST(ProtectedKeyFileTest, OpensWithItsPassphraseOnly) {
  const std::string file = protected_file("correct horse");
  EXPECT_TRUE(is_protected_key_file(file));
  EXPECT_FALSE(is_protected_key_file(secret_key_file("Ada Example", fixed_key(7))));
  const auto read = open_protected_key_file(file, "correct horse");
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->name, "Ada Example");
  EXPECT_EQ(read->key.sign("m"), fixed_key(7).sign("m"));
  EXPECT_EQ(open_protected_key_file(file, "correct horsf").status().code(), Code::unverified);
  EXPECT_FALSE(open_protected_key_file(file, "").ok());
  EXPECT_FALSE(parse_secret_key_file(file).ok());
}

TEST(ProtectedKeyFileTest, ShowsItsPublicHalfWithoutOne) {
  const auto half = parse_protected_key_file(protected_file("correct horse"));
  ASSERT_TRUE(half.ok()) << half.status().to_string();
  EXPECT_EQ(half->name, "Ada Example");
  EXPECT_EQ(half->key, fixed_key(7).public_key());
}

TEST(ProtectedKeyFileTest, TwoFilesOfOneKeyShareNoSecretByte) {
  const std::string one = protected_file("a"), other = protected_file("a");
  const auto from_salt = [](const std::string& file) { return file.substr(file.find("\"salt\"")); };
  EXPECT_NE(from_salt(one), from_salt(other));
}

TEST(ProtectedKeyFileTest, RefusesAnotherKeysBox) {
  auto other = protected_key_file("Ada Example", fixed_key(8), "a", kNoEffort);
  ASSERT_TRUE(other.ok());
  const std::string mine = protected_file("a");
  // Their salt, nonce and box behind this key's public half.
  const std::string mixed =
      mine.substr(0, mine.find("\"salt\"")) + other->substr(other->find("\"salt\""));
  EXPECT_EQ(open_protected_key_file(mixed, "a").status().code(), Code::unverified);
}

TEST(ProtectedKeyFileTest, RefusesWhatWouldCostTheReaderTooMuch) {
  const std::string good = protected_file("a");
  for (const auto& [from, to] :
       {std::pair("\"passes\":1", "\"passes\":17"), std::pair("\"passes\":1", "\"passes\":0"),
        std::pair("\"memory_kib\":8,", "\"memory_kib\":1048577,"),
        std::pair("\"memory_kib\":8,", "\"memory_kib\":7,"), std::pair("argon2id13", "argon2id14"),
        std::pair("protected-key/1", "protected-key/2")}) {
    EXPECT_EQ(open_protected_key_file(replaced(good, from, to), "a").status().code(), Code::corrupt)
        << to;
  }
}

TEST(ProtectedKeyFileTest, NoFlippedBitOpens) {
  const std::string good = protected_file("a");
  const size_t name = good.find("Ada Example");  // for people; bound to nothing, as in other files
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    if (bit / 8 >= name && bit / 8 < name + std::string_view("Ada Example").size()) continue;
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(open_protected_key_file(flipped, "a").ok()) << flipped;
  }
}

TEST(ProtectedKeyFileTest, APassphraseHasItsLimits) {
  EXPECT_FALSE(protected_key_file("a", fixed_key(7), "", kNoEffort).ok());
  EXPECT_FALSE(
      protected_key_file("a", fixed_key(7), std::string(kMaxPassphraseBytes + 1, 'a'), kNoEffort)
          .ok());
}

TEST(SpokenIdTest, IsFourProquintsOfTheId) {
  const PublicKey key = fixed_key(7).public_key();  // its id begins aab53bf186c65dff
  EXPECT_EQ(key.spoken_id(), "popuj-gozud-mirak-juluz");
}

}  // namespace
}  // namespace account::sign
