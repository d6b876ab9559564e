// Writing and checking of endorsement files.
#include "ledger/endorsement.h"

#include <fmt/format.h>

#include "base/json.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "sign/self_signed.h"

namespace account::ledger {
namespace {

constexpr sign::StatementKind kKind = {"application/vnd.account.endorsement.v1+json",
                                       "account-endorsement/1", kSmallFileCapBytes};

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

Result<Endorsement> parse_payload(const Json& json, sign::PublicKey key) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members(
      {"format", "run", "heads", "operations", "time_unix_ns", "name", "public"}));
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
                   std::string(sign::short_id(key.id())) + ".json");
}

std::string write_endorsement(const Endorsement& endorsement, const sign::SecretKey& key) {
  Json heads = Json::array();
  for (const Head& head : endorsement.heads) {
    heads.push(Json::object(
        {{"node", head.node}, {"origin", head.origin}, {"size", head.size}, {"root", head.root}}));
  }
  const Json said = Json::object({{"run", endorsement.run},
                                  {"heads", std::move(heads)},
                                  {"operations", endorsement.operations},
                                  {"time_unix_ns", time_json(endorsement.unix_ns)},
                                  {"name", endorsement.name}});
  return sign::write_self_signed(said, kKind, key).bytes;
}

Result<Endorsement> parse_endorsement(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(sign::SelfSigned statement, sign::parse_self_signed(bytes, kKind));
  return parse_payload(statement.json, std::move(statement.key));
}

}  // namespace account::ledger
