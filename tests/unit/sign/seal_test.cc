// Secrets for one key, and streams that open whole or not at all.
#include <vector>

#include "base/random.h"
#include "support/matchers.h"
#include "unit/sign/support.h"

namespace account::sign {
namespace {

using testing::StatusIs;

TEST(SealTest, OnlyTheHolderOfTheKeyOpensIt) {
  const SecretKey holder = SecretKey::generate(), other = SecretKey::generate();
  const std::string sealed = seal_to(holder.public_key(), "a data key");
  EXPECT_EQ(open_sealed(holder, sealed).value(), "a data key");
  EXPECT_NE(sealed, seal_to(holder.public_key(), "a data key")) << "each time anew";
  EXPECT_THAT(open_sealed(other, sealed).status(), StatusIs(Code::unverified, ::testing::_));
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string bent = sealed;
    bent[i] = static_cast<char>(bent[i] ^ 1);
    EXPECT_FALSE(open_sealed(holder, bent).ok()) << i;
    EXPECT_FALSE(open_sealed(holder, sealed.substr(0, i)).ok()) << i;
  }
}

std::vector<std::string> seal_all(SealingStream& stream, const std::vector<std::string>& pieces) {
  std::vector<std::string> sealed;
  for (size_t i = 0; i < pieces.size(); ++i) {
    sealed.push_back(stream.seal(pieces[i], i == 0 ? "header" : "", i + 1 == pieces.size()));
  }
  return sealed;
}

TEST(SealTest, AStreamOpensPieceByPieceAndKnowsItsLast) {
  const std::string key = random_bytes(kStreamKeyBytes);
  SealingStream sealing(key);
  const auto sealed = seal_all(sealing, {"one", "", "three"});
  EXPECT_EQ(sealed[0].size(), 3 + kStreamOverhead);
  OpeningStream opening(key, sealing.header());
  const auto one = opening.open(sealed[0], "header").value();
  EXPECT_EQ(one.bytes, "one");
  EXPECT_FALSE(one.last);
  EXPECT_EQ(opening.open(sealed[1], "").value().bytes, "");
  const auto three = opening.open(sealed[2], "").value();
  EXPECT_EQ(three.bytes, "three");
  EXPECT_TRUE(three.last);
}

TEST(SealTest, AStreamRefusesOtherOrderOtherKeyOtherHeaderAndEveryChange) {
  const std::string key = random_bytes(kStreamKeyBytes);
  SealingStream sealing(key);
  const auto sealed = seal_all(sealing, {"one", "two"});
  EXPECT_FALSE(OpeningStream(key, sealing.header()).open(sealed[1], "").ok());
  EXPECT_FALSE(OpeningStream(key, sealing.header()).open(sealed[0], "another header").ok());
  EXPECT_FALSE(OpeningStream(random_bytes(kStreamKeyBytes), sealing.header())
                   .open(sealed[0], "header")
                   .ok());
  EXPECT_FALSE(OpeningStream(key, random_bytes(kStreamHeaderBytes)).open(sealed[0], "header").ok());
  EXPECT_FALSE(OpeningStream(key, "short").open(sealed[0], "header").ok());
  for (size_t i = 0; i < sealed[0].size(); ++i) {
    std::string bent = sealed[0];
    bent[i] = static_cast<char>(bent[i] ^ 1);
    EXPECT_FALSE(OpeningStream(key, sealing.header()).open(bent, "header").ok()) << i;
  }
}

}  // namespace
}  // namespace account::sign
