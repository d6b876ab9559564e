// account::OrderSender over AuthorityDirectory.
#include "account/order_sender.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "order/authority.h"
#include "order/authority_log.h"

namespace account {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(50);

OrderReceipt to_public(const order::Receipt& receipt) {
  OrderReceipt result{
      receipt.run, receipt.node, receipt.state, receipt.at_rest(), receipt.how, receipt.stop_edge,
      {}};
  result.ranks.reserve(receipt.ranks.size());
  for (const auto& rank : receipt.ranks) {
    result.ranks.push_back({rank.rank, rank.state, rank.last_step});
  }
  return result;
}

Status not_quiet(const std::vector<OrderReceipt>& receipts) {
  std::string who;
  for (const OrderReceipt& receipt : receipts) {
    if (receipt.at_rest) continue;
    if (!who.empty()) who += ", ";
    who += fmt::format("run {} on node {} ({})", receipt.run, receipt.node, receipt.state);
  }
  return {Code::unavailable, who.empty() ? "no job has answered the order" : "not quiet: " + who,
          "look at the jobs' own lines and at the receipts in the authority's directory"};
}

}  // namespace

struct OrderSender::State {
  Result<order::AuthoritySpec> spec;
};

OrderSender::OrderSender(std::string_view authority)
    : state_(std::make_unique<State>(State{order::parse_authority_spec(authority)})) {}
OrderSender::OrderSender(OrderSender&&) noexcept = default;
OrderSender& OrderSender::operator=(OrderSender&&) noexcept = default;
OrderSender::~OrderSender() = default;

Result<std::string> OrderSender::send(std::string_view envelope) const {
  ACCOUNT_ASSIGN_OR_RETURN(const order::AuthoritySpec spec, Result(state_->spec));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope parsed,
                           sign::parse_envelope(envelope, order::kMaxOrderBytes));
  const order::AuthorityDirectory directory(FileSystem::real(), spec);
  ACCOUNT_ASSIGN_OR_RETURN(const order::Verified verified, directory.publish_order(parsed));
  // It is given; that a line about it is missing takes nothing from it.
  (void)order::AuthorityLog(FileSystem::real(), Clock::real(), spec.path)
      .append("order", order::log_facts(verified));
  return verified.order.hash_hex();
}

Result<std::vector<OrderReceipt>> OrderSender::receipts(std::string_view order) const {
  ACCOUNT_ASSIGN_OR_RETURN(const order::AuthoritySpec spec, Result(state_->spec));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Digest hash, sign::digest_from_hex(order));
  const order::AuthorityDirectory directory(FileSystem::real(), spec);
  ACCOUNT_ASSIGN_OR_RETURN(const auto found, directory.read_receipts(hash));
  std::vector<OrderReceipt> receipts;
  receipts.reserve(found.size());
  for (const order::Receipt& receipt : found) receipts.push_back(to_public(receipt));
  return receipts;
}

Result<std::vector<OrderReceipt>> OrderSender::wait(std::string_view order,
                                                    double timeout_seconds) const {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::duration<double>(timeout_seconds);
  while (true) {
    ACCOUNT_ASSIGN_OR_RETURN(auto found, receipts(order));
    if (!found.empty() && std::ranges::all_of(found, &OrderReceipt::at_rest)) return found;
    if (steady_clock::now() >= end) return not_quiet(found);
    std::this_thread::sleep_for(kLookAgain);
  }
}

}  // namespace account
