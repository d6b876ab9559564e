// Receipts as JSON.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/json.h"
#include "order/authority.h"
#include "order/fields.h"

namespace account::order {
namespace {

constexpr std::string_view kFormat = "account-receipt/1";
constexpr size_t kMaxRanks = 4096;

// Nanoseconds since 1970 go beyond 2^53: a decimal string, or nothing for "not yet".
void set_time(Json& json, std::string_view name, int64_t unix_ns) {
  if (unix_ns != 0) json.set(name, std::to_string(unix_ns));
}

Result<int64_t> get_time_ns(const Json& json, std::string_view name) {
  if (json.find(name) == nullptr) return int64_t{0};
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount count, json.get_op_count(name));
  if (count.high() != 0 || count.low() > static_cast<uint64_t>(INT64_MAX)) {
    return Status(Code::corrupt, fmt::format("member '{}' is no time", name));
  }
  return static_cast<int64_t>(count.low());
}

Result<uint64_t> get_step(const Json& json, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t step, json.get_integer(name));
  if (step < 0) return Status(Code::corrupt, fmt::format("member '{}' is negative", name));
  return static_cast<uint64_t>(step);
}

Result<Receipt::Rank> parse_rank(const Json& json) {
  Receipt::Rank rank;
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t number, json.get_integer("rank"));
  if (number < -1 || number > INT32_MAX) return Status(Code::corrupt, "no rank");
  rank.rank = static_cast<int>(number);
  ACCOUNT_ASSIGN_OR_RETURN(rank.state, json.get_string("state"));
  ACCOUNT_ASSIGN_OR_RETURN(rank.last_step, get_step(json, "last_step"));
  return rank;
}

}  // namespace

bool Receipt::at_rest() const {
  constexpr std::string_view kAtRest[] = {"quiet",       "refused",          "waiting",
                                          "resumed",     "rehearsed",        "not agreed",
                                          "interrupted", "not quiet in time"};
  return std::find(std::begin(kAtRest), std::end(kAtRest), state) != std::end(kAtRest);
}

Json to_json(const Receipt& receipt) {
  Json ranks = Json::array();
  for (const Receipt::Rank& rank : receipt.ranks) {
    ranks.push(
        Json::object({{"rank", rank.rank}, {"state", rank.state}, {"last_step", rank.last_step}}));
  }
  Json json = Json::object({{"format", kFormat},
                            {"order", sign::to_hex(receipt.order)},
                            {"authority", receipt.authority},
                            {"run", receipt.run},
                            {"node", receipt.node},
                            {"state", receipt.state},
                            {"how", receipt.how},
                            {"stop_edge", receipt.stop_edge}});
  set_time(json, "verified_unix_ns", receipt.verified_unix_ns);
  set_time(json, "latched_unix_ns", receipt.latched_unix_ns);
  set_time(json, "quiet_unix_ns", receipt.quiet_unix_ns);
  set_time(json, "quiet_by_unix_ns", receipt.quiet_by_unix_ns);
  json.set("job", to_json(receipt.job));
  json.set("ranks", std::move(ranks));
  return json;
}

std::string write_receipt(const Receipt& receipt) { return to_json(receipt).dump() + "\n"; }

Result<Receipt> parse_receipt(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kMaxReceiptBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) return Status(Code::corrupt, "no receipt");
  Receipt receipt;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string order, json.get_string("order"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.order, sign::digest_from_hex(order));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.authority, json.get_string("authority"));
  ACCOUNT_RETURN_IF_ERROR(sign::digest_from_hex(receipt.authority).status());
  ACCOUNT_ASSIGN_OR_RETURN(receipt.run, json.get_string("run"));
  ACCOUNT_RETURN_IF_ERROR(check_name(receipt.run, "a run"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.node, json.get_string("node"));
  ACCOUNT_RETURN_IF_ERROR(check_name(receipt.node, "a node"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.state, json.get_string("state"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.how, json.get_string("how"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.stop_edge, get_step(json, "stop_edge"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.verified_unix_ns, get_time_ns(json, "verified_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.latched_unix_ns, get_time_ns(json, "latched_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.quiet_unix_ns, get_time_ns(json, "quiet_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.quiet_by_unix_ns, get_time_ns(json, "quiet_by_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* job, json.get_object("job"));
  ACCOUNT_ASSIGN_OR_RETURN(receipt.job, traits_from_json(*job));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* ranks, json.get_array("ranks"));
  if (ranks->items().size() > kMaxRanks) return Status(Code::corrupt, "too many ranks");
  for (const Json& item : ranks->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(Receipt::Rank rank, parse_rank(item));
    receipt.ranks.push_back(std::move(rank));
  }
  return receipt;
}

}  // namespace account::order
