// An authority's directory: roots and orders to read, receipts to write.
// libaccount/doc/authority_format.md.
//
//   root.json  root.2.json ...   orders/<hash>.json   leases/<hash>.json
//   receipts/<hash>.<run>.<node>.json
//
// Its owner writes roots, orders and leases; whoever obeys writes receipts. Reading verifies roots
// and nothing else: orders and leases are handed on as bytes (standing.h, lease.h verify them). Not
// thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "base/json.h"
#include "order/lease.h"
#include "order/order.h"
#include "order/root.h"
#include "order/standing.h"
#include "order/traits.h"

namespace account::order {

// "PATH" or "PATH#<hex SHA-256 of the first root's payload>".
struct AuthoritySpec {
  std::string path;
  std::string pin;  // empty: the first root seen is taken, and pinned from then on
};
Result<AuthoritySpec> parse_authority_spec(std::string_view text);

inline constexpr uint64_t kMaxReceiptBytes = uint64_t{256} * 1024;

// What one node's keeper says of one order. For people and tools; the evidence is in the ledger.
struct Receipt {
  struct Rank {
    int rank = -1;
    std::string state;  // "training", "waiting", "quiet", "ended", "refused"
    uint64_t last_step = 0;
  };
  sign::Digest order{};
  std::string authority;  // pin
  std::string run, node;
  std::string state;  // authority_format.md, Receipts
  std::string how;    // "agreed", "each at its own edge", "deadline"; empty until known
  uint64_t stop_edge = 0;
  int64_t verified_unix_ns = 0, latched_unix_ns = 0, quiet_unix_ns = 0;  // 0: not yet
  int64_t quiet_by_unix_ns = 0;  // by when its ranks ought to be quiet; 0: it does not say
  Traits job;                    // frozen when it was latched
  std::vector<Rank> ranks;

  // Nothing more will come of the order there, or nothing until it ends: its ranks are quiet, wait,
  // or were refused; a rehearsal is over.
  bool at_rest() const;
};
Json to_json(const Receipt& receipt);
std::string write_receipt(const Receipt& receipt);
Result<Receipt> parse_receipt(std::string_view bytes);

class AuthorityDirectory {
 public:
  AuthorityDirectory(FileSystem& files, AuthoritySpec spec);

  const std::string& path() const { return spec_.path; }
  std::string root_path(int64_t version) const;
  std::string orders_path() const;
  std::string leases_path() const;
  std::string receipts_path() const;

  // The verified chain; see RootChain::verify for what fails and what is only listed.
  Result<RootChain> read_roots(int64_t least_version = 1) const;
  // Every file orders/*.json, as bytes; those too long to be an order are in `refused`. io or
  // unavailable when one cannot be read: it might be a stop.
  Result<std::vector<Found>> read_orders(std::vector<Refused>& refused) const;
  // Likewise leases/*.json; none where there is no such folder.
  Result<std::vector<Found>> read_leases(std::vector<Refused>& refused) const;
  // All receipts, or those of one order. What is no receipt is left out: anybody may write there.
  Result<std::vector<Receipt>> read_receipts() const;
  Result<std::vector<Receipt>> read_receipts(const sign::Digest& order) const;

  // For the owner: the next root of the chain; an order that verifies under it (or is refused
  // before it is written). All or nothing, and durable.
  Status publish_root(std::string_view envelope) const;
  Result<Verified> publish_order(const sign::Envelope& envelope) const;
  // Likewise a lease. Of those before it with its scope the newest stays, for whoever is just
  // reading, and the others go.
  Result<VerifiedLease> publish_lease(const sign::Envelope& envelope) const;
  // For who obeys; replaces this node's earlier one.
  Status put_receipt(const Receipt& receipt) const;

 private:
  Result<std::vector<Found>> read_folder(std::string_view name, uint64_t cap,
                                         std::vector<Refused>& refused) const;
  void clear_leases_before(const VerifiedLease& newest, const RootChain& chain) const;

  FileSystem& files_;
  AuthoritySpec spec_;
};

// The traces that receipts are: a stop that was obeyed somewhere, with what was frozen there.
std::vector<Trace> traces_of(const std::vector<Receipt>& receipts);

}  // namespace account::order
