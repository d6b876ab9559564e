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

}  // namespace
}  // namespace account::sign
