// SHA-256: of bytes in memory, and incrementally.
//
// libcrypto's, which takes the CPU's SHA instructions where there are some: several times as fast
// as libsodium's (docs/decisions.md), and weights and ledgers are hashed whole. Its plain functions
// are called deprecated since OpenSSL 3.0 in favour of ones that allocate and look providers up.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "sign/sign.h"

namespace account::sign {

Digest sha256(std::string_view bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
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

namespace {

SHA256_CTX* context(std::array<uint64_t, 16>& state) {
  static_assert(sizeof(SHA256_CTX) <= sizeof(state) && alignof(SHA256_CTX) <= alignof(uint64_t));
  return reinterpret_cast<SHA256_CTX*>(state.data());
}

}  // namespace

Sha256::Sha256() { SHA256_Init(context(state_)); }

void Sha256::update(std::string_view bytes) {
  SHA256_Update(context(state_), bytes.data(), bytes.size());
}

Digest Sha256::finish() {
  Digest digest;
  SHA256_Final(digest.data(), context(state_));
  SHA256_Init(context(state_));
  return digest;
}

}  // namespace account::sign
