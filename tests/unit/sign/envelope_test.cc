// DSSE envelopes: published vectors, and everything that must not count as signed.
#include <functional>

#include "unit/sign/support.h"

namespace account::sign {
namespace {

constexpr std::string_view kType = "application/vnd.account.test.v1+json";
constexpr uint64_t kCap = 4096;

Envelope signed_by(std::initializer_list<const SecretKey*> keys) {
  Envelope envelope{std::string(kType), "{\"a\":1}", {}};
  for (const SecretKey* key : keys) add_signature(envelope, *key);
  return envelope;
}

Code verdict(const Envelope& envelope, const std::vector<PublicKey>& keys, int threshold = 1) {
  return verify_envelope(envelope, kType, keys, threshold).status().code();
}

TEST(EnvelopeTest, EncodesAsTheDsseSpecificationDoes) {
  EXPECT_EQ(pre_authentication_encoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(pre_authentication_encoding("", ""), "DSSEv1 0  0 ");
  EXPECT_EQ(pre_authentication_encoding("\u00e9", "\u00e9"), "DSSEv1 2 \u00e9 2 \u00e9");
}

// Computed with libsodium from C, seed 32 x 0x07.
TEST(EnvelopeTest, SignsAKnownPayload) {
  Envelope envelope{"application/vnd.in-toto+json", "{}", {}};
  add_signature(envelope, fixed_key(7));
  EXPECT_EQ(account::to_hex(envelope.signatures[0].signature),
            "39158771f54a2acd3eebdc6b3381e5da7af23e7f4ce0f98ea1c0d1fe33db89e9"
            "f165f04cb8c62c7407e49c653481633278ce6f4454cc2309c86b7b9b37c96106");
}

TEST(EnvelopeTest, ReadsBackWhatItWrites) {
  const SecretKey ada = fixed_key(1), bob = fixed_key(2);
  const std::string bytes = write_envelope(signed_by({&ada, &bob}));
  const auto read = parse_envelope(bytes, kCap);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(read->payload, "{\"a\":1}");
  const auto signers = verify_envelope(*read, kType, {bob.public_key(), ada.public_key()}, 2);
  ASSERT_TRUE(signers.ok()) << signers.status().to_string();
  EXPECT_EQ(signers->size(), 2u);
  EXPECT_EQ(write_envelope(*read), bytes);
}

TEST(EnvelopeTest, CountsOneKeyOnceHoweverOftenItSigned) {
  const SecretKey ada = fixed_key(1), bob = fixed_key(2);
  const Envelope twice = signed_by({&ada, &ada});
  EXPECT_EQ(verdict(twice, {ada.public_key(), bob.public_key()}, 2), Code::unverified);
  EXPECT_EQ(verdict(twice, {ada.public_key(), ada.public_key()}, 2), Code::unverified);
  EXPECT_EQ(verdict(twice, {ada.public_key()}, 1), Code::ok);
}

TEST(EnvelopeTest, RefusesAKeyIdThatLies) {
  const SecretKey ada = fixed_key(1), bob = fixed_key(2);
  Envelope envelope = signed_by({&ada});
  envelope.signatures[0].key_id = bob.public_key().id();
  EXPECT_EQ(verdict(envelope, {ada.public_key(), bob.public_key()}), Code::unverified);
  envelope.signatures[0].key_id.clear();  // none at all is fine: every key is tried
  EXPECT_EQ(verdict(envelope, {bob.public_key(), ada.public_key()}), Code::ok);
}

TEST(EnvelopeTest, RefusesTheSamePayloadUnderAnotherType) {
  const SecretKey ada = fixed_key(1);
  Envelope envelope = signed_by({&ada});
  EXPECT_FALSE(verify_envelope(envelope, "application/json", {ada.public_key()}, 1).ok());
  envelope.payload_type = "application/json";  // relabelled: the signature covers the type
  EXPECT_FALSE(verify_envelope(envelope, "application/json", {ada.public_key()}, 1).ok());
}

TEST(EnvelopeTest, RefusesForeignKeysAndSenselessThresholds) {
  const SecretKey ada = fixed_key(1), bob = fixed_key(2);
  const Envelope envelope = signed_by({&ada});
  EXPECT_EQ(verdict(envelope, {bob.public_key()}), Code::unverified);
  EXPECT_EQ(verdict(envelope, {}), Code::unverified);
  EXPECT_EQ(verdict(envelope, {ada.public_key()}, 0), Code::invalid_argument);
}

TEST(EnvelopeTest, RefusesEveryFlippedBit) {
  const SecretKey ada = fixed_key(1);
  const std::string good = write_envelope(signed_by({&ada}));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    const auto read = parse_envelope(flipped, kCap);
    const bool accepted = read.ok() && verdict(*read, {ada.public_key()}) == Code::ok;
    EXPECT_FALSE(accepted) << flipped;
  }
}

TEST(EnvelopeTest, RefusesEveryTruncation) {
  const SecretKey ada = fixed_key(1);
  const std::string good = write_envelope(signed_by({&ada}));
  // The final line feed carries nothing; everything before it does.
  for (size_t size = 0; size + 1 < good.size(); ++size) {
    EXPECT_FALSE(parse_envelope(good.substr(0, size), kCap).ok()) << size;
  }
}

TEST(EnvelopeTest, RefusesWhatTheProfileDoesNotHave) {
  const SecretKey ada = fixed_key(1);
  const std::string sig = to_base64(ada.sign("x"));
  const std::string one = "{\"sig\":\"" + sig + "\"}";
  const auto with = [](const std::string& payload, const std::string& signatures) {
    return "{\"payload\":\"" + payload + "\",\"payloadType\":\"t\",\"signatures\":" + signatures +
           "}";
  };
  ASSERT_TRUE(parse_envelope(with("YQ==", "[" + one + "]"), kCap).ok());
  std::string seventeen = one;
  for (int i = 0; i < 16; ++i) seventeen += "," + one;
  const std::string bad[] = {
      with("YR==", "[" + one + "]"),  // bits in the padding
      with("YQ", "[" + one + "]"),    // no padding
      with("YQ==", "[]"),
      with("YQ==", "[" + seventeen + "]"),
      with("YQ==", "[{\"sig\":\"" + sig + "\",\"keyid\":\"\"}]"),
      with("YQ==", "[{\"sig\":\"" + sig + "\",\"keyid\":\"AB\"}]"),
      with("YQ==", "[{\"sig\":\"" + sig + "\",\"cert\":\"x\"}]"),
      with("YQ==", "[{\"sig\":\"YQ==\"}]"),
      with("YQ==", "[{}]"),
      "{\"payload\":\"YQ==\",\"payload\":\"YQ==\",\"payloadType\":\"t\",\"signatures\":[" + one +
          "]}",
      "{\"payloadType\":\"t\",\"signatures\":[" + one + "]}",
  };
  for (const std::string& text : bad) {
    EXPECT_EQ(parse_envelope(text, 1 << 16).status().code(), Code::corrupt) << text;
  }
  EXPECT_FALSE(parse_envelope(with("YQ==", "[" + one + "]"), 16).ok());  // longer than the cap
}

}  // namespace
}  // namespace account::sign
