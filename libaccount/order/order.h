// Stop and lift orders: what they say, how they are written, and whose signature counts.
// libaccount/doc/order_format.md.
//
// An order is its payload: its identity is the SHA-256 of the payload's bytes, whatever signatures
// go with it. Pure: no file, no clock; windows and numbers are judged by standing.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "order/root.h"
#include "order/traits.h"
#include "sign/sign.h"

namespace account::order {

inline constexpr std::string_view kOrderType = "application/vnd.account.order.v1+json";
inline constexpr uint64_t kMaxOrderBytes = uint64_t{64} * 1024;  // of the envelope
inline constexpr size_t kMaxLifted = 64;                         // stops that one lift names

enum class Action { stop, lift };

struct Order {
  Action action = Action::stop;
  std::string authority;
  int64_t root_version = 0;  // that the signer saw; of a stop for people only
  int64_t number = 0;        // of a stop for people only
  int64_t issued_unix = 0;   // of a stop for people only; 0 where it does not say
  std::string nonce;
  std::string reason;
  std::string ordered_by;  // a court, an authority, an officer
  // A stop's.
  Scope scope;
  int64_t quiet_seconds = 0;  // 0: the job's own rule
  // A lift's.
  int64_t accept_until_unix = 0;  // by then it must have been seen; once accepted it holds
  std::vector<sign::Digest> lifts;

  // Set by reading.
  sign::Digest hash{};
  std::string hash_hex() const { return sign::to_hex(hash); }
};

// The payload to sign; refuses what parse_order would.
Result<std::string> write_order(const Order& order);

// The meaning of a payload whose signatures somebody else checks. A stop must say format, action,
// authority and scope; whatever else it holds may be missing, odd or unknown, for a stop is obeyed
// in doubt. A lift must be exactly as the format has it.
Result<Order> parse_order(std::string_view payload);

// An order that verified, and by whose keys.
struct Verified {
  Order order;
  std::string envelope;                  // the bytes as they came
  std::vector<sign::PublicKey> signers;  // distinct, of the role
};

// Length, envelope, signatures, and only then the payload's meaning. A stop needs one key of
// RootChain::stop_keys(); a lift the threshold of the lift keys of the version that it names, and
// no other signature. corrupt: mangled, oversize or unknown; unverified: foreign, or not by the
// keys of its action.
Result<Verified> verify_order(std::string_view bytes, const RootChain& chain);

// As a file: the envelope without a line end, so that a shortened file never reads as a whole one.
std::string order_file(const sign::Envelope& envelope);

}  // namespace account::order
