// Writing and checking of endorsement files.
#include "ledger/endorsement.h"

#include <fmt/format.h>

#include "base/json.h"
#include "ledger/format.h"
#include "ledger/ledger.h"

namespace account::ledger {
namespace {

constexpr std::string_view kPayloadType = "application/vnd.account.endorsement.v1+json";
constexpr std::string_view kFormat = "account-endorsement/1";
constexpr size_t kNameDigits = 16;

Result<Head> parse_head(const Json& item) {
  ACCOUNT_RETURN_IF_ERROR(item.only_members({"node", "origin", "size", "root"}));
  Head head;
  ACCOUNT_ASSIGN_OR_RETURN(head.node, item.get_string("node"));
  ACCOUNT_ASSIGN_OR_RETURN(head.origin, item.get_string("origin"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t size, item.get_integer("size"));
  ACCOUNT_ASSIGN_OR_RETURN(head.root, item.get_string("root"));
  if (size < 1) return Status(Code::corrupt, "a head covers no line");
  head.size = static_cast<uint64_t>(size);
  return head;
}

Result<Endorsement> parse_payload(std::string_view payload) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(payload, kSmallFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(json.only_members(
      {"format", "run", "heads", "operations", "time_unix_ns", "name", "public"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, json.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(sign::PublicKey key, sign::PublicKey::from_bytes(raw));
  Endorsement endorsement{"", {}, OpCount(), 0, "", std::move(key)};
  ACCOUNT_ASSIGN_OR_RETURN(endorsement.run, json.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* heads, json.get_array("heads"));
  for (const Json& item : heads->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(Head head, parse_head(item));
    if (!endorsement.heads.empty() && endorsement.heads.back().node >= head.node) {
      return Status(Code::corrupt, "its heads are not in the order of their nodes");
    }
    endorsement.heads.push_back(std::move(head));
  }
  if (endorsement.heads.empty()) return Status(Code::corrupt, "it endorses no ledger");
  ACCOUNT_ASSIGN_OR_RETURN(endorsement.operations, json.get_op_count("operations"));
  ACCOUNT_ASSIGN_OR_RETURN(endorsement.unix_ns, get_time(json, "time_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(endorsement.name, json.get_string("name"));
  return endorsement;
}

}  // namespace

std::string endorsement_path(const std::string& run_folder, const sign::PublicKey& key) {
  return join_path(join_path(run_folder, kEndorsementFolder),
                   key.id().substr(0, kNameDigits) + ".json");
}

std::string write_endorsement(const Endorsement& endorsement, const sign::SecretKey& key) {
  Json heads = Json::array();
  for (const Head& head : endorsement.heads) {
    heads.push(Json::object(
        {{"node", head.node}, {"origin", head.origin}, {"size", head.size}, {"root", head.root}}));
  }
  const Json payload = Json::object({{"format", kFormat},
                                     {"run", endorsement.run},
                                     {"heads", std::move(heads)},
                                     {"operations", endorsement.operations},
                                     {"time_unix_ns", time_json(endorsement.unix_ns)},
                                     {"name", endorsement.name},
                                     {"public", to_base64(endorsement.key.bytes())}});
  sign::Envelope envelope{std::string(kPayloadType), payload.dump(), {}};
  add_signature(envelope, key);
  return write_envelope(envelope);
}

Result<Endorsement> parse_endorsement(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_lone_envelope(bytes, kSmallFileCapBytes));
  // The payload is read before its signature is checked, since it names the key; nothing of it is
  // used unless the signature holds.
  ACCOUNT_ASSIGN_OR_RETURN(Endorsement endorsement, parse_payload(envelope.payload));
  ACCOUNT_RETURN_IF_ERROR(
      sign::verify_envelope(envelope, kPayloadType, {endorsement.key}, 1).status());
  return endorsement;
}

}  // namespace account::ledger
