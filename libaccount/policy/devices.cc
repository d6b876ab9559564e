// Reading of the table of devices.
#include "policy/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/files.h"
#include "base/json.h"
#include "policy/built_in.h"
#include "policy/policy.h"

namespace account::policy {
namespace {

constexpr std::string_view kFormat = "account-devices/1";

Result<OpCount> parse_peak(const std::string& device, const std::string& dtype, const Json& peak) {
  const bool is_text = peak.kind() == Json::Kind::string;
  const bool is_number = peak.kind() == Json::Kind::integer && peak.as_integer() > 0;
  if (is_number) return OpCount(static_cast<uint64_t>(peak.as_integer()));
  const auto rate = OpCount::from_text(is_text ? peak.as_string() : "");
  if (rate.ok() && *rate > OpCount()) return *rate;
  return Status(Code::corrupt, fmt::format("the peak of {} for {} is none", device, dtype),
                "write it as \"989.4e12\"");
}

Result<Device> parse_device(const Json& entry) {
  ACCOUNT_RETURN_IF_ERROR(entry.only_members({"match", "device", "peaks", "source"}));
  Device device;
  ACCOUNT_ASSIGN_OR_RETURN(device.match, entry.get_string("match"));
  ACCOUNT_ASSIGN_OR_RETURN(device.name, entry.get_string("device"));
  if (entry.find("source") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(device.source, entry.get_string("source"));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* peaks, entry.get_object("peaks"));
  for (const auto& [dtype, peak] : peaks->members()) {
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount rate, parse_peak(device.name, dtype, peak));
    device.peaks.emplace(dtype, rate);
  }
  if (device.peaks.empty()) {
    return Status(Code::corrupt, fmt::format("no peak of {} is given", device.name));
  }
  return device;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::vector<std::string_view> phrases(std::string_view match) {
  std::vector<std::string_view> found;
  for (size_t bar = match.find('|'); bar != std::string_view::npos; bar = match.find('|')) {
    found.push_back(match.substr(0, bar));
    match.remove_prefix(bar + 1);
  }
  found.push_back(match);
  return found;
}

bool matches(const Device& device, std::string_view name) {
  return std::ranges::any_of(phrases(device.match), [&](std::string_view phrase) {
    return name.find(phrase) != std::string_view::npos;
  });
}

// An empty phrase would be found in every name.
Status check_phrases(const Device& device) {
  if (std::ranges::none_of(phrases(device.match), &std::string_view::empty)) return {};
  return {Code::corrupt, fmt::format("'{}' matches every name", device.match)};
}

Result<std::vector<Device>> all_devices() {
  std::vector<Device> devices;
  const char* own = std::getenv("ACCOUNT_DEVICES");
  if (own != nullptr && *own != '\0') {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, FileSystem::real().read(own, kFileCapBytes));
    auto parsed = parse_devices(bytes);
    if (!parsed.ok()) return parsed.status().with_context(own);
    devices = std::move(parsed).value();
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Device> built_in,
                           parse_devices(built_in_tables().front().bytes));
  devices.insert(devices.end(), built_in.begin(), built_in.end());
  return devices;
}

}  // namespace

Result<std::vector<Device>> parse_devices(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"format", "about", "devices"}));
  if (json.find("format") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
    if (format != kFormat) {
      return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
    }
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* entries, json.get_array("devices"));
  std::vector<Device> devices;
  for (const Json& entry : entries->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(Device device, parse_device(entry));
    ACCOUNT_RETURN_IF_ERROR(check_phrases(device));
    devices.push_back(std::move(device));
  }
  return devices;
}

Result<Device> find_device(const std::string& name) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Device> devices, all_devices());
  std::vector<std::string> names;
  for (const Device& device : devices) {
    if (!name.empty() && matches(device, name)) return device;
    names.push_back(device.name);
  }
  return Status(Code::not_found, fmt::format("no peak rate of the device '{}' is known", name),
                fmt::format("give one of {}; or name a table of your own in ACCOUNT_DEVICES",
                            fmt::join(names, "; ")));
}

std::optional<OpCount> rate_of(const Device& device, std::string_view dtype) {
  std::string_view word = dtype;
  for (const std::string_view family : {"float8", "float4"}) {
    if (dtype.starts_with(family)) word = family;
  }
  if (dtype == "uint8") word = "int8";
  const auto peak = device.peaks.find(std::string(word));
  if (peak == device.peaks.end()) return std::nullopt;
  return peak->second;
}

Result<OpCount> highest_rate(const std::string& name) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Device> devices, all_devices());
  OpCount highest;
  const auto take = [&](const Device& device) {
    for (const auto& [dtype, peak] : device.peaks) highest = std::max(highest, peak);
  };
  const auto found = find_device(name);
  if (found.ok()) take(*found);
  for (const Device& device : devices) {
    if (!name.empty() && lower(device.name).find(lower(name)) != std::string::npos) take(device);
  }
  if (highest == OpCount()) return found.status();
  return highest;
}

}  // namespace account::policy
