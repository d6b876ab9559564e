// DSSE envelopes in a narrow profile. libaccount/doc/envelope_format.md.
#include <algorithm>

#include "base/json.h"
#include "sign/sign.h"

namespace account::sign {
namespace {

constexpr size_t kMaxSignatures = 16;
constexpr size_t kSignatureBytes = 64;

Result<EnvelopeSignature> parse_signature(const Json& item) {
  ACCOUNT_RETURN_IF_ERROR(item.only_members({"sig", "keyid"}));
  EnvelopeSignature signature;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, item.get_string("sig"));
  ACCOUNT_ASSIGN_OR_RETURN(signature.signature, from_base64(encoded));
  if (signature.signature.size() != kSignatureBytes) {
    return Status(Code::corrupt,
                  "a signature is 64 bytes, not " + std::to_string(signature.signature.size()));
  }
  if (item.find("keyid") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(signature.key_id, item.get_string("keyid"));
    // Refuses an empty keyid too, which would read like an absent one.
    ACCOUNT_RETURN_IF_ERROR(digest_from_hex(signature.key_id).status().with_context("keyid"));
  }
  return signature;
}

bool signed_by(const EnvelopeSignature& signature, const PublicKey& key, std::string_view message) {
  const bool named_otherwise = !signature.key_id.empty() && signature.key_id != key.id();
  return !named_otherwise && key.verify(message, signature.signature).ok();
}

}  // namespace

// DSSE protocol v1.0.2: "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body, LEN in decimal bytes.
std::string pre_authentication_encoding(std::string_view payload_type, std::string_view payload) {
  std::string encoded = "DSSEv1 " + std::to_string(payload_type.size()) + " ";
  encoded.append(payload_type).append(" ").append(std::to_string(payload.size())).append(" ");
  encoded.append(payload);
  return encoded;
}

Result<Envelope> parse_envelope(std::string_view bytes, uint64_t cap_bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, cap_bytes));
  ACCOUNT_RETURN_IF_ERROR(document.only_members({"payload", "payloadType", "signatures"}));
  Envelope envelope;
  ACCOUNT_ASSIGN_OR_RETURN(envelope.payload_type, document.get_string("payloadType"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, document.get_string("payload"));
  ACCOUNT_ASSIGN_OR_RETURN(envelope.payload, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* signatures, document.get_array("signatures"));
  if (signatures->items().empty() || signatures->items().size() > kMaxSignatures) {
    return Status(Code::corrupt, "an envelope has 1 to 16 signatures, not " +
                                     std::to_string(signatures->items().size()));
  }
  for (const Json& item : signatures->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(EnvelopeSignature signature, parse_signature(item));
    envelope.signatures.push_back(std::move(signature));
  }
  return envelope;
}

std::string write_envelope(const Envelope& envelope) {
  Json signatures = Json::array();
  for (const EnvelopeSignature& signature : envelope.signatures) {
    Json item = Json::object();
    if (!signature.key_id.empty()) item.set("keyid", signature.key_id);
    item.set("sig", to_base64(signature.signature));
    signatures.push(std::move(item));
  }
  return Json::object({{"payload", to_base64(envelope.payload)},
                       {"payloadType", envelope.payload_type},
                       {"signatures", std::move(signatures)}})
             .dump() +
         "\n";
}

void add_signature(Envelope& envelope, const SecretKey& key) {
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  envelope.signatures.push_back({key.public_key().id(), key.sign(message)});
}

Result<Envelope> parse_lone_envelope(std::string_view bytes, uint64_t cap_bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(Envelope envelope, parse_envelope(bytes, cap_bytes));
  if (envelope.signatures.size() == 1 && write_envelope(envelope) == bytes) return envelope;
  return Status(Code::corrupt, "it is no envelope with one signature, spelled as this one is");
}

Result<std::vector<PublicKey>> verify_envelope(const Envelope& envelope,
                                               std::string_view payload_type,
                                               const std::vector<PublicKey>& keys, int threshold) {
  if (threshold < 1) {
    return Status(Code::invalid_argument, "an envelope needs a threshold of at least 1 signature");
  }
  if (envelope.payload_type != payload_type) {
    return Status(Code::unverified, "the envelope is of type '" + envelope.payload_type +
                                        "', not '" + std::string(payload_type) + "'");
  }
  const std::string message = pre_authentication_encoding(envelope.payload_type, envelope.payload);
  std::vector<PublicKey> signers;  // distinct: two signatures by one key are one signer
  for (const PublicKey& key : keys) {
    if (std::find(signers.begin(), signers.end(), key) != signers.end()) continue;
    const bool found =
        std::any_of(envelope.signatures.begin(), envelope.signatures.end(),
                    [&](const EnvelopeSignature& s) { return signed_by(s, key, message); });
    if (found) signers.push_back(key);
  }
  if (signers.size() < static_cast<size_t>(threshold)) {
    return Status(Code::unverified, "signed by " + std::to_string(signers.size()) +
                                        " of the accepted keys, " + std::to_string(threshold) +
                                        " needed");
  }
  return signers;
}

}  // namespace account::sign
