// Times, names and digests in roots and orders.
#include "order/fields.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"

namespace account::order {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Years beyond this would overflow nanoseconds in 64 bits (2262-04-11).
constexpr std::string_view kLastYear = "2261";

// Two digits at `at`, or -1.
int two_digits(std::string_view text, size_t at) {
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (!digit(at) || !digit(at + 1)) return -1;
  return (text[at] - '0') * 10 + (text[at + 1] - '0');
}

}  // namespace

Result<int64_t> unix_seconds_from_text(std::string_view text) {
  const Status refusal(Code::corrupt, fmt::format("'{}' is no time", text.substr(0, 40)),
                       "write it in UTC as YYYY-MM-DDTHH:MM:SSZ, e.g. 2026-11-24T10:12:08Z");
  if (text.size() != 20 || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != 'Z') {
    return refusal;
  }
  const Result<int64_t> day = days_from_iso_date(text.substr(0, 10));
  const int hour = two_digits(text, 11), minute = two_digits(text, 14),
            second = two_digits(text, 17);
  if (!day.ok() || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 59 || *day < 0 || text.substr(0, 4) > kLastYear) {
    return refusal;
  }
  const int seconds = hour * 3'600 + minute * 60 + second;
  return *day * 86'400 + seconds;
}

Result<int64_t> get_time(const Json& object, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text, object.get_string(name));
  Result<int64_t> seconds = unix_seconds_from_text(text);
  if (!seconds.ok()) return seconds.status().with_context(fmt::format("member '{}'", name));
  return seconds;
}

std::string time_text(int64_t unix_seconds) { return to_iso8601(unix_seconds * kSecond); }

Status check_name(std::string_view name, std::string_view what) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (name.empty() || name.size() > 96 || !std::all_of(name.begin(), name.end(), allowed)) {
    return {Code::corrupt, fmt::format("'{}' cannot name {}", name.substr(0, 40), what),
            "use 1 to 96 characters of A-Z a-z 0-9 . _ -"};
  }
  return {};
}

Result<std::vector<sign::Digest>> get_digests(const Json& object, std::string_view name,
                                              size_t most) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* array, object.get_array(name));
  if (array->items().empty() || array->items().size() > most) {
    return Status(Code::corrupt, fmt::format("member '{}' has {} digests, not 1 to {}", name,
                                             array->items().size(), most));
  }
  std::vector<sign::Digest> digests;
  for (const Json& item : array->items()) {
    if (item.kind() != Json::Kind::string) {
      return Status(Code::corrupt, fmt::format("member '{}' holds something else than text", name));
    }
    ACCOUNT_ASSIGN_OR_RETURN(const sign::Digest digest, sign::digest_from_hex(item.as_string()));
    if (std::find(digests.begin(), digests.end(), digest) != digests.end()) {
      return Status(Code::corrupt,
                    fmt::format("member '{}' names {} twice", name, item.as_string()));
    }
    digests.push_back(digest);
  }
  return digests;
}

std::string string_or_empty(const Json& object, std::string_view name) {
  const Json* member = object.find(name);
  return member != nullptr && member->kind() == Json::Kind::string ? member->as_string()
                                                                   : std::string();
}

}  // namespace account::order
