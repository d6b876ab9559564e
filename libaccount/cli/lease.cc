// `account lease renew|show`: for how long jobs that ask for a lease may train.
#include "order/lease.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/target.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

int64_t now_unix() { return Clock::real().unix_ns() / kNanoseconds; }
std::string time_of(int64_t unix_seconds) { return to_iso8601(unix_seconds * kNanoseconds); }

// "90s", "30m", "24h", "7d".
Result<int64_t> parse_duration(std::string_view option, const std::string& text) {
  static const std::map<char, int64_t> kUnits = {{'s', 1}, {'m', 60}, {'h', 3'600}, {'d', 86'400}};
  const char* const end = text.data() + text.size();
  int64_t count = 0;
  const auto [unit, error] = std::from_chars(text.data(), end, count);
  const bool has_unit = error == std::errc() && end - unit == 1 && kUnits.contains(*unit);
  const int64_t most = has_unit ? order::kMaxLeaseSeconds / kUnits.at(*unit) : 0;
  if (!has_unit || count < 1 || count > most) {
    return Status(Code::invalid_argument, fmt::format("{}: '{}' is no time", option, text),
                  "give a number with s, m, h or d, such as 24h; 366d at most");
  }
  return count * kUnits.at(*unit);
}

// ---- what the authority has --------------------------------------------------------------------

struct Leases {
  std::vector<order::VerifiedLease> all;  // by number
  std::vector<order::Refused> refused;
};

Result<Leases> read_leases(const OpenAuthority& authority) {
  Leases leases;
  ACCOUNT_ASSIGN_OR_RETURN(const auto found, authority.directory.read_leases(leases.refused));
  for (const order::Found& one : found) {
    auto lease = order::verify_lease(one, authority.chain);
    if (lease.ok()) {
      leases.all.push_back(std::move(lease).value());
    } else {
      leases.refused.push_back({one.place, lease.status()});
    }
  }
  std::ranges::sort(leases.all, {}, [](const auto& one) { return one.lease.number; });
  return leases;
}

Json lease_json(const order::VerifiedLease& one, bool in_force) {
  const order::Lease& lease = one.lease;
  return Json::object({{"lease", lease.hash_hex()},
                       {"number", lease.number},
                       {"scope", order::to_json(lease.scope)},
                       {"issued", time_of(lease.issued_unix)},
                       {"expires", time_of(lease.expires_unix)},
                       {"in_force", in_force},
                       {"place", one.place}});
}

// ---- renew -------------------------------------------------------------------------------------

struct RenewWords {
  std::string target, duration;
  std::optional<std::string> authority;
  std::vector<std::string> keys;
  bool json = false;
};

Result<order::Lease> lease_from(const RenewWords& words, const OpenAuthority& authority) {
  const order::Root& root = authority.chain.newest();
  if (root.expired(now_unix())) {
    return Status(Code::expired, "the authority's root is expired: it renews nothing",
                  "make the next one first: account root next");
  }
  if (!root.lease) {
    return Status(Code::invalid_argument, "the authority's root names no lease keys",
                  "make one that does: account root next DIR --lease KEY.pub");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t seconds, parse_duration("--for", words.duration));
  ACCOUNT_ASSIGN_OR_RETURN(const Target target, parse_target(words.target));
  ACCOUNT_ASSIGN_OR_RETURN(const Leases leases, read_leases(authority));
  order::Lease lease;
  lease.authority = authority.chain.authority();
  lease.root_version = root.version;
  lease.number = leases.all.empty() ? 1 : leases.all.back().lease.number + 1;
  lease.issued_unix = now_unix();
  lease.expires_unix = lease.issued_unix + seconds;
  lease.scope = target.scope;
  return lease;
}

Result<sign::Envelope> sign_lease(const RenewWords& words, const OpenAuthority& authority,
                                  const order::Lease& lease) {
  const order::Role& role = *authority.chain.newest().lease;
  ACCOUNT_ASSIGN_OR_RETURN(std::string payload, order::write_lease(lease));
  sign::Envelope envelope{std::string(order::kLeaseType), std::move(payload), {}};
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_secret_keys(words.keys));
  std::vector<sign::PublicKey> signers;
  for (const sign::NamedSecretKey& key : keys) {
    const sign::PublicKey& open = key.key.public_key();
    if (!holds(role.keys, open)) {
      return Status(Code::unverified,
                    fmt::format("key '{}' is no lease key of authority '{}'", key.name,
                                authority.chain.authority()),
                    "its lease keys are held by " + authority.names_of(role.keys));
    }
    if (holds(signers, open)) continue;
    signers.push_back(open);
    sign::add_signature(envelope, key.key);
  }
  if (signers.size() < static_cast<size_t>(role.threshold)) {
    return Status(
        Code::unverified,
        fmt::format("{} of the {} lease keys that are needed", signers.size(), role.threshold),
        "repeat --key");
  }
  return envelope;
}

int renew(const RenewWords& words) {
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail("lease renew", authority.status());
  const auto lease = lease_from(words, *authority);
  if (!lease.ok()) return fail("lease renew", lease.status());
  const auto envelope = sign_lease(words, *authority, *lease);
  if (!envelope.ok()) return fail("lease renew", envelope.status());
  auto published = authority->directory.publish_lease(*envelope);
  if (!published.ok()) return fail("lease renew", published.status());
  const std::string hash = published->lease.hash_hex();
  const std::string about = order::to_string(lease->scope), expires = time_of(lease->expires_unix);
  note_in_log(authority->directory, "lease",
              Json::object({{"lease", hash}, {"about", about}, {"expires", expires}}));
  if (words.json) {
    put_json(lease_json(*published, true));
  } else {
    put_line(fmt::format("lease {} of {}, until {}", lease->number, about, expires));
  }
  return kYes;
}

// ---- show --------------------------------------------------------------------------------------

struct ShowWords {
  std::optional<std::string> authority;
  bool json = false;
};

// The highest number of its scope, and not over.
bool is_in_force(const order::VerifiedLease& one, const Leases& leases) {
  const std::string scope = order::to_string(one.lease.scope);
  const bool superseded = std::ranges::any_of(leases.all, [&](const auto& other) {
    return other.lease.number > one.lease.number && order::to_string(other.lease.scope) == scope;
  });
  return !superseded && one.lease.expires_unix > now_unix();
}

void put_lease(const order::VerifiedLease& one, const Leases& leases,
               const OpenAuthority& authority) {
  const order::Lease& lease = one.lease;
  put_line(fmt::format("lease {} of {}: {} {}, by {}", lease.number, order::to_string(lease.scope),
                       is_in_force(one, leases) ? "until" : "over or superseded,",
                       time_of(lease.expires_unix), authority.names_of(one.signers)));
}

int show(const ShowWords& words) {
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail("lease show", authority.status());
  const auto leases = read_leases(*authority);
  if (!leases.ok()) return fail("lease show", leases.status());
  if (words.json) {
    Json all = Json::array(), refused = Json::array();
    for (const auto& one : leases->all) all.push(lease_json(one, is_in_force(one, *leases)));
    for (const order::Refused& one : leases->refused) {
      refused.push(Json::object({{"place", one.place}, {"fault", one.why.to_string()}}));
    }
    put_json(Json::object({{"authority", authority->chain.authority()},
                           {"leases", std::move(all)},
                           {"refused", std::move(refused)}}));
    return kYes;
  }
  for (const auto& one : leases->all) put_lease(one, *leases, *authority);
  for (const order::Refused& one : leases->refused) {
    put_line(fmt::format("{} is no lease: {}", one.place, one.why.to_string()));
  }
  if (leases->all.empty()) {
    say(fmt::format("account: lease show: authority '{}' has no lease",
                    authority->chain.authority()));
  }
  return kYes;
}

void add_renew(const Verb& group) {
  const Verb verb = group.verb("renew", "Lets jobs train until then, and no longer");
  auto words = std::make_shared<RenewWords>();
  verb.needs("TARGET", words->target, kTargetHelp);
  verb.needs("--for", words->duration, "How long from now on: 90s, 30m, 24h, 7d");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.takes_many("--key", words->keys, "A lease key's .key file; may be repeated");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Of the leases about a job the one with the highest number counts, longer or shorter.\n\n"
      "Example:\n"
      "  account lease renew all --for 24h --authority /srv/acme --key clerk.key");
  verb.does([words] { return renew(*words); });
}

void add_show(const Verb& group) {
  const Verb verb = group.verb("show", "The leases of an authority, and until when they are");
  auto words = std::make_shared<ShowWords>();
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.flag("--json", words->json, "As JSON");
  verb.footer("Example:\n  account lease show --authority /srv/acme");
  verb.does([words] { return show(*words); });
}

}  // namespace

void add_lease(const Verb& program) {
  const Verb group = program.verb("lease", "For how long jobs under a lease may train");
  group.footer("Example:\n  account lease renew all --for 24h --authority /srv/acme --key me.key");
  add_renew(group);
  add_show(group);
}

}  // namespace account::cli
