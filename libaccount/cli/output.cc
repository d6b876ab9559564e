#include "cli/output.h"

#include <fmt/format.h>

#include <cstdio>

namespace account::cli {
namespace {

std::string& pending() {
  static std::string data;
  return data;
}

// A path may hold a line feed or an escape sequence; what is printed must hold neither.
std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      line += fmt::format("\\x{:02x}", byte);
    } else {
      line.push_back(c);
    }
  }
  return line;
}

}  // namespace

int exit_code(const Status& status) {
  switch (status.code()) {
    case Code::ok:
      return kYes;
    case Code::corrupt:
    case Code::unverified:
    case Code::expired:
    case Code::replayed:
    case Code::out_of_scope:
      return kUnverified;
    case Code::threshold_reached:
      return kReached;
    case Code::shutdown_ordered:
      return kShutdown;
    case Code::invalid_argument:
    case Code::not_found:
    case Code::io:
    case Code::unavailable:
    case Code::internal:
      break;
  }
  return kUsage;
}

void put_line(std::string_view line) { pending() += one_line(line) + "\n"; }

void put_json(const Json& json) { pending() += json.dump_pretty() + "\n"; }

bool flush_data() {
  const std::string data = std::exchange(pending(), {});
  return std::fwrite(data.data(), 1, data.size(), stdout) == data.size() &&
         std::fflush(stdout) == 0;
}

int end_with(std::string_view place, const Status& status) {
  return status.ok() ? static_cast<int>(kYes) : fail(place, status);
}

void say(std::string_view line) {
  const std::string text = one_line(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

int fail(std::string_view place, const Status& status) {
  say(fmt::format("account: {}: {}", place, status.to_string()));
  return exit_code(status);
}

int fail(std::string_view place, const Status& status, bool json) {
  if (json) put_json(Json::object({{"ok", false}, {"error", status.to_string()}}));
  return fail(place, status);
}

}  // namespace account::cli
