// The small words that roots and orders are written in: times, names, digests. Private to order/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "sign/sign.h"

namespace account::order {

// "2026-11-24T10:12:08Z" exactly; seconds since 1970. A leap second is none.
Result<int64_t> unix_seconds_from_text(std::string_view text);
Result<int64_t> get_time(const Json& object, std::string_view name);
std::string time_text(int64_t unix_seconds);

// 1 to 96 characters of A-Z a-z 0-9 . _ -
Status check_name(std::string_view name, std::string_view what);

// An array of 1 to `most` distinct SHA-256 digests in lower-case hex.
Result<std::vector<sign::Digest>> get_digests(const Json& object, std::string_view name,
                                              size_t most);

// The string of that name, or nothing where it is missing or something else: for the members of a
// stop that nothing depends on.
std::string string_or_empty(const Json& object, std::string_view name);

}  // namespace account::order
