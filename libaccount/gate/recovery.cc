// The keeper's word to its ranks.
#include "gate/recovery.h"

#include "base/bytes.h"
#include "base/json.h"

namespace account::gate {
namespace {

constexpr std::string_view kFormat = "account-recovery/1";
constexpr size_t kMaxAuthorities = 31;  // bits of the page's gate word

Status fault(std::string what) { return {Code::corrupt, std::move(what)}; }

}  // namespace

std::string write_recovery(const Recovery& recovery) {
  Json authorities = Json::array();
  for (const Recovery::Of& one : recovery.authorities) {
    Json keys = Json::array();
    for (const sign::PublicKey& key : one.keys) keys.push(to_base64(key.bytes()));
    authorities.push(Json::object({{"pin", one.pin}, {"keys", std::move(keys)}}));
  }
  return Json::object({{"format", kFormat}, {"authorities", std::move(authorities)}}).dump() + "\n";
}

Result<Recovery> parse_recovery(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kRecoveryCapBytes));
  ACCOUNT_RETURN_IF_ERROR(document.only_members({"format", "authorities"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) return fault("format '" + format.substr(0, 40) + "'");
  ACCOUNT_ASSIGN_OR_RETURN(const Json* authorities, document.get_array("authorities"));
  if (authorities->items().size() > kMaxAuthorities) return fault("too many authorities");
  Recovery recovery;
  for (const Json& item : authorities->items()) {
    ACCOUNT_RETURN_IF_ERROR(item.only_members({"pin", "keys"}));
    Recovery::Of one;
    ACCOUNT_ASSIGN_OR_RETURN(one.pin, item.get_string("pin"));
    ACCOUNT_ASSIGN_OR_RETURN(const Json* keys, item.get_array("keys"));
    if (keys->items().size() > kMaxRecoveryKeys) return fault("too many keys");
    for (const Json& encoded : keys->items()) {
      ACCOUNT_ASSIGN_OR_RETURN(const std::string raw, from_base64(encoded.as_string()));
      ACCOUNT_ASSIGN_OR_RETURN(sign::PublicKey key, sign::PublicKey::from_bytes(raw));
      one.keys.push_back(std::move(key));
    }
    recovery.authorities.push_back(std::move(one));
  }
  return recovery;
}

}  // namespace account::gate
