// What the verbs of the stop share: authorities, keys, orders that are named by a few digits of
// their hash, and envelopes that are still to be signed. Errors name the word and the next step.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "order/authority.h"
#include "sign/sign.h"

namespace account::cli {

// The first digits of an order's hash, as people see them.
std::string short_hash(const sign::Digest& hash);

// A whole number within limits.
Result<int64_t> parse_whole(std::string_view option, const std::string& text, int64_t least,
                            int64_t most);

// .pub and .key files. Each says so where it is given the other kind.
Result<std::vector<sign::NamedPublicKey>> read_public_keys(const std::vector<std::string>& paths);
Result<std::vector<sign::NamedSecretKey>> read_secret_keys(const std::vector<std::string>& paths);
bool holds(const std::vector<sign::PublicKey>& keys, const sign::PublicKey& key);

// An authority as its directory has it now.
struct OpenAuthority {
  order::AuthorityDirectory directory;
  order::RootChain chain;
  std::map<sign::Digest, order::Verified> orders;  // those that verify
  std::vector<order::Refused> refused;             // the rest
  std::vector<order::Receipt> receipts;            // of this authority

  int64_t next_number() const;
  // Names of the keys' holders, as the roots have them: "'alice', 'bob'".
  std::string names_of(const std::vector<sign::PublicKey>& keys) const;
};
// Fails where it cannot be read or its roots do not verify. Not named: ACCOUNT_AUTHORITY.
Result<OpenAuthority> open_authority(const std::optional<std::string>& named);

// The one order whose hash begins with these digits, among orders and receipts.
Result<sign::Digest> find_order(const OpenAuthority& authority, const std::string& prefix);

// An envelope on its way from signer to signer: as in a finished one, but perhaps without any
// signature yet. `what` is the payload type that it must be of.
Result<sign::Envelope> read_draft(const std::string& path, std::string_view what);
Status write_draft(const std::string& path, const sign::Envelope& envelope);

// 32 random hex digits.
std::string new_nonce();

// A line in the authority's log (order/authority_log.h). Where it cannot be written, that is said,
// and nothing else comes of it.
void note_in_log(const order::AuthorityDirectory& directory, std::string_view what, Json facts);

}  // namespace account::cli
