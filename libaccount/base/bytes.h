// Bytes as text: hex and canonical base64. Must not know any format.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "account/status.h"

namespace account {

using Bytes = std::string;  // raw bytes; std::string because files, lines and JSON already are

std::string to_hex(std::string_view bytes);        // lower case
Result<Bytes> from_hex(std::string_view text);     // lower case only, even length
std::string to_base64(std::string_view bytes);     // standard alphabet, padded
Result<Bytes> from_base64(std::string_view text);  // refuses whatever re-encodes differently

}  // namespace account
