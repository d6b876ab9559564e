// `account order show|sign|send`: an order as a file, whoever carries it.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

std::string time_of(int64_t unix_seconds) {
  return unix_seconds == 0 ? "an unknown time" : to_iso8601(unix_seconds * kNanoseconds);
}

// ---- show -----------------------------------------------------------------------------------

struct ShowWords {
  std::string order;
  std::optional<std::string> authority;
  bool json = false;
};

struct Shown {
  order::Order order;
  sign::Envelope envelope;
  std::optional<Result<order::Verified>> verdict;  // nothing: no authority to ask
  std::string signers;                             // names, where it verifies
};

bool authority_was_named(const ShowWords& words) {
  return words.authority.has_value() || std::getenv("ACCOUNT_AUTHORITY") != nullptr;
}

// The bytes of an order that an authority has, by the first digits of its hash.
Result<std::string> bytes_at(const OpenAuthority& authority, const std::string& prefix) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Digest hash, find_order(authority, prefix));
  const auto found = authority.orders.find(hash);
  if (found != authority.orders.end()) return found->second.envelope;
  return Status(Code::not_found,
                fmt::format("the order {} is gone, only receipts of it are left", short_hash(hash)),
                "it stands all the same where it was obeyed: account order why RUN");
}

Result<Shown> read_shown(const ShowWords& words, const OpenAuthority* authority) {
  Shown shown;
  std::string bytes;
  if (FileSystem::real().exists(words.order)) {
    ACCOUNT_ASSIGN_OR_RETURN(shown.envelope, read_draft(words.order, order::kOrderType));
    ACCOUNT_ASSIGN_OR_RETURN(bytes, FileSystem::real().read(words.order, order::kMaxOrderBytes));
  } else if (authority != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(bytes, bytes_at(*authority, words.order));
    ACCOUNT_ASSIGN_OR_RETURN(shown.envelope, sign::parse_envelope(bytes, order::kMaxOrderBytes));
  } else {
    return Status(Code::not_found, fmt::format("there is no file '{}'", words.order),
                  "give --authority DIR to name an order by its hash");
  }
  auto order = order::parse_order(shown.envelope.payload);
  if (!order.ok()) return order.status().with_context(words.order);
  shown.order = std::move(order).value();
  if (authority == nullptr) return shown;
  shown.verdict = order::verify_order(bytes, authority->chain);
  if (shown.verdict->ok()) shown.signers = authority->names_of((*shown.verdict)->signers);
  return shown;
}

Result<Shown> find_shown(const ShowWords& words) {
  if (!authority_was_named(words)) return read_shown(words, nullptr);
  ACCOUNT_ASSIGN_OR_RETURN(const OpenAuthority authority, open_authority(words.authority));
  return read_shown(words, &authority);
}

void put_shown_json(const Shown& shown) {
  const order::Order& order = shown.order;
  Json json = Json::object({{"order", order.hash_hex()},
                            {"action", order::name(order.action)},
                            {"authority", order.authority},
                            {"root_version", order.root_version},
                            {"number", order.number},
                            {"reason", order.reason},
                            {"ordered_by", order.ordered_by}});
  if (order.issued_unix != 0) json.set("issued", time_of(order.issued_unix));
  if (!order::ends_others(order.action)) {
    json.set("scope", order::to_json(order.scope));
    json.set("quiet_seconds", order.quiet_seconds);
    if (order.action == order::Action::stop) json.set("grace", order::name(order.grace));
    json.set("clause", order.clause);
  } else {
    Json lifts = Json::array();
    for (const sign::Digest& hash : order.lifts) lifts.push(sign::to_hex(hash));
    json.set("lifts", std::move(lifts));
  }
  if (order.accept_until_unix != 0) json.set("accept_until", time_of(order.accept_until_unix));
  Json keys = Json::array();
  for (const auto& signature : shown.envelope.signatures) keys.push(signature.key_id);
  json.set("key_ids", std::move(keys));
  json.set("verifies", shown.verdict ? Json(shown.verdict->ok()) : Json());
  const bool refused = shown.verdict && !shown.verdict->ok();
  json.set("fault", refused ? Json(shown.verdict->status().to_string()) : Json());
  json.set("signed_by", shown.signers);
  put_json(json);
}

void put_shown(const Shown& shown) {
  const order::Order& order = shown.order;
  put_line(fmt::format("order {}  {}", order.hash_hex(), describe(order)));
  put_line(fmt::format("  of authority '{}', number {}, issued {}", order.authority, order.number,
                       time_of(order.issued_unix)));
  if (order.quiet_seconds > 0) put_line(fmt::format("  quiet within {} s", order.quiet_seconds));
  if (order.grace == order::Grace::none) put_line("  nothing may be saved before the ranks end");
  if (order.grace == order::Grace::hold) put_line("  ranks wait with everything in memory");
  for (const sign::Digest& hash : order.lifts) put_line("  ends " + sign::to_hex(hash));
  if (order.accept_until_unix != 0) {
    put_line("  to be seen until " + time_of(order.accept_until_unix));
  }
  for (const auto& signature : shown.envelope.signatures) {
    put_line("  signature by key " + (signature.key_id.empty() ? "?" : signature.key_id));
  }
  if (!shown.verdict) {
    put_line("  not verified: give --authority DIR");
  } else if (shown.verdict->ok()) {
    put_line("  verifies: signed by " + shown.signers);
  }
}

int show(const ShowWords& words) {
  const auto shown = find_shown(words);
  if (!shown.ok()) return fail("order show", shown.status());
  words.json ? put_shown_json(*shown) : put_shown(*shown);
  const bool refused = shown->verdict && !shown->verdict->ok();
  return refused ? fail(words.order, shown->verdict->status()) : kYes;
}

// ---- sign, send -----------------------------------------------------------------------------

struct SignWords {
  std::string file;
  std::vector<std::string> keys;
  bool json = false;
};

int sign_order(const SignWords& words) {
  if (words.keys.empty()) {
    return fail("order sign", {Code::invalid_argument, "--key is required", "give a .key file"});
  }
  auto envelope = read_draft(words.file, order::kOrderType);
  if (!envelope.ok()) return fail("order sign", envelope.status());
  const auto keys = read_secret_keys(words.keys);
  if (!keys.ok()) return fail("order sign", keys.status());
  for (const sign::NamedSecretKey& key : *keys) {
    const auto signed_already =
        sign::verify_envelope(*envelope, order::kOrderType, {key.key.public_key()}, 1);
    if (!signed_already.ok()) sign::add_signature(*envelope, key.key);
  }
  return put_draft("order sign", words.file, *envelope, words.json);
}

struct SendWords {
  std::string file;
  std::optional<std::string> authority;
  WaitWords wait;
};

int send(const SendWords& words) {
  const auto envelope = read_draft(words.file, order::kOrderType);
  if (!envelope.ok()) return fail("order send", envelope.status());
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail("order send", authority.status());
  return deliver("order send", *authority, *envelope, words.wait);
}

void add_show(const Verb& group) {
  const Verb verb = group.verb("show", "What an order says, who signed it, whether it verifies");
  auto words = std::make_shared<ShowWords>();
  verb.needs("ORDER", words->order, "A file, or the first digits of an order's hash");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.flag("--json", words->json, "As JSON");
  verb.footer("Example:\n  account order show 1f00ba5e --authority /srv/acme");
  verb.does([words] { return show(*words); });
}

void add_order_sign(const Verb& group) {
  const Verb verb = group.verb("sign", "Adds signatures to an order that is not delivered yet");
  auto words = std::make_shared<SignWords>();
  verb.needs("FILE", words->file, "What --draft wrote");
  verb.takes_many("--key", words->keys, "A .key file; may be repeated");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Read what it says first: account order show FILE.\n\n"
      "Example:\n"
      "  account order sign lift.json --key cto.key");
  verb.does([words] { return sign_order(*words); });
}

void add_send(const Verb& group) {
  const Verb verb = group.verb("send", "Delivers an order that was signed elsewhere");
  auto words = std::make_shared<SendWords>();
  verb.needs("FILE", words->file, "The signed order");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  add_wait_options(verb, words->wait);
  verb.footer("Example:\n  account order send stop.json --authority /srv/acme");
  verb.does([words] { return send(*words); });
}

}  // namespace

void add_order(const Verb& program) {
  const Verb group = program.verb("order", "Look at orders; sign and send them from elsewhere");
  group.footer("Example:\n  account order why account/my-run");
  add_show(group);
  add_order_why(group);
  add_order_dossier(group);
  add_order_unlock(group);
  add_order_sign(group);
  add_send(group);
}

}  // namespace account::cli
