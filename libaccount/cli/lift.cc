// `account lift`: permits the restart of what a stop stopped.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "order/standing.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000, kSecondsPerHour = 3'600;
constexpr int64_t kMaxHours = 8'784;  // a leap year

struct LiftWords {
  std::vector<std::string> orders, keys;
  std::string because, ordered_by;
  std::optional<std::string> authority, valid_hours, draft;
  bool all_standing = false, json = false;
};

int64_t now_unix() { return Clock::real().unix_ns() / kNanoseconds; }

// What stands of the authority's own orders, were a job to start that obeys it alone.
std::vector<sign::Digest> standing_of(const OpenAuthority& authority) {
  std::vector<order::Found> found;
  for (const auto& [hash, verified] : authority.orders) {
    found.push_back({short_hash(hash), verified.envelope});
  }
  order::StandingInput input;
  input.authorities.push_back({authority.chain, std::move(found), {}});
  input.now_unix = now_unix();
  std::vector<sign::Digest> hashes;
  for (const order::StandingStop& stop : order::judge_standing(input).stops) {
    hashes.push_back(stop.order);
  }
  return hashes;
}

Result<std::vector<sign::Digest>> named_stops(const LiftWords& words,
                                              const OpenAuthority& authority) {
  std::vector<sign::Digest> hashes;
  for (const std::string& prefix : words.orders) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::Digest hash, find_order(authority, prefix));
    const auto known = authority.orders.find(hash);
    if (known != authority.orders.end() && known->second.order.action == order::Action::lift) {
      return Status(Code::invalid_argument, fmt::format("order {} is a lift", prefix),
                    "name the stops that are to be lifted");
    }
    if (std::find(hashes.begin(), hashes.end(), hash) == hashes.end()) hashes.push_back(hash);
  }
  return hashes;
}

Result<std::vector<sign::Digest>> stops_to_lift(const LiftWords& words,
                                                const OpenAuthority& authority) {
  if (words.orders.empty() == !words.all_standing) {
    return Status(Code::invalid_argument,
                  words.all_standing ? "stops are named beside --all-standing" : "no stop is named",
                  "give the first digits of the orders' hashes, or --all-standing");
  }
  ACCOUNT_ASSIGN_OR_RETURN(std::vector<sign::Digest> hashes, named_stops(words, authority));
  if (words.all_standing) hashes = standing_of(authority);
  if (hashes.empty()) {
    return Status(Code::not_found, "no stop of this authority stands",
                  "name one by its hash if a job says that it does");
  }
  if (hashes.size() > order::kMaxLifted) {
    return Status(
        Code::invalid_argument,
        fmt::format("a lift names at most {} stops, not {}", order::kMaxLifted, hashes.size()),
        "lift them in several orders");
  }
  return hashes;
}

Result<std::string> payload_of(const LiftWords& words, const OpenAuthority& authority) {
  const order::Root& root = authority.chain.newest();
  if (root.expired(now_unix())) {
    return Status(Code::expired, "the authority's root is expired: it still stops, lifts nothing",
                  "make the next one first: account root next");
  }
  order::Order order;
  order.action = order::Action::lift;
  ACCOUNT_ASSIGN_OR_RETURN(order.lifts, stops_to_lift(words, authority));
  ACCOUNT_ASSIGN_OR_RETURN(
      const int64_t hours,
      parse_whole("--valid-hours", words.valid_hours.value_or("72"), 1, kMaxHours));
  order.authority = authority.chain.authority();
  order.root_version = root.version;
  order.number = authority.next_number();
  order.issued_unix = now_unix();
  order.accept_until_unix = order.issued_unix + hours * kSecondsPerHour;
  order.nonce = new_nonce();
  order.reason = words.because;
  order.ordered_by = words.ordered_by;
  return order::write_order(order);
}

// By lift keys and no other, and by enough of them where it is to be delivered.
Status sign_lift(const LiftWords& words, const OpenAuthority& authority, sign::Envelope& envelope) {
  const order::Role& role = authority.chain.newest().lift;
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_secret_keys(words.keys));
  std::vector<sign::PublicKey> signers;
  for (const sign::NamedSecretKey& key : keys) {
    const sign::PublicKey& open = key.key.public_key();
    if (!holds(role.keys, open)) {
      return {Code::unverified,
              fmt::format("key '{}' is no lift key of authority '{}'", key.name,
                          authority.chain.authority()),
              "its lift keys are held by " + authority.names_of(role.keys)};
    }
    if (holds(signers, open)) continue;
    signers.push_back(open);
    sign::add_signature(envelope, key.key);
  }
  if (!words.draft && signers.size() < static_cast<size_t>(role.threshold)) {
    return {Code::unverified,
            fmt::format("{} of the {} lift keys that are needed", signers.size(), role.threshold),
            "repeat --key, or use --draft FILE and `account order sign` where the others are"};
  }
  return {};
}

int lift(const LiftWords& words) {
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail("lift", authority.status());
  const auto payload = payload_of(words, *authority);
  if (!payload.ok()) return fail("lift", payload.status());
  sign::Envelope envelope{std::string(order::kOrderType), *payload, {}};
  const Status done = sign_lift(words, *authority, envelope);
  if (!done.ok()) return fail("lift", done);
  if (words.draft) return put_draft("lift", *words.draft, envelope, words.json);
  WaitWords wait;
  wait.json = words.json;
  return deliver("lift", *authority, envelope, wait);
}

}  // namespace

void add_lift(const Verb& program) {
  const Verb verb = program.verb("lift", "Lifts stops: permits a restart, restarts nothing");
  auto words = std::make_shared<LiftWords>();
  verb.takes_words("ORDER", words->orders, "First digits of the hash of a stop; may be repeated");
  verb.flag("--all-standing", words->all_standing, "All stops of the authority that stand now");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.takes_many("--key", words->keys, "A lift key's .key file; repeat it");
  verb.takes("--because", words->because, "The reason");
  verb.takes("--ordered-by", words->ordered_by, "Who decided it");
  verb.takes("--valid-hours", words->valid_hours,
             "Hours in which a run must see it (default 72); once accepted it holds");
  verb.takes("--draft", words->draft, "Write the lift to this file, and deliver nothing");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Needs as many lift keys as the root says, at least two. What it does not name stands.\n\n"
      "Example:\n"
      "  account lift 1f00ba5e --authority /srv/acme --key ceo.key --key cto.key \\\n"
      "    --because 'evaluation 13 passed'");
  verb.does([words] { return lift(*words); });
}

}  // namespace account::cli
