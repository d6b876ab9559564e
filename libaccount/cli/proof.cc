#include "cli/proof.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/files.h"
#include "ledger/format.h"

namespace account::cli {
namespace {

constexpr std::string_view kType = "application/vnd.account.proof.v1+json";
constexpr std::string_view kFormat = "account-proof/1";
constexpr uint64_t kCapBytes = uint64_t{4} << 20;

}  // namespace

std::string write_proof(const Json& proof, const SigningKey& key) {
  const Json payload = Json::object({{"format", kFormat},
                                     {"proof", proof},
                                     {"made_unix_ns", ledger::time_json(Clock::real().unix_ns())},
                                     {"signer", key.key.name},
                                     {"public", to_base64(key.key.key.public_key().bytes())}});
  sign::Envelope envelope{std::string(kType), payload.dump(), {}};
  add_signature(envelope, key.key.key);
  return write_envelope(envelope);
}

bool is_proof(const std::string& path) {
  FileSystem& files = FileSystem::real();
  if (path.empty() || files.list(path).ok()) return false;
  const auto bytes = files.read(path, kCapBytes);
  return bytes.ok() && bytes->find(kType) != std::string::npos;
}

Result<CheckedProof> check_proof(const std::string& path, const std::vector<std::string>& keys) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, FileSystem::real().read(path, kCapBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_lone_envelope(bytes, kCapBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(envelope.payload, kCapBytes));
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "proof", "made_unix_ns", "signer", "public"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, json.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key, sign::PublicKey::from_bytes(raw));
  ACCOUNT_RETURN_IF_ERROR(sign::verify_envelope(envelope, kType, {key}, 1).status());
  CheckedProof checked;
  ACCOUNT_ASSIGN_OR_RETURN(checked.signer, json.get_string("signer"));
  checked.key_id = key.id();
  ACCOUNT_ASSIGN_OR_RETURN(const Json* proof, json.get_object("proof"));
  checked.proof = *proof;
  for (const std::string& file : keys) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey given, read_public_key(file));
    checked.trusted |= given == key;
  }
  if (keys.empty() || checked.trusted) return checked;
  return Status(Code::unverified,
                fmt::format("it is signed by '{}', key {}, which was not given", checked.signer,
                            key.id().substr(0, 16)),
                "ask for its signer's key");
}

}  // namespace account::cli
