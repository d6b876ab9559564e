// Leases: a job that was started under one trains until its end and no longer, unless a newer one
// is there by then. libaccount/doc/lease_format.md.
//
// Pure: no file, no clock. When a job asks for leases, and what becomes of one without, is
// keeper/leases.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "order/root.h"
#include "order/standing.h"
#include "order/traits.h"
#include "sign/sign.h"

namespace account::order {

inline constexpr std::string_view kLeaseType = "application/vnd.account.lease.v1+json";
inline constexpr uint64_t kMaxLeaseBytes = uint64_t{64} * 1024;     // of the envelope
inline constexpr int64_t kMaxLeaseSeconds = int64_t{366} * 86'400;  // a leap year

struct Lease {
  std::string authority;
  int64_t root_version = 0;  // whose lease keys sign
  int64_t number = 0;        // from 1 on; of those about a job the highest counts
  int64_t issued_unix = 0;
  int64_t expires_unix = 0;  // at that second it is over
  Scope scope;

  // Set by reading.
  sign::Digest hash{};
  std::string hash_hex() const { return sign::to_hex(hash); }
};

// The payload to sign; refuses what parse_lease would.
Result<std::string> write_lease(const Lease& lease);
// The meaning of a payload whose signatures somebody else checks; to the letter.
Result<Lease> parse_lease(std::string_view payload);

struct VerifiedLease {
  Lease lease;
  std::string place;     // where it was found
  std::string envelope;  // the bytes as they came
  std::vector<sign::PublicKey> signers;
};

// Length, envelope, signatures, and only then the payload's meaning. Needs the threshold of the
// newest root's lease keys, and no other signature. corrupt: mangled, oversize or unknown;
// unverified: foreign, by too few, of another authority, or there are no lease keys; replayed: of
// an earlier root.
Result<VerifiedLease> verify_lease(const Found& found, const RootChain& chain);

struct LeaseChoice {
  std::optional<VerifiedLease> newest;  // perhaps over: whoever asks holds it against the clock
  std::vector<Refused> refused;
};
// Of what was found, the lease about `job` with the highest number; of two with one number the one
// that is over first. None below `least_number`: replayed. Under an expired root none: expired.
// One that is issued more than kClockSkewSeconds ahead is passed over until then.
LeaseChoice newest_lease(const RootChain& chain, const std::vector<Found>& found, const Traits& job,
                         int64_t now_unix, int64_t least_number);

}  // namespace account::order
