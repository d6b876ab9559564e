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

constexpr Action kActions[] = {Action::stop, Action::pause, Action::rehearse, Action::lift,
                               Action::resume};

// A grace that this version does not know is none: it fails towards stopping.
Grace grace_of(const Json& document) {
  const Json* found = document.find("grace");
  if (found == nullptr) return Grace::save;
  for (const Grace grace : {Grace::save, Grace::hold}) {
    if (found->kind() == Json::Kind::string && found->as_string() == name(grace)) return grace;
  }
  return Grace::none;
}

int64_t integer_or_zero(const Json& document, std::string_view name) {
  const Json* member = document.find(name);
  const bool fits = member != nullptr && member->kind() == Json::Kind::integer;
  return fits ? member->as_integer() : 0;
}

// Nothing in here may refuse a stop or a pause but what it cannot be obeyed without.
Status parse_stop(const Json& document, Order& order) {
  const Json* scope = document.find("scope");
  if (scope == nullptr) return fault("member 'scope' is missing");
  ACCOUNT_ASSIGN_OR_RETURN(order.scope, scope_from_json(*scope));
  order.root_version = integer_or_zero(document, "root_version");
  order.number = integer_or_zero(document, "number");
  order.quiet_seconds = std::max<int64_t>(0, integer_or_zero(document, "quiet_seconds"));
  order.grace = grace_of(document);
  const Result<int64_t> issued = get_time(document, "issued");
  if (issued.ok()) order.issued_unix = *issued;
  order.nonce = string_or_empty(document, "nonce");
  order.reason = string_or_empty(document, "reason");
  order.ordered_by = string_or_empty(document, "ordered_by");
  order.clause = string_or_empty(document, "clause");
  return {};
}

Status check_members(const Json& document, Action action) {
  if (action == Action::lift) {
    return document.only_members({"format", "action", "authority", "root_version", "number",
                                  "issued", "nonce", "reason", "ordered_by", "accept_until",
                                  "lifts"});
  }
  if (action == Action::resume) {
    return document.only_members({"format", "action", "authority", "root_version", "number",
                                  "issued", "nonce", "reason", "ordered_by", "lifts"});
  }
  return document.only_members({"format", "action", "authority", "root_version", "number", "issued",
                                "nonce", "reason", "ordered_by", "accept_until", "scope"});
}

Status check_nonce(std::string_view nonce) {
  const auto hex_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (nonce.size() == kNonceDigits && std::all_of(nonce.begin(), nonce.end(), hex_digit)) return {};
  return fault("a nonce is 32 lower-case hex digits");
}

// A lift, resume or rehearsal: to the letter.
Status parse_exactly(const Json& document, Order& order) {
  ACCOUNT_RETURN_IF_ERROR(check_members(document, order.action));
  ACCOUNT_ASSIGN_OR_RETURN(order.root_version, document.get_integer("root_version"));
  ACCOUNT_ASSIGN_OR_RETURN(order.number, document.get_integer("number"));
  if (order.root_version < 1 || order.number < 1) {
    return fault(fmt::format("the numbers of a {} begin with 1", name(order.action)));
  }
  ACCOUNT_ASSIGN_OR_RETURN(order.issued_unix, get_time(document, "issued"));
  ACCOUNT_ASSIGN_OR_RETURN(order.nonce, document.get_string("nonce"));
  ACCOUNT_RETURN_IF_ERROR(check_nonce(order.nonce));
  for (const char* text : {"reason", "ordered_by"}) {
    if (document.find(text) == nullptr) continue;
    ACCOUNT_RETURN_IF_ERROR(document.get_string(text).status());
  }
  order.reason = string_or_empty(document, "reason");
  order.ordered_by = string_or_empty(document, "ordered_by");
  if (order.action != Action::resume) {
    ACCOUNT_ASSIGN_OR_RETURN(order.accept_until_unix, get_time(document, "accept_until"));
    if (order.accept_until_unix <= order.issued_unix) {
      return fault(fmt::format("the window of a {} has no length", name(order.action)));
    }
  }
  if (ends_others(order.action)) {
    ACCOUNT_ASSIGN_OR_RETURN(order.lifts, get_digests(document, "lifts", kMaxLifted));
    return {};
  }
  const Json* scope = document.find("scope");
  if (scope == nullptr) return fault("member 'scope' is missing");
  ACCOUNT_ASSIGN_OR_RETURN(order.scope, scope_from_json(*scope));
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

std::string_view name(Action action) {
  switch (action) {
    case Action::stop:
      return "stop";
    case Action::pause:
      return "pause";
    case Action::rehearse:
      return "rehearse";
    case Action::lift:
      return "lift";
    case Action::resume:
      break;
  }
  return "resume";
}

std::string_view name(Grace grace) {
  switch (grace) {
    case Grace::save:
      return "save";
    case Grace::hold:
      return "hold";
    case Grace::none:
      break;
  }
  return "none";
}

Result<std::string> write_order(const Order& order) {
  Json document = Json::object({{"format", kFormat},
                                {"action", name(order.action)},
                                {"authority", order.authority},
                                {"root_version", order.root_version},
                                {"number", order.number},
                                {"issued", time_text(order.issued_unix)}});
  if (order.action == Action::lift || order.action == Action::rehearse) {
    document.set("accept_until", time_text(order.accept_until_unix));
  }
  document.set("nonce", order.nonce);
  if (!ends_others(order.action)) {
    document.set("scope", to_json(order.scope));
    if (order.quiet_seconds > 0) document.set("quiet_seconds", order.quiet_seconds);
    if (order.grace != Grace::save) document.set("grace", name(order.grace));
  } else {
    Json lifts = Json::array();
    for (const sign::Digest& digest : order.lifts) lifts.push(sign::to_hex(digest));
    document.set("lifts", std::move(lifts));
  }
  if (std::max({order.reason.size(), order.ordered_by.size(), order.clause.size()}) >
      kMaxTextBytes) {
    return Status(Code::invalid_argument,
                  fmt::format("a reason has at most {} bytes", kMaxTextBytes));
  }
  if (!order.reason.empty()) document.set("reason", order.reason);
  if (!order.ordered_by.empty()) document.set("ordered_by", order.ordered_by);
  if (!order.clause.empty()) document.set("clause", order.clause);
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
  const auto known = std::find_if(std::begin(kActions), std::end(kActions),
                                  [&](Action one) { return name(one) == action; });
  if (known == std::end(kActions)) {
    return fault(
        fmt::format("an order to '{}'; this version knows stop, pause, rehearse, lift and resume",
                    action.substr(0, 40)));
  }
  order.action = *known;
  const bool in_doubt = order.action == Action::stop || order.action == Action::pause;
  ACCOUNT_RETURN_IF_ERROR(in_doubt ? parse_stop(document, order) : parse_exactly(document, order));
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
    if (!stop_signers.ok()) {
      return stop_signers.status().with_context(
          fmt::format("a {} needs a stop key", name(verified.order.action)));
    }
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
