// `account lift`: permits the restart of what a stop stopped. `account resume`: ends pauses.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_unlock.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "order/standing.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000, kSecondsPerHour = 3'600;
constexpr int64_t kMaxHours = 8'784;  // a leap year

struct LiftWords {
  order::Action action = order::Action::lift;
  bool resumes() const { return action == order::Action::resume; }
  std::string verb() const { return std::string(order::name(action)); }
  std::vector<std::string> orders, keys;
  std::string because, ordered_by;
  std::optional<std::string> authority, valid_hours, draft;
  std::optional<std::string> open, recovery;
  bool all_standing = false, json = false;
};

int64_t now_unix() { return Clock::real().unix_ns() / kNanoseconds; }

// What stands of the authority's own orders, were a job to start that obeys it alone; for a resume,
// of its pauses.
std::vector<sign::Digest> standing_of(const LiftWords& words, const OpenAuthority& authority) {
  std::vector<order::Found> found;
  for (const auto& [hash, verified] : authority.orders) {
    found.push_back({short_hash(hash), verified.envelope});
  }
  order::StandingInput input;
  input.authorities.push_back({authority.chain, std::move(found), {}});
  input.now_unix = now_unix();
  std::vector<sign::Digest> hashes;
  for (const order::StandingStop& stop : order::judge_standing(input).stops) {
    if (words.resumes() && stop.action() != order::Action::pause) continue;
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
    const bool is_known = known != authority.orders.end();
    const order::Action action = is_known ? known->second.order.action : order::Action::stop;
    if (order::ends_others(action) || action == order::Action::rehearse) {
      return Status(Code::invalid_argument,
                    fmt::format("order {} is a {}", prefix, order::name(action)),
                    "name the stops that are to be lifted");
    }
    if (words.resumes() && action != order::Action::pause) {
      return Status(Code::invalid_argument, fmt::format("order {} is no pause", prefix),
                    "a stop ends with a lift: account lift");
    }
    if (std::find(hashes.begin(), hashes.end(), hash) == hashes.end()) hashes.push_back(hash);
  }
  return hashes;
}

Result<std::vector<sign::Digest>> stops_to_lift(const LiftWords& words,
                                                const OpenAuthority& authority) {
  if (words.orders.empty() == !words.all_standing) {
    return Status(Code::invalid_argument,
                  words.all_standing
                      ? "orders are named beside --all-standing"
                      : fmt::format("no {} is named", words.resumes() ? "pause" : "stop"),
                  "give the first digits of the orders' hashes, or --all-standing");
  }
  ACCOUNT_ASSIGN_OR_RETURN(std::vector<sign::Digest> hashes, named_stops(words, authority));
  if (words.all_standing) hashes = standing_of(words, authority);
  if (hashes.empty()) {
    return Status(Code::not_found,
                  fmt::format("no {} of this authority stands", words.resumes() ? "pause" : "stop"),
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
  order.action = words.action;
  ACCOUNT_ASSIGN_OR_RETURN(order.lifts, stops_to_lift(words, authority));
  ACCOUNT_ASSIGN_OR_RETURN(
      const int64_t hours,
      parse_whole("--valid-hours", words.valid_hours.value_or("72"), 1, kMaxHours));
  order.authority = authority.chain.authority();
  order.root_version = root.version;
  order.number = authority.next_number();
  order.issued_unix = now_unix();
  if (!words.resumes()) {
    order.accept_until_unix = order.issued_unix + hours * kSecondsPerHour;
  }
  order.nonce = new_nonce();
  order.reason = words.because;
  order.ordered_by = words.ordered_by;
  return order::write_order(order);
}

// A lift by lift keys and no other, and by enough of them where it is to be delivered; a resume by
// a stop key.
Status sign_lift(const LiftWords& words, const OpenAuthority& authority, sign::Envelope& envelope) {
  const order::Role& lift = authority.chain.newest().lift;
  const std::vector<sign::PublicKey> role =
      words.resumes() ? authority.chain.stop_keys() : lift.keys;
  const size_t needed = words.resumes() ? 1 : static_cast<size_t>(lift.threshold);
  const char* role_name = words.resumes() ? "stop" : "lift";
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_secret_keys(words.keys));
  std::vector<sign::PublicKey> signers;
  for (const sign::NamedSecretKey& key : keys) {
    const sign::PublicKey& open = key.key.public_key();
    if (!holds(role, open)) {
      return {Code::unverified,
              fmt::format("key '{}' is no {} key of authority '{}'", key.name, role_name,
                          authority.chain.authority()),
              fmt::format("its {} keys are held by {}", role_name, authority.names_of(role))};
    }
    if (holds(signers, open)) continue;
    signers.push_back(open);
    sign::add_signature(envelope, key.key);
  }
  if (!words.draft && signers.size() < needed) {
    return {Code::unverified,
            fmt::format("{} of the {} {} keys that are needed", signers.size(), needed, role_name),
            "repeat --key, or use --draft FILE and `account order sign` where the others are"};
  }
  return {};
}

int lift(const LiftWords& words) {
  if (words.open && (!words.recovery || words.draft)) {
    return fail(words.verb(), {Code::invalid_argument, "--open opens as the lift is delivered",
                               "give it with --recovery KEY.key, and without --draft"});
  }
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail(words.verb(), authority.status());
  const auto payload = payload_of(words, *authority);
  if (!payload.ok()) return fail(words.verb(), payload.status());
  sign::Envelope envelope{std::string(order::kOrderType), *payload, {}};
  const Status done = sign_lift(words, *authority, envelope);
  if (!done.ok()) return fail(words.verb(), done);
  if (words.draft) return put_draft(words.verb(), *words.draft, envelope, words.json);
  // First what may fail: opening permits no start.
  if (words.open) {
    UnlockWords unlock;
    unlock.path = *words.open;
    unlock.recovery = *words.recovery;
    unlock.quiet = words.json;
    if (const int opened = unlock_files(unlock); opened != kYes) return opened;
  }
  WaitWords wait;
  wait.json = words.json;
  return deliver(words.verb(), *authority, envelope, wait);
}

// The words that both have.
Verb add(const Verb& program, order::Action action, const std::string& summary,
         const std::shared_ptr<LiftWords>& words) {
  words->action = action;
  const std::string what = words->resumes() ? "pause" : "stop";
  const Verb verb = program.verb(words->verb(), summary);
  verb.takes_words("ORDER", words->orders,
                   "First digits of the hash of a " + what + "; may be repeated");
  verb.flag("--all-standing", words->all_standing,
            "All " + what + "s of the authority that stand now");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.takes_many(
      "--key", words->keys,
      words->resumes() ? "A stop key's .key file" : "A lift key's .key file; repeat it");
  verb.takes("--because", words->because, "The reason");
  verb.takes("--ordered-by", words->ordered_by, "Who decided it");
  verb.takes("--draft", words->draft, "Write the order to this file, and deliver nothing");
  verb.flag("--json", words->json, "As JSON");
  verb.does([words] { return lift(*words); });
  return verb;
}

}  // namespace

void add_lift(const Verb& program) {
  auto words = std::make_shared<LiftWords>();
  const Verb verb =
      add(program, order::Action::lift, "Lifts stops: permits a restart, restarts nothing", words);
  verb.takes("--valid-hours", words->valid_hours,
             "Hours in which a run must see it (default 72); once accepted it holds");
  verb.takes("--open", words->open,
             "Folder or file that a stop let ranks save: opened too, with --recovery");
  verb.takes("--recovery", words->recovery, "A recovery key's .key file");
  verb.footer(
      "Needs as many lift keys as the root says, at least two. What it does not name stands.\n\n"
      "Example:\n"
      "  account lift 1f00ba5e --authority /srv/acme --key ceo.key --key cto.key \\\n"
      "    --because 'evaluation 13 passed'");
}

void add_resume(const Verb& program) {
  const Verb verb = add(program, order::Action::resume, "Ends pauses: jobs that wait go on",
                        std::make_shared<LiftWords>());
  verb.footer(
      "One stop key is enough. A stop is no pause: it ends with `account lift`.\n\n"
      "Example:\n"
      "  account resume 1f00ba5e --authority /srv/acme --key me.key");
}

}  // namespace account::cli
