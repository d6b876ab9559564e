#include "cli/order_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "cli/output.h"
#include "cli/words.h"
#include "order/authority_log.h"

namespace account::cli {
namespace {

constexpr size_t kShortDigits = 16;  // 64 bits: no two orders share them by chance
constexpr size_t kLeastDigits = 4;   // fewer would be a typing mistake that still finds something
constexpr size_t kHashDigits = 64;
constexpr size_t kNonceBytes = 16;
constexpr int kDraftMode = 0644;
constexpr int64_t kOddNumber = int64_t{1} << 40;

Status other_kind(const std::string& path, std::string_view is, std::string_view wanted) {
  return {Code::invalid_argument, fmt::format("{} is a {} key", path, is),
          fmt::format("give the .{} file of that key", wanted)};
}

Result<sign::NamedPublicKey> read_named_public_key(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string bytes,
                           FileSystem::real().read(path, sign::kKeyFileCapBytes));
  auto key = sign::parse_public_key_file(bytes);
  const bool secret =
      !key.ok() && (sign::parse_secret_key_file(bytes).ok() || sign::is_protected_key_file(bytes));
  sign::wipe(bytes);
  if (secret) return other_kind(path, "secret", "pub");
  if (!key.ok()) return key.status().with_context(path);
  return key;
}

Result<sign::NamedSecretKey> read_named_secret_key(const std::string& path) {
  auto key = read_secret_key(path);
  if (!key.ok() && read_public_key(path).ok()) return other_kind(path, "public", "key");
  return key;
}

std::string environment_authority() {
  const char* text = std::getenv("ACCOUNT_AUTHORITY");
  return text == nullptr ? "" : text;
}

Status not_found(const OpenAuthority& authority, const std::string& prefix) {
  return {Code::not_found,
          fmt::format("no order '{}' in authority '{}'", prefix, authority.chain.authority()),
          fmt::format("those that it knows are in {}", authority.directory.orders_path())};
}

}  // namespace

std::string short_hash(const sign::Digest& hash) {
  return sign::to_hex(hash).substr(0, kShortDigits);
}

Result<int64_t> parse_whole(std::string_view option, const std::string& text, int64_t least,
                            int64_t most) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) {
    return Status(Code::invalid_argument,
                  fmt::format("{}: '{}' is no number from {} to {}", option, text, least, most));
  }
  return value;
}

Result<std::vector<sign::NamedPublicKey>> read_public_keys(const std::vector<std::string>& paths) {
  std::vector<sign::NamedPublicKey> keys;
  for (const std::string& path : paths) {
    ACCOUNT_ASSIGN_OR_RETURN(auto key, read_named_public_key(path));
    keys.push_back(std::move(key));
  }
  return keys;
}

Result<std::vector<sign::NamedSecretKey>> read_secret_keys(const std::vector<std::string>& paths) {
  std::vector<sign::NamedSecretKey> keys;
  for (const std::string& path : paths) {
    ACCOUNT_ASSIGN_OR_RETURN(auto key, read_named_secret_key(path));
    keys.push_back(std::move(key));
  }
  return keys;
}

bool holds(const std::vector<sign::PublicKey>& keys, const sign::PublicKey& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

int64_t OpenAuthority::next_number() const {
  int64_t highest = 0;
  for (const auto& [hash, verified] : orders) {
    const order::Order& order = verified.order;
    // A stop's number is for people, and one stop key may write any: none may use the numbers up.
    const bool counts = order.action == order::Action::lift || order.number < kOddNumber;
    if (counts) highest = std::max(highest, order.number);
  }
  return highest + 1;
}

std::string OpenAuthority::names_of(const std::vector<sign::PublicKey>& keys) const {
  std::string names;
  for (const sign::PublicKey& key : keys) {
    std::string name = key.id();
    for (const order::Root& root : chain.roots()) {
      if (const std::string holder = root.holder_of(key); holder != key.id()) name = holder;
    }
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", name);
  }
  return names;
}

Result<OpenAuthority> open_authority(const std::optional<std::string>& named) {
  const std::string text = named.value_or(environment_authority());
  if (!named && text.empty()) {
    return Status(Code::invalid_argument, "no authority was named",
                  "give --authority DIR, or set ACCOUNT_AUTHORITY");
  }
  ACCOUNT_ASSIGN_OR_RETURN(order::AuthoritySpec spec, order::parse_authority_spec(text));
  order::AuthorityDirectory directory(FileSystem::real(), std::move(spec));
  ACCOUNT_ASSIGN_OR_RETURN(order::RootChain chain, directory.read_roots());
  std::vector<order::Refused> refused;
  std::vector<order::Found> found;
  if (FileSystem::real().exists(directory.orders_path())) {
    ACCOUNT_ASSIGN_OR_RETURN(found, directory.read_orders(refused));
  }
  std::map<sign::Digest, order::Verified> orders;
  for (const order::Found& one : found) {
    auto verified = order::verify_order(one.bytes, chain);
    if (verified.ok()) {
      const sign::Digest hash = verified->order.hash;
      orders.emplace(hash, std::move(verified).value());
    } else {
      refused.push_back({one.place, verified.status()});
    }
  }
  // Receipts are for people: those that cannot be read hinder no order.
  auto receipts = directory.read_receipts();
  std::vector<order::Receipt> own;
  if (receipts.ok()) own = std::move(receipts).value();
  std::erase_if(own, [&](const order::Receipt& r) { return r.authority != chain.pin(); });
  return OpenAuthority{std::move(directory), std::move(chain), std::move(orders),
                       std::move(refused), std::move(own)};
}

Result<sign::Digest> find_order(const OpenAuthority& authority, const std::string& prefix) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (prefix.size() < kLeastDigits || prefix.size() > kHashDigits ||
      !std::all_of(prefix.begin(), prefix.end(), is_hex)) {
    return Status(Code::invalid_argument, fmt::format("'{}' names no order", prefix),
                  "give at least 4 of the lower-case hex digits that its hash begins with");
  }
  std::set<sign::Digest> known;
  for (const auto& [hash, verified] : authority.orders) known.insert(hash);
  for (const order::Receipt& receipt : authority.receipts) known.insert(receipt.order);
  std::erase_if(known,
                [&](const sign::Digest& hash) { return !sign::to_hex(hash).starts_with(prefix); });
  if (known.empty()) return not_found(authority, prefix);
  if (known.size() > 1) {
    return Status(Code::invalid_argument,
                  fmt::format("'{}' begins {} orders", prefix, known.size()), "give more digits");
  }
  return *known.begin();
}

Result<sign::Envelope> read_draft(const std::string& path, std::string_view what) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes,
                           FileSystem::real().read(path, order::kMaxOrderBytes));
  const auto document = Json::parse(bytes, order::kMaxOrderBytes);
  if (!document.ok()) return document.status().with_context(path);
  sign::Envelope envelope;
  const auto signatures = document->get_array("signatures");
  if (signatures.ok() && (*signatures)->items().empty()) {
    ACCOUNT_RETURN_IF_ERROR(document->only_members({"payload", "payloadType", "signatures"}));
    ACCOUNT_ASSIGN_OR_RETURN(envelope.payload_type, document->get_string("payloadType"));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string payload, document->get_string("payload"));
    ACCOUNT_ASSIGN_OR_RETURN(envelope.payload, from_base64(payload));
  } else {
    auto parsed = sign::parse_envelope(bytes, order::kMaxOrderBytes);
    if (!parsed.ok()) return parsed.status().with_context(path);
    envelope = std::move(parsed).value();
  }
  if (envelope.payload_type != what) {
    return Status(Code::corrupt, fmt::format("{} holds a '{}', not a '{}'", path,
                                             envelope.payload_type.substr(0, 80), what));
  }
  return envelope;
}

Status write_draft(const std::string& path, const sign::Envelope& envelope) {
  return FileSystem::real().write_atomically(path, sign::write_envelope(envelope), kDraftMode);
}

void note_in_log(const order::AuthorityDirectory& directory, std::string_view what, Json facts) {
  const order::AuthorityLog log(FileSystem::real(), Clock::real(), directory.path());
  const Status written = log.append(what, std::move(facts));
  if (written.ok()) return;
  say(fmt::format("account: {} could not be written ({}); what it was about stands", log.path(),
                  written.fault()));
}

std::string new_nonce() { return to_hex(random_bytes(kNonceBytes)); }

}  // namespace account::cli
