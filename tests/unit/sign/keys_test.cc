// Ed25519 by published vectors: RFC 8032, Wycheproof, and the cases on which verifiers disagree.
#include "unit/sign/support.h"

namespace account::sign {
namespace {

struct Rfc8032Vector {
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

// RFC 8032, section 7.1, tests 1 to 3 and "SHA(abc)".
constexpr Rfc8032Vector kRfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"},
};

TEST(Ed25519Test, AgreesWithRfc8032) {
  for (const Rfc8032Vector& vector : kRfc8032) {
    auto key =
        SecretKey::from_seed(unhex(vector.seed), SecretAccess::i_know_what_i_am_doing()).value();
    EXPECT_EQ(account::to_hex(key.public_key().bytes()), vector.public_key);
    EXPECT_EQ(account::to_hex(key.sign(unhex(vector.message))), vector.signature);
    const PublicKey entered = PublicKey::from_bytes(unhex(vector.public_key)).value();
    EXPECT_TRUE(entered.verify(unhex(vector.message), unhex(vector.signature)).ok());
  }
}

TEST(Ed25519Test, AgreesWithAllOfWycheproof) {
  const Json vectors = read_vectors("ed25519_wycheproof.json");
  int64_t cases = 0;
  for (const Json& group : (*vectors.get_array("testGroups"))->items()) {
    const Json* encoded = group.get_object("publicKey").value();
    const PublicKey key = PublicKey::from_bytes(unhex(*encoded->get_string("pk"))).value();
    for (const Json& test : (*group.get_array("tests"))->items()) {
      const Status verified =
          key.verify(unhex(*test.get_string("msg")), unhex(*test.get_string("sig")));
      EXPECT_EQ(verified.ok(), *test.get_string("result") == "valid") << test.dump();
      ++cases;
    }
  }
  EXPECT_EQ(cases, *vectors.get_integer("numberOfTests"));
}

// ePrint 2020/1244: cases 0 to 5, 8 to 11 have a key or a point R with a part of small order, 6 and
// 7 an S beyond the group's order. Verifiers disagree about all of them; none gets past us, be it
// at the key's entry or at the signature.
TEST(Ed25519Test, RefusesEveryCaseOnWhichVerifiersDisagree) {
  const Json cases = read_vectors("ed25519_speccheck.json");
  ASSERT_EQ(cases.items().size(), 12u);
  std::string refused_at;
  for (const Json& test : cases.items()) {
    const auto key = PublicKey::from_bytes(unhex(*test.get_string("pub_key")));
    if (!key.ok()) {
      refused_at += 'k';
      EXPECT_EQ(key.status().code(), Code::corrupt);
      continue;
    }
    const Status verified =
        key->verify(unhex(*test.get_string("message")), unhex(*test.get_string("signature")));
    refused_at += verified.ok() ? 'V' : 's';
  }
  EXPECT_EQ(refused_at, "kkkkkksskkkk");
}

TEST(Ed25519Test, RefusesKeysThatAreNoPoints) {
  // Not canonical: y = p, p + 1 and 2^255 - 1, which are other spellings of 0, 1 and 18.
  const std::string p = "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
  const std::string p1 = "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f";
  const std::string ones(64, 'f');
  const std::string zero(64, '0');                      // of order 4
  const std::string one = "01" + std::string(62, '0');  // the neutral element
  for (const std::string& hex : {p, p1, ones, zero, one}) {
    EXPECT_EQ(PublicKey::from_bytes(unhex(hex)).status().code(), Code::corrupt) << hex;
  }
}

TEST(Ed25519Test, RefusesOtherLengths) {
  const SecretKey key = fixed_key(1);
  const std::string raw = key.public_key().bytes();
  EXPECT_FALSE(PublicKey::from_bytes("").ok());
  EXPECT_FALSE(PublicKey::from_bytes(raw.substr(1)).ok());
  EXPECT_FALSE(PublicKey::from_bytes(raw + "x").ok());
  EXPECT_FALSE(SecretKey::from_seed("short", SecretAccess::i_know_what_i_am_doing()).ok());
  const std::string signature = key.sign("m");
  EXPECT_TRUE(key.public_key().verify("m", signature).ok());
  EXPECT_EQ(key.public_key().verify("m", signature + "x").code(), Code::unverified);
  EXPECT_EQ(key.public_key().verify("m", signature.substr(0, 63)).code(), Code::unverified);
  EXPECT_EQ(key.public_key().verify("m", "").code(), Code::unverified);
}

TEST(Ed25519Test, RefusesEveryFlippedBitOfASignature) {
  const SecretKey key = fixed_key(1);
  const std::string signature = key.sign("message");
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    std::string flipped = signature;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(key.public_key().verify("message", flipped).code(), Code::unverified) << bit;
  }
}

TEST(Ed25519Test, GeneratesADifferentKeyEachTime) {
  EXPECT_NE(SecretKey::generate().public_key().id(), SecretKey::generate().public_key().id());
}

TEST(Ed25519Test, NamesAKeyByTypeAndBytes) {
  const SecretKey key = fixed_key(7);
  const std::string named = std::string("ed25519") + '\0' + key.public_key().bytes();
  EXPECT_EQ(key.public_key().id(), to_hex(sha256(named)));
}

TEST(Sha256Test, IsTheSameInOnePieceAndInMany) {
  // FIPS 180-4 examples: "abc", and a million times "a".
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  for (int i = 0; i < 1000; ++i) hash.update(std::string(1000, 'a'));
  EXPECT_EQ(to_hex(hash.finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace account::sign
