// Orders: what they say, how they are written, and whose signature counts.
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
inline constexpr size_t kMaxLifted = 64;                         // orders that one lift names

// `stop`: all ranks stop at one edge. `pause`: they wait there until it is lifted. `rehearse`: they
// come to one edge, and go on. `lift`, by lift keys, ends stops and pauses; `resume`, by a stop
// key, ends pauses alone.
enum class Action { stop, pause, rehearse, lift, resume };
std::string_view name(Action action);
inline bool ends_others(Action action) {
  return action == Action::lift || action == Action::resume;
}

// What a stop lets its ranks do once they have stopped. `save`: write their state, locked, and end.
// `none`: end. `hold`: wait at the edge with everything in memory, nothing exported, until a lift
// lets them go on or another stop ends them.
enum class Grace { none, save, hold };
std::string_view name(Grace grace);

struct Order {
  Action action = Action::stop;
  std::string authority;
  // The first three count in a lift; elsewhere they are for people.
  int64_t root_version = 0;  // that the signer saw
  int64_t number = 0;
  int64_t issued_unix = 0;  // 0 where it does not say
  std::string nonce;
  std::string reason;
  std::string ordered_by;  // a court, an authority, an officer
  // Of a stop, a pause, a rehearsal.
  Scope scope;
  int64_t quiet_seconds = 0;  // of a stop; 0: the job's own rule
  Grace grace = Grace::save;  // of a stop
  std::string clause;         // of a stop or a pause: of the protocol that the root's hash names
  // Of a lift and a rehearsal: by then it must have been seen; an accepted lift holds for good.
  int64_t accept_until_unix = 0;
  // Of a lift or a resume: the orders that it ends.
  std::vector<sign::Digest> lifts;

  // Whether ranks wait at the edge, rather than end there.
  bool waits() const {
    return action == Action::pause || (action == Action::stop && grace == Grace::hold);
  }

  // Set by reading.
  sign::Digest hash{};
  std::string hash_hex() const { return sign::to_hex(hash); }
};

// The payload to sign; refuses what parse_order would.
Result<std::string> write_order(const Order& order);

// The meaning of a payload whose signatures somebody else checks. A stop or pause must say format,
// action, authority and scope; whatever else it holds may be missing, odd or unknown, for a stop is
// obeyed in doubt. The others must be exactly as the format has them.
Result<Order> parse_order(std::string_view payload);

// An order that verified, and by whose keys.
struct Verified {
  Order order;
  std::string envelope;                  // the bytes as they came
  std::vector<sign::PublicKey> signers;  // distinct, of the role
};

// Length, envelope, signatures, and only then the payload's meaning. A lift needs the threshold of
// the lift keys of the version that it names, and no other signature; any other order one key of
// RootChain::stop_keys(). corrupt: mangled, oversize or unknown; unverified: foreign, or not by the
// keys of its action.
Result<Verified> verify_order(std::string_view bytes, const RootChain& chain);

// As a file: the envelope without a line end, so that a shortened file never reads as a whole one.
std::string order_file(const sign::Envelope& envelope);

}  // namespace account::order
