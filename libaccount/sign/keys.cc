// Ed25519 keys: what may enter as a public key, and how a secret one is held.
#include <new>

#include "sign/sign.h"
#include "sign/sodium.h"

namespace account::sign {
namespace {

constexpr std::string_view kKeyType = "ed25519";

std::string key_id(std::string_view raw) {
  std::string named(kKeyType);
  named.push_back('\0');
  named.append(raw);
  return to_hex(sha256(named));
}

// Memory with guard pages around it, locked where the limit allows, zeroed when freed.
struct SodiumFree {
  void operator()(unsigned char* memory) const { sodium_free(memory); }
};
using SecretBytes = std::unique_ptr<unsigned char, SodiumFree>;

SecretBytes allocate_secret() {
  use_sodium();
  auto* memory = static_cast<unsigned char*>(sodium_malloc(crypto_sign_SECRETKEYBYTES));
  if (memory == nullptr) throw std::bad_alloc();
  return SecretBytes(memory);
}

}  // namespace

Result<PublicKey> PublicKey::from_bytes(std::string_view raw32) {
  if (raw32.size() != crypto_sign_PUBLICKEYBYTES) {
    return Status(Code::corrupt,
                  "an Ed25519 public key is 32 bytes, not " + std::to_string(raw32.size()));
  }
  use_sodium();
  // Note: [key entry]. With a key of small order anyone can sign, and about one with a part of
  // small order verifiers disagree (Chalkias et al., "Taming the many EdDSAs", ePrint 2020/1244).
  // Both are refused here, once, rather than at each signature.
  if (crypto_core_ed25519_is_valid_point(octets(raw32)) != 1) {
    return Status(
        Code::corrupt,
        "these 32 bytes are no usable Ed25519 public key: the point is not canonical, not "
        "on the curve, or not of prime order");
  }
  return PublicKey(std::string(raw32), key_id(raw32));
}

// Note: [spoken ids]. Proquints (Wilkerson, arXiv:0901.4016): 16 bits a word of consonant, vowel,
// consonant, vowel, consonant; each can be said, and written down by who hears it.
std::string PublicKey::spoken_id() const {
  constexpr std::string_view kConsonants = "bdfghjklmnprstvz", kVowels = "aiou";
  constexpr size_t kWords = 4, kHexDigits = 4;
  std::string spoken;
  for (size_t word = 0; word < kWords; ++word) {
    const unsigned bits =
        static_cast<unsigned>(std::stoul(id_.substr(word * kHexDigits, kHexDigits), nullptr, 16));
    if (word != 0) spoken += '-';
    spoken += {kConsonants[bits >> 12 & 15], kVowels[bits >> 10 & 3], kConsonants[bits >> 6 & 15],
               kVowels[bits >> 4 & 3], kConsonants[bits & 15]};
  }
  return spoken;
}

Status PublicKey::verify(std::string_view message, std::string_view signature) const {
  if (signature.size() != crypto_sign_BYTES) {
    return Status(Code::unverified,
                  "an Ed25519 signature is 64 bytes, not " + std::to_string(signature.size()));
  }
  if (crypto_sign_verify_detached(octets(signature), octets(message), message.size(),
                                  octets(raw_)) != 0) {
    return Status(Code::unverified, "the signature is not by key " + id_.substr(0, 16));
  }
  return Status();
}

struct SecretKey::State {
  SecretBytes bytes;  // libsodium's order: seed, then public key
  PublicKey public_key;
};

SecretKey::SecretKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SecretKey::SecretKey(SecretKey&&) noexcept = default;
SecretKey& SecretKey::operator=(SecretKey&&) noexcept = default;
SecretKey::~SecretKey() = default;

SecretKey SecretKey::generate() {
  SecretBytes secret = allocate_secret();
  std::string raw(crypto_sign_PUBLICKEYBYTES, '\0');
  crypto_sign_keypair(octets(raw), secret.get());
  sodium_mprotect_readonly(secret.get());
  return SecretKey(
      std::make_unique<State>(State{std::move(secret), PublicKey::from_bytes(raw).value()}));
}

Result<SecretKey> SecretKey::from_seed(std::string_view seed32, SecretAccess) {
  if (seed32.size() != crypto_sign_SEEDBYTES) {
    return Status(Code::corrupt,
                  "an Ed25519 seed is 32 bytes, not " + std::to_string(seed32.size()));
  }
  SecretBytes secret = allocate_secret();
  std::string raw(crypto_sign_PUBLICKEYBYTES, '\0');
  crypto_sign_seed_keypair(octets(raw), secret.get(), octets(seed32));
  sodium_mprotect_readonly(secret.get());
  ACCOUNT_ASSIGN_OR_RETURN(PublicKey public_key, PublicKey::from_bytes(raw));
  return SecretKey(std::make_unique<State>(State{std::move(secret), std::move(public_key)}));
}

const PublicKey& SecretKey::public_key() const { return state_->public_key; }

std::string SecretKey::sign(std::string_view message) const {
  std::string signature(crypto_sign_BYTES, '\0');
  crypto_sign_detached(octets(signature), nullptr, octets(message), message.size(),
                       state_->bytes.get());
  return signature;
}

std::string SecretKey::seed(SecretAccess) const {
  return {reinterpret_cast<const char*>(state_->bytes.get()), crypto_sign_SEEDBYTES};
}

void wipe(std::string& secret) { sodium_memzero(secret.data(), secret.size()); }

}  // namespace account::sign
