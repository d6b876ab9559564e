#include "cli/proof.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/files.h"
#include "ledger/format.h"
#include "sign/self_signed.h"

namespace account::cli {
namespace {

constexpr sign::StatementKind kKind = {"application/vnd.account.proof.v1+json", "account-proof/1",
                                       uint64_t{4} << 20};

}  // namespace

std::string write_proof(const Json& proof, const SigningKey& key) {
  const Json said = Json::object({{"proof", proof},
                                  {"made_unix_ns", ledger::time_json(Clock::real().unix_ns())},
                                  {"signer", key.key.name}});
  return sign::write_self_signed(said, kKind, key.key.key).bytes;
}

bool is_proof(const std::string& path) {
  FileSystem& files = FileSystem::real();
  if (path.empty() || files.list(path).ok()) return false;
  const auto bytes = files.read(path, kKind.cap_bytes);
  return bytes.ok() && bytes->find(kKind.payload_type) != std::string::npos;
}

Result<CheckedProof> check_proof(const std::string& path, const std::vector<std::string>& keys) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, FileSystem::real().read(path, kKind.cap_bytes));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::SelfSigned statement, sign::parse_self_signed(bytes, kKind));
  const Json& json = statement.json;
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "proof", "made_unix_ns", "signer", "public"}));
  CheckedProof checked;
  ACCOUNT_ASSIGN_OR_RETURN(checked.signer, json.get_string("signer"));
  checked.key_id = statement.key.id();
  ACCOUNT_ASSIGN_OR_RETURN(const Json* proof, json.get_object("proof"));
  checked.proof = *proof;
  for (const std::string& file : keys) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey given, read_public_key(file));
    checked.trusted |= given == statement.key;
  }
  if (keys.empty() || checked.trusted) return checked;
  return Status(Code::unverified,
                fmt::format("it is signed by '{}', key {}, which was not given", checked.signer,
                            sign::short_id(checked.key_id)),
                "ask for its signer's key");
}

}  // namespace account::cli
