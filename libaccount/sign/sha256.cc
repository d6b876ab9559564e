// SHA-256: of bytes in memory, and incrementally.
#include "sign/sign.h"
#include "sign/sodium.h"

namespace account::sign {

Digest sha256(std::string_view bytes) {
  Digest digest;
  crypto_hash_sha256(digest.data(), octets(bytes), bytes.size());
  return digest;
}

std::string to_hex(const Digest& digest) { return account::to_hex(as_bytes(digest)); }

std::string_view as_bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

Result<Digest> digest_from_hex(std::string_view hex) {
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes bytes, from_hex(hex));
  return digest_from_bytes(bytes);
}

Result<Digest> digest_from_bytes(std::string_view bytes) {
  Digest digest;
  if (bytes.size() != digest.size()) {
    return Status(Code::corrupt, "a digest is 32 bytes, not " + std::to_string(bytes.size()));
  }
  for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(bytes[i]);
  return digest;
}

struct Sha256::State {
  crypto_hash_sha256_state sodium;
};

Sha256::Sha256() : state_(std::make_unique<State>()) { crypto_hash_sha256_init(&state_->sodium); }
Sha256::~Sha256() = default;

void Sha256::update(std::string_view bytes) {
  crypto_hash_sha256_update(&state_->sodium, octets(bytes), bytes.size());
}

Digest Sha256::finish() {
  Digest digest;
  crypto_hash_sha256_final(&state_->sodium, digest.data());
  crypto_hash_sha256_init(&state_->sodium);
  return digest;
}

}  // namespace account::sign
