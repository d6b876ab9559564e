// Root documents: reading, writing, and the chain that rotation makes of them.
#include "order/root.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/json.h"
#include "order/fields.h"

namespace account::order {
namespace {

constexpr std::string_view kFormat = "account-root/1";
constexpr size_t kMaxKeys = 64;
constexpr size_t kMaxRoleKeys = 16;  // an envelope holds at most 16 signatures
constexpr size_t kMaxHolderBytes = 256;

Status fault(std::string what) { return {Code::corrupt, std::move(what)}; }

const Root::Key* find_key(const std::vector<Root::Key>& keys, std::string_view id) {
  const auto found =
      std::find_if(keys.begin(), keys.end(), [&](const Root::Key& k) { return k.key.id() == id; });
  return found == keys.end() ? nullptr : &*found;
}

Result<Root::Key> parse_key(const Json& item) {
  ACCOUNT_RETURN_IF_ERROR(item.only_members({"id", "type", "public", "holder"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string type, item.get_string("type"));
  if (type != "ed25519") return fault(fmt::format("a key of type '{}'", type));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, item.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(sign::PublicKey key, sign::PublicKey::from_bytes(raw));
  ACCOUNT_ASSIGN_OR_RETURN(std::string holder, item.get_string("holder"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string id, item.get_string("id"));
  if (id != key.id()) return fault(fmt::format("key '{}' has another id", holder));
  if (holder.size() > kMaxHolderBytes) return fault("a holder's name is too long");
  return Root::Key{std::move(holder), std::move(key)};
}

Status parse_keys(const Json& document, Root& root) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* items, document.get_array("keys"));
  if (items->items().empty() || items->items().size() > kMaxKeys) {
    return fault(fmt::format("a root has 1 to {} keys, not {}", kMaxKeys, items->items().size()));
  }
  for (const Json& item : items->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(Root::Key key, parse_key(item));
    if (find_key(root.keys, key.key.id()) != nullptr) {
      return fault(fmt::format("key {} is listed twice", key.key.id()));
    }
    root.keys.push_back(std::move(key));
  }
  return {};
}

Result<Role> parse_role(const Json& roles, std::string_view name,
                        const std::vector<Root::Key>& keys, int least_threshold) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* item, roles.get_object(name));
  ACCOUNT_RETURN_IF_ERROR(item->only_members({"keys", "threshold"}));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* ids, item->get_array("keys"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t threshold, item->get_integer("threshold"));
  Role role;
  for (const Json& id : ids->items()) {
    const Root::Key* key = find_key(keys, id.as_string());
    if (key == nullptr) {
      return fault(fmt::format("role {} names a key that the root does not list", name));
    }
    if (std::find(role.keys.begin(), role.keys.end(), key->key) != role.keys.end()) {
      return fault(fmt::format("role {} names key {} twice", name, key->key.id()));
    }
    role.keys.push_back(key->key);
  }
  if (role.keys.empty() || role.keys.size() > kMaxRoleKeys) {
    return fault(
        fmt::format("role {} has {} keys, not 1 to {}", name, role.keys.size(), kMaxRoleKeys));
  }
  if (threshold < least_threshold || threshold > static_cast<int64_t>(role.keys.size())) {
    return fault(fmt::format("role {} needs {} of {} keys; it must be {} to {}", name, threshold,
                             role.keys.size(), least_threshold, role.keys.size()));
  }
  role.threshold = static_cast<int>(threshold);
  return role;
}

// Any one stop key stops; at least two lift.
Status parse_roles(const Json& document, Root& root) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* roles, document.get_object("roles"));
  ACCOUNT_RETURN_IF_ERROR(roles->only_members({"root", "stop", "lift", "lease", "recovery"}));
  ACCOUNT_ASSIGN_OR_RETURN(root.root, parse_role(*roles, "root", root.keys, 1));
  ACCOUNT_ASSIGN_OR_RETURN(root.stop, parse_role(*roles, "stop", root.keys, 1));
  ACCOUNT_ASSIGN_OR_RETURN(root.lift, parse_role(*roles, "lift", root.keys, 2));
  if (root.stop.threshold != 1) return fault("role stop has a threshold: any one stop key stops");
  if (roles->find("lease") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(Role lease, parse_role(*roles, "lease", root.keys, 1));
    root.lease = std::move(lease);
  }
  if (roles->find("recovery") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(Role recovery, parse_role(*roles, "recovery", root.keys, 1));
    if (recovery.threshold != 1) return fault("role recovery has a threshold: any one key opens");
    root.recovery = std::move(recovery);
  }
  return {};
}

Status parse_numbers(const Json& document, Root& root) {
  ACCOUNT_ASSIGN_OR_RETURN(root.version, document.get_integer("version"));
  ACCOUNT_ASSIGN_OR_RETURN(root.issued_unix, get_time(document, "issued"));
  ACCOUNT_ASSIGN_OR_RETURN(root.expires_unix, get_time(document, "expires"));
  ACCOUNT_ASSIGN_OR_RETURN(root.max_quiet_seconds, document.get_integer("max_quiet_seconds"));
  if (root.version < 1) return fault(fmt::format("version {} of a root", root.version));
  if (root.expires_unix <= root.issued_unix) return fault("a root that expires before it begins");
  if (root.max_quiet_seconds < 1 || root.max_quiet_seconds > kMaxQuietSeconds) {
    return fault(fmt::format("max_quiet_seconds is {}, not 1 to {}", root.max_quiet_seconds,
                             kMaxQuietSeconds));
  }
  return {};
}

Status parse_options(const Json& document, Root& root) {
  if (document.find("protocol_sha256") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(root.protocol_sha256, document.get_string("protocol_sha256"));
    ACCOUNT_RETURN_IF_ERROR(
        sign::digest_from_hex(root.protocol_sha256).status().with_context("protocol_sha256"));
  }
  if (document.find("revoked") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const auto ids, get_digests(document, "revoked", kMaxKeys));
    for (const sign::Digest& id : ids) {
      root.revoked.push_back(sign::to_hex(id));
      const auto& stops = root.stop.keys;
      if (std::any_of(stops.begin(), stops.end(),
                      [&](const auto& key) { return key.id() == root.revoked.back(); })) {
        return fault("a stop key is revoked and in use");
      }
    }
  }
  return {};
}

Json role_json(const Role& role) {
  Json ids = Json::array();
  for (const sign::PublicKey& key : role.keys) ids.push(key.id());
  return Json::object({{"keys", std::move(ids)}, {"threshold", role.threshold}});
}

}  // namespace

std::string Root::holder_of(const sign::PublicKey& key) const {
  const Key* found = find_key(keys, key.id());
  return found != nullptr && !found->holder.empty() ? found->holder : key.id();
}

Result<Root> parse_root(std::string_view payload) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(payload, kMaxRootBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) return fault(fmt::format("format '{}', not '{}'", format, kFormat));
  ACCOUNT_RETURN_IF_ERROR(
      document.only_members({"format", "authority", "version", "issued", "expires", "keys", "roles",
                             "max_quiet_seconds", "protocol_sha256", "revoked"}));
  Root root;
  ACCOUNT_ASSIGN_OR_RETURN(root.authority, document.get_string("authority"));
  ACCOUNT_RETURN_IF_ERROR(check_name(root.authority, "an authority"));
  ACCOUNT_RETURN_IF_ERROR(parse_numbers(document, root));
  ACCOUNT_RETURN_IF_ERROR(parse_keys(document, root));
  ACCOUNT_RETURN_IF_ERROR(parse_roles(document, root));
  ACCOUNT_RETURN_IF_ERROR(parse_options(document, root));
  root.hash = sign::sha256(payload);
  return root;
}

Result<std::string> write_root(const Root& root) {
  Json keys = Json::array();
  for (const Root::Key& key : root.keys) {
    keys.push(Json::object({{"id", key.key.id()},
                            {"type", "ed25519"},
                            {"public", to_base64(key.key.bytes())},
                            {"holder", key.holder}}));
  }
  Json roles = Json::object({{"root", role_json(root.root)},
                             {"stop", role_json(root.stop)},
                             {"lift", role_json(root.lift)}});
  if (root.lease) roles.set("lease", role_json(*root.lease));
  if (root.recovery) roles.set("recovery", role_json(*root.recovery));
  Json document = Json::object({{"format", kFormat},
                                {"authority", root.authority},
                                {"version", root.version},
                                {"issued", time_text(root.issued_unix)},
                                {"expires", time_text(root.expires_unix)},
                                {"keys", std::move(keys)},
                                {"roles", std::move(roles)},
                                {"max_quiet_seconds", root.max_quiet_seconds}});
  if (!root.protocol_sha256.empty()) document.set("protocol_sha256", root.protocol_sha256);
  if (!root.revoked.empty()) {
    Json ids = Json::array();
    for (const std::string& id : root.revoked) ids.push(id);
    document.set("revoked", std::move(ids));
  }
  std::string payload = document.dump();
  ACCOUNT_RETURN_IF_ERROR(parse_root(payload).status());
  return payload;
}

std::vector<std::string> root_frailties(const Root& root) {
  std::vector<std::string> frailties;
  const auto needs_all = [](const Role& role) {
    return role.keys.size() == static_cast<size_t>(role.threshold);
  };
  if (needs_all(root.lift)) {
    frailties.push_back("every lift key is needed: one lost key and no stop can be lifted");
  }
  if (root.stop.keys.size() < 2) {
    frailties.push_back("there is one stop key: who holds it must always be reachable");
  }
  if (needs_all(root.root)) {
    frailties.push_back("every root key is needed: one lost key and no next root can be signed");
  }
  if (root.recovery && needs_all(*root.recovery)) {
    frailties.push_back("there is one recovery key: lost, and nothing that was locked opens again");
  }
  return frailties;
}

std::vector<std::string> root_warnings(const Root& root) {
  std::vector<std::string> warnings = root_frailties(root);
  const auto also_lifts = [&](const sign::PublicKey& key) {
    return std::find(root.lift.keys.begin(), root.lift.keys.end(), key) != root.lift.keys.end();
  };
  if (std::any_of(root.stop.keys.begin(), root.stop.keys.end(), also_lifts)) {
    warnings.push_back("a stop key is a lift key too: who stops should not be who lifts");
  }
  if (root.root.threshold < root.lift.threshold) {
    warnings.push_back("fewer keys change the root than lift a stop: they could name new ones");
  }
  return warnings;
}

Status RootChain::append(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_envelope(bytes, kMaxRootBytes));
  if (!roots_.empty()) {
    const Role& old = roots_.back().root;
    ACCOUNT_RETURN_IF_ERROR(sign::verify_envelope(envelope, kRootType, old.keys, old.threshold)
                                .status()
                                .with_context("by the root keys of the version before"));
  }
  // The first root vouches for itself; the pin, or whoever looks at it first, vouches for the root.
  ACCOUNT_ASSIGN_OR_RETURN(Root root, parse_root(envelope.payload));
  ACCOUNT_RETURN_IF_ERROR(
      sign::verify_envelope(envelope, kRootType, root.root.keys, root.root.threshold)
          .status()
          .with_context("by its own root keys"));
  const int64_t version = static_cast<int64_t>(roots_.size()) + 1;
  if (root.version != version) {
    return {Code::replayed, fmt::format("it is version {}, not {}", root.version, version)};
  }
  if (!roots_.empty() && root.authority != authority()) {
    return {Code::unverified, fmt::format("it is of authority '{}'", root.authority)};
  }
  roots_.push_back(std::move(root));
  return {};
}

Result<RootChain> RootChain::verify(const std::vector<std::string>& envelopes, std::string_view pin,
                                    int64_t least_version) {
  RootChain chain;
  for (const std::string& bytes : envelopes) {
    const std::string name = fmt::format("root version {}", chain.roots_.size() + 1);
    const Status status = chain.append(bytes).with_context(name);
    if (status.ok()) continue;
    if (chain.roots_.empty()) return status;
    chain.problems_.push_back(status);
    break;
  }
  if (chain.roots_.empty()) return Status(Code::not_found, "the authority has no root");
  if (!pin.empty() && chain.pin() != pin) {
    return Status(Code::unverified, fmt::format("the first root is {}, not {}", chain.pin(), pin),
                  "compare with the digest that the authority published");
  }
  if (chain.newest().version < least_version) {
    return Status(Code::replayed,
                  fmt::format("the root is at version {}, and was at {} before",
                              chain.newest().version, least_version),
                  "put the newer root documents back");
  }
  return chain;
}

std::vector<sign::PublicKey> RootChain::stop_keys() const {
  std::vector<sign::PublicKey> keys;
  const auto& revoked = newest().revoked;
  for (const Root& root : roots_) {
    for (const sign::PublicKey& key : root.stop.keys) {
      const bool gone = std::find(revoked.begin(), revoked.end(), key.id()) != revoked.end();
      const bool known = std::find(keys.begin(), keys.end(), key) != keys.end();
      if (!gone && !known) keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace account::order
