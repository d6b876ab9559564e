// Prices of device time as dated data, and what a stretch of it costs. Whose prices they are, and
// how they were found, is for the file to say; libaccount/doc/prices_format.md. Must not know runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"

namespace account::policy {

struct Price {
  std::string device;
  std::string from;             // "YYYY-MM-DD": holds until the next of the same device
  uint64_t micro_usd_hour = 0;  // of one device
  std::string source;
};

Result<std::vector<Price>> parse_prices(std::string_view bytes);  // strict

// That of the device on that day. An empty name is the table's only device. not_found where there
// is no such device, or no price that early.
Result<Price> price_on(const std::vector<Price>& prices, const std::string& device,
                       std::string_view iso_date);

// In millionths of a dollar, rounded up; saturating.
uint64_t micro_usd_of(uint64_t device_seconds, const Price& price);
// Whole dollars, rounded up: as the cost tests of policies are stated.
uint64_t whole_usd(uint64_t micro_usd);

}  // namespace account::policy
