// Reading of price tables.
#include "policy/prices.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "account/op_count.h"
#include "base/clock.h"
#include "base/json.h"
#include "policy/policy.h"

namespace account::policy {
namespace {

constexpr std::string_view kFormat = "account-prices/1";
constexpr uint64_t kMicro = 1'000'000;
constexpr uint64_t kSecondsAnHour = 3600;
constexpr uint64_t kMostUsd = 1'000'000;  // an hour of one device

Result<uint64_t> parse_amount(const std::string& text) {
  const Status wrong(Code::corrupt, fmt::format("'{}' is no price", text),
                     "write dollars for an hour of one device as text: \"2.10\"");
  const size_t point = text.find('.');
  const std::string whole = text.substr(0, point);
  std::string rest = point == std::string::npos ? "" : text.substr(point + 1);
  constexpr size_t kDecimals = 6;
  const auto digits = [](std::string_view part) {
    return std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  const bool plain = !whole.empty() && whole.size() <= 7 && rest.size() <= kDecimals &&
                     digits(whole) && digits(rest) && !text.ends_with('.');
  if (!plain) return wrong;
  rest.resize(kDecimals, '0');
  const uint64_t micro = std::stoull(whole) * kMicro + std::stoull(rest);
  if (micro == 0 || micro > kMostUsd * kMicro) return wrong;
  return micro;
}

Result<Price> parse_price(const Json& entry) {
  ACCOUNT_RETURN_IF_ERROR(entry.only_members({"device", "from", "usd_per_device_hour", "source"}));
  Price price;
  ACCOUNT_ASSIGN_OR_RETURN(price.device, entry.get_string("device"));
  ACCOUNT_ASSIGN_OR_RETURN(price.from, entry.get_string("from"));
  ACCOUNT_ASSIGN_OR_RETURN(price.source, entry.get_string("source"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string amount, entry.get_string("usd_per_device_hour"));
  ACCOUNT_ASSIGN_OR_RETURN(price.micro_usd_hour, parse_amount(amount));
  if (price.device.empty() || price.source.empty()) {
    return Status(Code::corrupt, "a price has no device or no source");
  }
  if (!days_from_iso_date(price.from).ok()) {
    return Status(Code::corrupt, fmt::format("'{}' is no date", price.from), "write YYYY-MM-DD");
  }
  return price;
}

std::vector<std::string> devices_of(const std::vector<Price>& prices) {
  std::vector<std::string> devices;
  for (const Price& price : prices) devices.push_back(price.device);
  std::sort(devices.begin(), devices.end());
  devices.erase(std::unique(devices.begin(), devices.end()), devices.end());
  return devices;
}

}  // namespace

Result<std::vector<Price>> parse_prices(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"format", "about", "prices"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* entries, json.get_array("prices"));
  std::vector<Price> prices;
  for (const Json& entry : entries->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(Price price, parse_price(entry));
    const bool twice = std::ranges::any_of(prices, [&](const Price& other) {
      return other.device == price.device && other.from == price.from;
    });
    if (twice) {
      return Status(Code::corrupt,
                    fmt::format("{} has two prices from {}", price.device, price.from));
    }
    prices.push_back(std::move(price));
  }
  if (prices.empty()) return Status(Code::corrupt, "it has no price");
  return prices;
}

Result<Price> price_on(const std::vector<Price>& prices, const std::string& device,
                       std::string_view iso_date) {
  const std::vector<std::string> devices = devices_of(prices);
  const std::string asked = device.empty() && devices.size() == 1 ? devices.front() : device;
  if (std::ranges::find(devices, asked) == devices.end()) {
    return Status(Code::not_found,
                  asked.empty() ? "the table has several devices"
                                : fmt::format("the table has no device '{}'", asked),
                  fmt::format("give --device, one of: {}", fmt::join(devices, "; ")));
  }
  std::optional<Price> found;
  for (const Price& price : prices) {
    if (price.device != asked || price.from > iso_date) continue;
    if (!found || price.from > found->from) found = price;
  }
  if (!found) {
    return Status(Code::not_found, fmt::format("no price of {} holds on {}", asked, iso_date),
                  "the table begins later: add the price of that day");
  }
  return *found;
}

uint64_t micro_usd_of(uint64_t device_seconds, const Price& price) {
  const OpCount times = saturating_multiply(OpCount(device_seconds), price.micro_usd_hour);
  const auto hours = times.raw() / kSecondsAnHour + (times.raw() % kSecondsAnHour == 0 ? 0 : 1);
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  return hours > kMost ? kMost : static_cast<uint64_t>(hours);
}

uint64_t whole_usd(uint64_t micro_usd) {
  return micro_usd / kMicro + (micro_usd % kMicro == 0 ? 0 : 1);
}

}  // namespace account::policy
