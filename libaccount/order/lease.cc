// Leases: writing, reading, verifying, and which one counts.
#include "order/lease.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "order/fields.h"

namespace account::order {
namespace {

constexpr std::string_view kFormat = "account-lease/1";

Status fault(std::string what) { return {Code::corrupt, std::move(what)}; }

bool is_newer(const Lease& one, const Lease& other) {
  if (one.number != other.number) return one.number > other.number;
  return one.expires_unix < other.expires_unix;
}

}  // namespace

Result<std::string> write_lease(const Lease& lease) {
  std::string payload = Json::object({{"format", kFormat},
                                      {"authority", lease.authority},
                                      {"root_version", lease.root_version},
                                      {"number", lease.number},
                                      {"issued", time_text(lease.issued_unix)},
                                      {"expires", time_text(lease.expires_unix)},
                                      {"scope", to_json(lease.scope)}})
                            .dump();
  ACCOUNT_RETURN_IF_ERROR(parse_lease(payload).status());
  return payload;
}

Result<Lease> parse_lease(std::string_view payload) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(payload, kMaxLeaseBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) {
    return fault(fmt::format("format '{}', not '{}'", format.substr(0, 40), kFormat));
  }
  ACCOUNT_RETURN_IF_ERROR(document.only_members(
      {"format", "authority", "root_version", "number", "issued", "expires", "scope"}));
  Lease lease;
  ACCOUNT_ASSIGN_OR_RETURN(lease.authority, document.get_string("authority"));
  ACCOUNT_RETURN_IF_ERROR(check_name(lease.authority, "an authority"));
  ACCOUNT_ASSIGN_OR_RETURN(lease.root_version, document.get_integer("root_version"));
  ACCOUNT_ASSIGN_OR_RETURN(lease.number, document.get_integer("number"));
  if (lease.root_version < 1 || lease.number < 1) {
    return fault("the numbers of a lease begin with 1");
  }
  ACCOUNT_ASSIGN_OR_RETURN(lease.issued_unix, get_time(document, "issued"));
  ACCOUNT_ASSIGN_OR_RETURN(lease.expires_unix, get_time(document, "expires"));
  const int64_t seconds = lease.expires_unix - lease.issued_unix;
  if (seconds < 1 || seconds > kMaxLeaseSeconds) {
    return fault(fmt::format("a lease is for 1 to {} s, not {}", kMaxLeaseSeconds, seconds));
  }
  const Json* scope = document.find("scope");
  if (scope == nullptr) return fault("member 'scope' is missing");
  ACCOUNT_ASSIGN_OR_RETURN(lease.scope, scope_from_json(*scope));
  lease.hash = sign::sha256(payload);
  return lease;
}

Result<VerifiedLease> verify_lease(const Found& found, const RootChain& chain) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_envelope(found.bytes, kMaxLeaseBytes));
  const Root& root = chain.newest();
  if (!root.lease) {
    return Status(Code::unverified,
                  fmt::format("the root of authority '{}' names no lease keys", chain.authority()));
  }
  auto signers =
      sign::verify_envelope(envelope, kLeaseType, root.lease->keys, root.lease->threshold);
  if (!signers.ok()) {
    return signers.status().with_context(
        fmt::format("not by the lease keys of authority '{}'", chain.authority()));
  }
  if (signers->size() != envelope.signatures.size()) {
    return Status(Code::unverified,
                  "a lease carries a signature that is not by one of its lease keys");
  }
  VerifiedLease verified;
  ACCOUNT_ASSIGN_OR_RETURN(verified.lease, parse_lease(envelope.payload));
  if (verified.lease.authority != chain.authority()) {
    return Status(Code::unverified, fmt::format("a lease of authority '{}' at authority '{}'",
                                                verified.lease.authority, chain.authority()));
  }
  if (verified.lease.root_version != root.version) {
    return Status(Code::replayed, fmt::format("a lease under root version {}; the root is at {}",
                                              verified.lease.root_version, root.version));
  }
  verified.place = found.place;
  verified.envelope = found.bytes;
  verified.signers = std::move(signers).value();
  return verified;
}

LeaseChoice newest_lease(const RootChain& chain, const std::vector<Found>& found, const Traits& job,
                         int64_t now_unix, int64_t least_number) {
  LeaseChoice choice;
  for (const Found& one : found) {
    auto verified = verify_lease(one, chain);
    if (!verified.ok()) {
      choice.refused.push_back({one.place, verified.status()});
      continue;
    }
    const Lease& lease = verified->lease;
    const bool counts =
        covers(lease.scope, job) && lease.issued_unix <= now_unix + kClockSkewSeconds;
    if (!counts || (choice.newest && !is_newer(lease, choice.newest->lease))) continue;
    choice.newest = std::move(verified).value();
  }
  if (!choice.newest) return choice;
  Status why;
  const int64_t number = choice.newest->lease.number;
  if (number < least_number) {
    why = {Code::replayed,
           fmt::format("lease number {} after number {} was seen", number, least_number)};
  } else if (chain.newest().expired(now_unix)) {
    why = {Code::expired,
           fmt::format("the root expired at {}, and renews nothing",
                       time_text(chain.newest().expires_unix)),
           "the authority has to publish its next root"};
  }
  if (why.ok()) return choice;
  choice.refused.push_back({choice.newest->place, std::move(why)});
  choice.newest.reset();
  return choice;
}

}  // namespace account::order
