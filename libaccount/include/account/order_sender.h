// For schedulers and officers' tools in C++: deliver a signed order and see it obeyed.
//
//   account::OrderSender sender("/etc/account/acme");
//   auto order = sender.send(envelope);                    // verified, then written; its hash
//   auto receipts = sender.wait(*order, 60.0);             // until everybody who answered is quiet
//
// It signs nothing: `envelope` comes from who holds a key (libaccount/doc/order_format.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/status.h"

namespace account {

// What one node answered. For people and tools; the evidence is in the run's ledger.
struct OrderReceipt {
  struct Rank {
    int rank = -1;
    std::string state;  // "training", "waiting", "quiet", "ended", "refused"
    uint64_t last_step = 0;
  };
  std::string run, node;
  std::string state;     // "stopping", "quiet", "waiting", "rehearsed", ... (authority_format.md)
  bool at_rest = false;  // nothing more will come of the order there, until it ends
  std::string how;       // "agreed", "each at its own edge", "deadline", or empty
  uint64_t stop_edge = 0;
  std::vector<Rank> ranks;
};

// Works on an authority's directory, which it must be able to write to send(). Movable. Calls on
// one object from several threads are safe. Nothing is kept open between calls.
class ACCOUNT_API OrderSender {
 public:
  // "PATH" or "PATH#<hex SHA-256 of the first root>". A path that cannot be used fails each call.
  explicit OrderSender(std::string_view authority);
  OrderSender(OrderSender&&) noexcept;
  OrderSender& operator=(OrderSender&&) noexcept;
  ~OrderSender();

  // Delivers a signed stop or lift and returns its hash. What jobs would refuse is refused here
  // and not delivered: corrupt or unverified. Sending the same order again changes nothing.
  Result<std::string> send(std::string_view envelope) const;

  // The answers so far to the order of that hash; none is no failure.
  Result<std::vector<OrderReceipt>> receipts(std::string_view order) const;

  // Waits until at least one node has answered and every one that did is at rest: quiet, waiting at
  // a pause, through with a rehearsal, or refused to start. unavailable after `timeout_seconds`,
  // naming who is not quiet. Who never answers is not waited for: only the caller knows how many
  // nodes ought to.
  Result<std::vector<OrderReceipt>> wait(std::string_view order, double timeout_seconds) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace account
