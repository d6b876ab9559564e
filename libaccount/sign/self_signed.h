// Self-signed statements: an envelope with one signature, whose payload is strict JSON that names
// its own format and the key that signed it ("public"). So damage shows to everybody; whom to trust
// is for the reader, who knows keys. Must not know what is stated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "account/status.h"
#include "base/json.h"
#include "sign/sign.h"

namespace account::sign {

struct StatementKind {
  std::string_view payload_type;
  std::string_view format;  // the payload's "format"
  uint64_t cap_bytes = 0;   // of the file
};

struct SelfSigned {
  Json json;       // the payload, with "format" and "public"
  std::string id;  // hex SHA-256 of the payload
  PublicKey key;
};
// corrupt or unverified where it is not of this kind, or not signed by the key that it names.
Result<SelfSigned> parse_self_signed(std::string_view bytes, const StatementKind& kind);

struct WrittenStatement {
  std::string bytes;  // one line
  std::string id;
};
// `json` without "format" and "public", which become its first and last members.
WrittenStatement write_self_signed(const Json& json, const StatementKind& kind,
                                   const SecretKey& key);

}  // namespace account::sign
