// Hex and canonical base64.
#include "base/bytes.h"

#include <array>

namespace account {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int, 256> reverse(std::string_view alphabet) {
  std::array<int, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<uint8_t>(alphabet[i])] = static_cast<int>(i);
  }
  return table;
}

constexpr auto kHexValues = reverse(kHexDigits);
constexpr auto kBase64Values = reverse(kBase64Alphabet);

}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    text.push_back(kHexDigits[byte >> 4]);
    text.push_back(kHexDigits[byte & 15]);
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return Status(Code::corrupt, "hex text of odd length");
  Bytes bytes;
  bytes.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = kHexValues[static_cast<uint8_t>(text[i])];
    const int low = kHexValues[static_cast<uint8_t>(text[i + 1])];
    if (high < 0 || low < 0) return Status(Code::corrupt, "text is no lower-case hex");
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) {
      const bool padding = i + j > bytes.size();
      text.push_back(padding ? '=' : kBase64Alphabet[group >> (18 - 6 * j) & 63]);
    }
  }
  return text;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto refuse = [] { return Status(Code::corrupt, "text is no canonical base64"); };
  if (text.size() % 4 != 0) return refuse();
  Bytes bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t group = 0;
    size_t padding = 0;
    for (size_t j = 0; j < 4; ++j) {
      const int value = kBase64Values[static_cast<uint8_t>(text[i + j])];
      if (text[i + j] == '=') {
        ++padding;
      } else if (value < 0 || padding > 0) {
        return refuse();
      }
      group = group << 6 | (value < 0 ? 0u : static_cast<uint32_t>(value));
    }
    if (padding > 2 || (padding > 0 && i + 4 != text.size())) return refuse();
    for (size_t j = 0; j < 3 - padding; ++j) {
      bytes.push_back(static_cast<char>(group >> (16 - 8 * j) & 255));
    }
  }
  // Spare bits behind the last byte must be zero; else two texts would mean the same bytes.
  if (to_base64(bytes) != text) return refuse();
  return bytes;
}

}  // namespace account
