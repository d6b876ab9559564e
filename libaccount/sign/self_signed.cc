#include "sign/self_signed.h"

#include "base/bytes.h"

namespace account::sign {

Result<SelfSigned> parse_self_signed(std::string_view bytes, const StatementKind& kind) {
  ACCOUNT_ASSIGN_OR_RETURN(const Envelope envelope, parse_lone_envelope(bytes, kind.cap_bytes));
  // The payload is read before its signature is checked, since it names the key; nothing of it is
  // used unless the signature holds.
  ACCOUNT_ASSIGN_OR_RETURN(Json json, Json::parse(envelope.payload, kind.cap_bytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kind.format) {
    return Status(Code::corrupt,
                  "its format is '" + format + "', not '" + std::string(kind.format) + "'");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, json.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(PublicKey key, PublicKey::from_bytes(raw));
  ACCOUNT_RETURN_IF_ERROR(verify_envelope(envelope, kind.payload_type, {key}, 1).status());
  return SelfSigned{std::move(json), to_hex(sha256(envelope.payload)), std::move(key)};
}

WrittenStatement write_self_signed(const Json& json, const StatementKind& kind,
                                   const SecretKey& key) {
  Json payload = Json::object({{"format", kind.format}});
  for (const auto& [name, value] : json.members()) payload.set(name, value);
  payload.set("public", to_base64(key.public_key().bytes()));
  Envelope envelope{std::string(kind.payload_type), payload.dump(), {}};
  add_signature(envelope, key);
  return {write_envelope(envelope), to_hex(sha256(envelope.payload))};
}

}  // namespace account::sign
