// Orders: writing, reading, verifying.
#include "order/order.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "order/fields.h"

namespace account::order {
namespace {

constexpr std::string_view kFormat = "account-order/1";
constexpr size_t kMaxTextBytes = 4096;
constexpr size_t kNonceDigits = 32;

Status fault(std::string what) { return {Code::corrupt, std::move(what)}; }

std::string_view action_name(Action action) { return action == Action::stop ? "stop" : "lift"; }

int64_t integer_or_zero(const Json& document, std::string_view name) {
  const Json* member = document.find(name);
  const bool fits = member != nullptr && member->kind() == Json::Kind::integer;
  return fits ? member->as_integer() : 0;
}

// Nothing in here may refuse a stop but what it cannot be obeyed without.
Status parse_stop(const Json& document, Order& order) {
  const Json* scope = document.find("scope");
  if (scope == nullptr) return fault("member 'scope' is missing");
  ACCOUNT_ASSIGN_OR_RETURN(order.scope, scope_from_json(*scope));
  order.root_version = integer_or_zero(document, "root_version");
  order.number = integer_or_zero(document, "number");
  order.quiet_seconds = std::max<int64_t>(0, integer_or_zero(document, "quiet_seconds"));
  const Result<int64_t> issued = get_time(document, "issued");
  if (issued.ok()) order.issued_unix = *issued;
  order.nonce = string_or_empty(document, "nonce");
  order.reason = string_or_empty(document, "reason");
  order.ordered_by = string_or_empty(document, "ordered_by");
  return {};
}

Status parse_lift(const Json& document, Order& order) {
  ACCOUNT_RETURN_IF_ERROR(
      document.only_members({"format", "action", "authority", "root_version", "number", "issued",
                             "accept_until", "nonce", "lifts", "reason", "ordered_by"}));
  ACCOUNT_ASSIGN_OR_RETURN(order.root_version, document.get_integer("root_version"));
  ACCOUNT_ASSIGN_OR_RETURN(order.number, document.get_integer("number"));
  ACCOUNT_ASSIGN_OR_RETURN(order.issued_unix, get_time(document, "issued"));
  ACCOUNT_ASSIGN_OR_RETURN(order.accept_until_unix, get_time(document, "accept_until"));
  ACCOUNT_ASSIGN_OR_RETURN(order.nonce, document.get_string("nonce"));
  ACCOUNT_ASSIGN_OR_RETURN(order.lifts, get_digests(document, "lifts", kMaxLifted));
  for (const char* name : {"reason", "ordered_by"}) {
    if (document.find(name) != nullptr) {
      ACCOUNT_RETURN_IF_ERROR(document.get_string(name).status());
    }
  }
  order.reason = string_or_empty(document, "reason");
  order.ordered_by = string_or_empty(document, "ordered_by");
  if (order.root_version < 1 || order.number < 1) return fault("a lift's numbers begin with 1");
  if (order.accept_until_unix <= order.issued_unix) return fault("a lift's window has no length");
  const auto hex_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (order.nonce.size() != kNonceDigits ||
      !std::all_of(order.nonce.begin(), order.nonce.end(), hex_digit)) {
    return fault("a nonce is 32 lower-case hex digits");
  }
  return {};
}

// Whether lift keys of any version signed. Only then is the payload read, which says of which.
Status signed_by_lift_keys(const sign::Envelope& envelope, const RootChain& chain) {
  Status status;
  for (auto root = chain.roots().rbegin(); root != chain.roots().rend(); ++root) {
    status =
        sign::verify_envelope(envelope, kOrderType, root->lift.keys, root->lift.threshold).status();
    if (status.ok()) break;
  }
  return status;
}

Result<std::vector<sign::PublicKey>> lift_signers(const Order& order,
                                                  const sign::Envelope& envelope,
                                                  const RootChain& chain) {
  if (order.root_version > chain.newest().version) {
    return Status(Code::unverified, fmt::format("a lift under root version {}; the root is at {}",
                                                order.root_version, chain.newest().version));
  }
  const Role& role = chain.roots()[static_cast<size_t>(order.root_version) - 1].lift;
  auto signers = sign::verify_envelope(envelope, kOrderType, role.keys, role.threshold);
  if (!signers.ok()) {
    return signers.status().with_context("a lift needs lift keys; stop keys lift nothing");
  }
  if (signers->size() != envelope.signatures.size()) {
    return Status(Code::unverified,
                  "a lift carries a signature that is not by one of its lift keys");
  }
  return signers;
}

}  // namespace

Result<std::string> write_order(const Order& order) {
  Json document = Json::object({{"format", kFormat},
                                {"action", action_name(order.action)},
                                {"authority", order.authority},
                                {"root_version", order.root_version},
                                {"number", order.number},
                                {"issued", time_text(order.issued_unix)}});
  if (order.action == Action::lift) {
    document.set("accept_until", time_text(order.accept_until_unix));
  }
  document.set("nonce", order.nonce);
  if (order.action == Action::stop) {
    document.set("scope", to_json(order.scope));
    if (order.quiet_seconds > 0) document.set("quiet_seconds", order.quiet_seconds);
  } else {
    Json lifts = Json::array();
    for (const sign::Digest& digest : order.lifts) lifts.push(sign::to_hex(digest));
    document.set("lifts", std::move(lifts));
  }
  if (order.reason.size() > kMaxTextBytes || order.ordered_by.size() > kMaxTextBytes) {
    return Status(Code::invalid_argument,
                  fmt::format("a reason has at most {} bytes", kMaxTextBytes));
  }
  if (!order.reason.empty()) document.set("reason", order.reason);
  if (!order.ordered_by.empty()) document.set("ordered_by", order.ordered_by);
  std::string payload = document.dump();
  ACCOUNT_RETURN_IF_ERROR(parse_order(payload).status());
  return payload;
}

Result<Order> parse_order(std::string_view payload) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(payload, kMaxOrderBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) {
    return fault(fmt::format("format '{}', not '{}'", format.substr(0, 40), kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string action, document.get_string("action"));
  Order order;
  ACCOUNT_ASSIGN_OR_RETURN(order.authority, document.get_string("authority"));
  ACCOUNT_RETURN_IF_ERROR(check_name(order.authority, "an authority"));
  if (action == "stop") {
    order.action = Action::stop;
    ACCOUNT_RETURN_IF_ERROR(parse_stop(document, order));
  } else if (action == "lift") {
    order.action = Action::lift;
    ACCOUNT_RETURN_IF_ERROR(parse_lift(document, order));
  } else {
    return fault(
        fmt::format("an order to '{}'; this version knows stop and lift", action.substr(0, 40)));
  }
  order.hash = sign::sha256(payload);
  return order;
}

Result<Verified> verify_order(std::string_view bytes, const RootChain& chain) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_envelope(bytes, kMaxOrderBytes));
  auto stop_signers = sign::verify_envelope(envelope, kOrderType, chain.stop_keys(), 1);
  if (!stop_signers.ok() && !signed_by_lift_keys(envelope, chain).ok()) {
    return stop_signers.status().with_context(
        fmt::format("not by a key of authority '{}'", chain.authority()));
  }
  Verified verified;
  ACCOUNT_ASSIGN_OR_RETURN(verified.order, parse_order(envelope.payload));
  if (verified.order.authority != chain.authority()) {
    return Status(Code::unverified, fmt::format("an order of authority '{}' at authority '{}'",
                                                verified.order.authority, chain.authority()));
  }
  if (verified.order.action == Action::lift) {
    ACCOUNT_ASSIGN_OR_RETURN(verified.signers, lift_signers(verified.order, envelope, chain));
  } else {
    if (!stop_signers.ok()) return stop_signers.status().with_context("a stop needs a stop key");
    verified.signers = std::move(stop_signers).value();
  }
  verified.envelope = bytes;
  return verified;
}

std::string order_file(const sign::Envelope& envelope) {
  std::string bytes = sign::write_envelope(envelope);
  while (!bytes.empty() && bytes.back() == '\n') bytes.pop_back();
  return bytes;
}

}  // namespace account::order
