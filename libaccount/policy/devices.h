// Devices and their peak rates, as a table with sources (policy/tables/devices.json), and what a
// stretch of device time can compute at most. Must not know who was billed for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/op_count.h"
#include "account/status.h"

namespace account::policy {

struct Device {
  std::string name, source;
  std::string match;                     // phrases between bars: one must be in the name
  std::map<std::string, OpCount> peaks;  // operations a second, dense, by dtype or family
};

// Strict; libaccount/doc/counting.md has the form.
Result<std::vector<Device>> parse_devices(std::string_view bytes);

// The first entry that is found in the name: of the file that ACCOUNT_DEVICES names, then of the
// built-in table. not_found, saying what is known.
Result<Device> find_device(const std::string& name);

// The rate for a dtype of keys.h, float8 and float4 by family; nothing where none is known.
std::optional<OpCount> rate_of(const Device& device, std::string_view dtype);
// The highest rate of the device, whatever the type: no job computes faster on it. A name that
// several devices share ("h100", as schedulers write it) is that of the fastest of them.
Result<OpCount> highest_rate(const std::string& name);

}  // namespace account::policy
