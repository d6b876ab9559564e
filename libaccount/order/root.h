// An authority's root: who may stop, who may lift, and who may change that.
// libaccount/doc/root_format.md.
//
// A chain of root documents, each signed by its own root keys and, from the second on, by those of
// the one before. Who holds a RootChain holds verified documents only. Pure: no file, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "sign/sign.h"

namespace account::order {

inline constexpr std::string_view kRootType = "application/vnd.account.root.v1+json";
inline constexpr uint64_t kMaxRootBytes = uint64_t{64} * 1024;  // of the envelope
inline constexpr int64_t kMaxQuietSeconds = 86'400;             // a day

struct Role {
  std::vector<sign::PublicKey> keys;  // distinct
  int threshold = 1;                  // of distinct keys
};

struct Root {
  struct Key {
    std::string holder;  // for people
    sign::PublicKey key;
  };
  std::string authority;
  int64_t version = 1;
  int64_t issued_unix = 0;
  int64_t expires_unix = 0;
  std::vector<Key> keys;
  Role root, stop, lift;
  std::optional<Role> lease;
  std::optional<Role> recovery;      // any one opens what a stop let its ranks save
  int64_t max_quiet_seconds = 600;   // caps a stop's quiet_seconds
  std::string protocol_sha256;       // of the authority's shutdown protocol; may be empty
  std::vector<std::string> revoked;  // ids of stop keys of earlier versions that count no more
  sign::Digest hash{};               // SHA-256 of the payload; set by reading

  bool expired(int64_t now_unix) const { return now_unix >= expires_unix; }
  std::string holder_of(const sign::PublicKey& key) const;  // its name, else its id
};

// The payload to sign. invalid_argument or corrupt where parse_root would refuse it.
Result<std::string> write_root(const Root& root);
// The meaning of a payload whose signatures somebody else checks.
Result<Root> parse_root(std::string_view payload);

// What a person should think over before signing ("one person can lift alone", ...); may be empty.
std::vector<std::string> root_warnings(const Root& root);
// What the loss of one single key would take from the authority for good; may be empty.
std::vector<std::string> root_frailties(const Root& root);

class RootChain {
 public:
  // Verifies envelopes of versions 1, 2, ...: `pin` (lower-case hex SHA-256 of the first payload,
  // or empty) names the first. A later version that does not verify ends the chain with the one
  // before it and is listed in problems(): what somebody drops into a folder must not take the
  // authority away. Fails where the first does not verify, is not the pinned one, or where fewer
  // than `least_version` versions verify (replayed: the chain was seen longer).
  static Result<RootChain> verify(const std::vector<std::string>& envelopes, std::string_view pin,
                                  int64_t least_version = 1);

  const Root& newest() const { return roots_.back(); }
  const std::vector<Root>& roots() const { return roots_; }  // by version, from 1
  std::string pin() const { return sign::to_hex(roots_.front().hash); }
  const std::string& authority() const { return roots_.front().authority; }
  const std::vector<Status>& problems() const { return problems_; }

  // Stop keys of every version, less those that the newest revokes. A rotation is no lift: what
  // was signed before it stands.
  std::vector<sign::PublicKey> stop_keys() const;

 private:
  Status append(std::string_view envelope_bytes);

  std::vector<Root> roots_;
  std::vector<Status> problems_;
};

}  // namespace account::order
