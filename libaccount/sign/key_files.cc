// Key files: one line of JSON that holds one key. libaccount/doc/key_format.md.
#include "base/json.h"
#include "sign/sign.h"

namespace account::sign {
namespace {

constexpr std::string_view kPublicFormat = "account-public-key/1";
constexpr std::string_view kSecretFormat = "account-secret-key/1";
constexpr std::string_view kType = "ed25519";
constexpr size_t kNameCapBytes = 128;

// Zeroes a string with secret text in it when its scope ends.
class Wiped {
 public:
  explicit Wiped(std::string& text) : text_(text) {}
  ~Wiped() { wipe(text_); }
  Wiped(const Wiped&) = delete;
  Wiped& operator=(const Wiped&) = delete;

 private:
  std::string& text_;
};

Status expect(const Json& document, std::string_view member, std::string_view value) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string found, document.get_string(member));
  if (found == value) return Status();
  return Status(Code::corrupt, "member '" + std::string(member) + "' is '" + found + "', not '" +
                                   std::string(value) + "'");
}

// The members that both kinds of file have; yields the name.
Result<std::string> parse_common(const Json& document, std::string_view format) {
  ACCOUNT_RETURN_IF_ERROR(expect(document, "format", format));
  ACCOUNT_RETURN_IF_ERROR(expect(document, "type", kType));
  ACCOUNT_ASSIGN_OR_RETURN(std::string name, document.get_string("name"));
  ACCOUNT_RETURN_IF_ERROR(check_key_name(name));
  return name;
}

}  // namespace

Status check_key_name(std::string_view name) {
  if (name.size() > kNameCapBytes) {
    return Status(Code::invalid_argument, "a key's name has at most 128 bytes");
  }
  for (const char c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Status(Code::invalid_argument, "a key's name has no control characters");
    }
  }
  return Status();
}

std::string public_key_file(const NamedPublicKey& key) {
  return Json::object({{"format", kPublicFormat},
                       {"type", kType},
                       {"name", key.name},
                       {"public", to_base64(key.key.bytes())},
                       {"id", key.key.id()}})
             .dump() +
         "\n";
}

std::string secret_key_file(std::string_view name, const SecretKey& key) {
  std::string seed = key.seed(SecretAccess::i_know_what_i_am_doing());
  const Wiped wiped_seed(seed);
  std::string encoded = to_base64(seed);
  const Wiped wiped_encoded(encoded);
  return Json::object({{"format", kSecretFormat},
                       {"type", kType},
                       {"name", name},
                       {"seed", encoded},
                       {"id", key.public_key().id()}})
             .dump() +
         "\n";
}

Result<NamedPublicKey> parse_public_key_file(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kKeyFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(document.only_members({"format", "type", "name", "public", "id"}));
  ACCOUNT_ASSIGN_OR_RETURN(std::string name, parse_common(document, kPublicFormat));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, document.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(PublicKey key, PublicKey::from_bytes(raw));
  ACCOUNT_RETURN_IF_ERROR(expect(document, "id", key.id()));
  return NamedPublicKey{std::move(name), std::move(key)};
}

Result<NamedSecretKey> parse_secret_key_file(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kKeyFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(document.only_members({"format", "type", "name", "seed", "id"}));
  ACCOUNT_ASSIGN_OR_RETURN(std::string name, parse_common(document, kSecretFormat));
  ACCOUNT_ASSIGN_OR_RETURN(std::string encoded, document.get_string("seed"));
  const Wiped wiped_encoded(encoded);
  ACCOUNT_ASSIGN_OR_RETURN(Bytes seed, from_base64(encoded));
  const Wiped wiped_seed(seed);
  ACCOUNT_ASSIGN_OR_RETURN(SecretKey key,
                           SecretKey::from_seed(seed, SecretAccess::i_know_what_i_am_doing()));
  ACCOUNT_RETURN_IF_ERROR(expect(document, "id", key.public_key().id()));
  return NamedSecretKey{std::move(name), std::move(key)};
}

}  // namespace account::sign
