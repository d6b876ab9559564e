// Key files: one line of JSON that holds one key. libaccount/doc/key_format.md.
#include "base/json.h"
#include "base/random.h"
#include "sign/sign.h"
#include "sign/sodium.h"

namespace account::sign {
namespace {

constexpr std::string_view kPublicFormat = "account-public-key/1";
constexpr std::string_view kSecretFormat = "account-secret-key/1";
constexpr std::string_view kProtectedFormat = "account-protected-key/1";
constexpr std::string_view kStretch = "argon2id13";
constexpr std::string_view kType = "ed25519";
constexpr size_t kNameCapBytes = 128;

// What a reader tries before it has refused a file, and what a hostile one may cost it.
constexpr int64_t kMostPasses = 16, kLeastMemoryKib = 8, kMostMemoryKib = int64_t{1} << 20;

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

Result<Bytes> get_bytes(const Json& document, std::string_view member, size_t size) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, document.get_string(member));
  ACCOUNT_ASSIGN_OR_RETURN(Bytes bytes, from_base64(encoded));
  if (bytes.size() == size) return bytes;
  return Status(Code::corrupt, "member '" + std::string(member) + "' has " +
                                   std::to_string(bytes.size()) + " bytes, not " +
                                   std::to_string(size));
}

Result<int64_t> get_within(const Json& document, std::string_view member, int64_t least,
                           int64_t most) {
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t value, document.get_integer(member));
  if (value >= least && value <= most) return value;
  return Status(Code::corrupt, "member '" + std::string(member) + "' is " + std::to_string(value) +
                                   ", not from " + std::to_string(least) + " to " +
                                   std::to_string(most));
}

// The members of a protected key file, checked.
struct ProtectedKey {
  NamedPublicKey half;
  Effort effort;
  Bytes salt, nonce, box;
};

Result<ProtectedKey> parse_protected(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kKeyFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(
      document.only_members({"format", "type", "name", "public", "id", "stretch", "passes",
                             "memory_kib", "salt", "nonce", "box"}));
  ACCOUNT_ASSIGN_OR_RETURN(std::string name, parse_common(document, kProtectedFormat));
  ACCOUNT_RETURN_IF_ERROR(expect(document, "stretch", kStretch));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw,
                           get_bytes(document, "public", crypto_sign_PUBLICKEYBYTES));
  ACCOUNT_ASSIGN_OR_RETURN(PublicKey key, PublicKey::from_bytes(raw));
  ACCOUNT_RETURN_IF_ERROR(expect(document, "id", key.id()));
  Effort effort;
  ACCOUNT_ASSIGN_OR_RETURN(
      effort.passes,
      get_within(document, "passes", crypto_pwhash_argon2id_OPSLIMIT_MIN, kMostPasses));
  ACCOUNT_ASSIGN_OR_RETURN(effort.memory_kib,
                           get_within(document, "memory_kib", kLeastMemoryKib, kMostMemoryKib));
  ACCOUNT_ASSIGN_OR_RETURN(Bytes salt,
                           get_bytes(document, "salt", crypto_pwhash_argon2id_SALTBYTES));
  ACCOUNT_ASSIGN_OR_RETURN(
      Bytes nonce, get_bytes(document, "nonce", crypto_aead_xchacha20poly1305_ietf_NPUBBYTES));
  ACCOUNT_ASSIGN_OR_RETURN(
      Bytes box, get_bytes(document, "box",
                           crypto_sign_SEEDBYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES));
  return ProtectedKey{
      {std::move(name), std::move(key)}, effort, std::move(salt), std::move(nonce), std::move(box)};
}

// What the box is bound to: another key's box does not open in this file.
std::string bound_to(const PublicKey& key) {
  std::string bound(kProtectedFormat);
  bound.push_back('\0');
  return bound + key.bytes();
}

Result<std::string> stretched(std::string_view passphrase, std::string_view salt, Effort effort) {
  if (passphrase.empty() || passphrase.size() > kMaxPassphraseBytes) {
    return Status(Code::invalid_argument, "a passphrase has from 1 to 1024 bytes");
  }
  use_sodium();
  std::string key(crypto_aead_xchacha20poly1305_ietf_KEYBYTES, '\0');
  if (crypto_pwhash(octets(key), key.size(), passphrase.data(), passphrase.size(), octets(salt),
                    static_cast<unsigned long long>(effort.passes),
                    static_cast<size_t>(effort.memory_kib) << 10,
                    crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return Status(Code::unavailable, "there are not the " +
                                         std::to_string(effort.memory_kib >> 10) +
                                         " MiB of memory that this passphrase takes");
  }
  return key;
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

Result<std::string> protected_key_file(std::string_view name, const SecretKey& key,
                                       std::string_view passphrase, Effort effort) {
  const Bytes salt = random_bytes(crypto_pwhash_argon2id_SALTBYTES);
  const Bytes nonce = random_bytes(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES);
  ACCOUNT_ASSIGN_OR_RETURN(std::string box_key, stretched(passphrase, salt, effort));
  const Wiped wiped_key(box_key);
  std::string seed = key.seed(SecretAccess::i_know_what_i_am_doing());
  const Wiped wiped_seed(seed);
  const std::string bound = bound_to(key.public_key());
  std::string box(seed.size() + crypto_aead_xchacha20poly1305_ietf_ABYTES, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(octets(box), nullptr, octets(seed), seed.size(),
                                             octets(bound), bound.size(), nullptr, octets(nonce),
                                             octets(box_key));
  return Json::object({{"format", kProtectedFormat},
                       {"type", kType},
                       {"name", name},
                       {"public", to_base64(key.public_key().bytes())},
                       {"id", key.public_key().id()},
                       {"stretch", kStretch},
                       {"passes", effort.passes},
                       {"memory_kib", effort.memory_kib},
                       {"salt", to_base64(salt)},
                       {"nonce", to_base64(nonce)},
                       {"box", to_base64(box)}})
             .dump() +
         "\n";
}

bool is_protected_key_file(std::string_view bytes) {
  const auto document = Json::parse(bytes, kKeyFileCapBytes);
  return document.ok() && expect(*document, "format", kProtectedFormat).ok();
}

Result<NamedPublicKey> parse_protected_key_file(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(ProtectedKey key, parse_protected(bytes));
  return std::move(key.half);
}

Result<NamedSecretKey> open_protected_key_file(std::string_view bytes,
                                               std::string_view passphrase) {
  ACCOUNT_ASSIGN_OR_RETURN(ProtectedKey file, parse_protected(bytes));
  ACCOUNT_ASSIGN_OR_RETURN(std::string box_key, stretched(passphrase, file.salt, file.effort));
  const Wiped wiped_key(box_key);
  const std::string bound = bound_to(file.half.key);
  std::string seed(crypto_sign_SEEDBYTES, '\0');
  const Wiped wiped_seed(seed);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(octets(seed), nullptr, nullptr, octets(file.box),
                                                 file.box.size(), octets(bound), bound.size(),
                                                 octets(file.nonce), octets(box_key)) != 0) {
    return Status(Code::unverified, "this is not its passphrase");
  }
  ACCOUNT_ASSIGN_OR_RETURN(SecretKey key,
                           SecretKey::from_seed(seed, SecretAccess::i_know_what_i_am_doing()));
  if (!(key.public_key() == file.half.key)) {
    return Status(Code::corrupt, "its box holds the secret of another key");
  }
  return NamedSecretKey{std::move(file.half.name), std::move(key)};
}

}  // namespace account::sign
