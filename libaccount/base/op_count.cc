// OpCount as text. Must not know what is counted.
#include "account/op_count.h"

#include <algorithm>

namespace account {
namespace {

constexpr size_t kMaxDigits = 39;  // of 2^128 - 1

Status no_number(std::string_view text, std::string_view fault) {
  std::string shown(text.substr(0, 60));
  return {Code::invalid_argument, "'" + shown + "' " + std::string(fault),
          "give a whole number of operations such as 3000000000 or 3e25"};
}

// `digits` holds only digits. Nothing when the value does not fit.
std::optional<OpCount> accumulate(std::string_view digits) {
  constexpr size_t kFit = 19;  // digits, into 64 bits whatever they are
  uint64_t head = 0;
  for (const char digit : digits.substr(0, kFit)) {
    head = head * 10 + static_cast<uint64_t>(digit - '0');
  }
  OpCount value = head;
  for (const char digit : digits.substr(std::min(digits.size(), kFit))) {
    const auto times_ten = checked_multiply(value, 10);
    if (!times_ten) return std::nullopt;
    const auto next = checked_add(*times_ten, static_cast<uint64_t>(digit - '0'));
    if (!next) return std::nullopt;
    value = *next;
  }
  return value;
}

bool all_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<OpCount> OpCount::from_decimal(std::string_view digits) {
  if (!all_digits(digits)) return no_number(digits, "is no decimal number");
  if (digits.size() > 1 && digits[0] == '0') return no_number(digits, "has a leading zero");
  if (digits.size() > kMaxDigits) return no_number(digits, "does not fit into 128 bits");
  const auto value = accumulate(digits);
  if (!value) return no_number(digits, "does not fit into 128 bits");
  return *value;
}

Result<OpCount> OpCount::from_text(std::string_view text) {
  std::string mantissa(text);
  int exponent = 0;
  if (const size_t e = mantissa.find_first_of("eE"); e != std::string::npos) {
    std::string_view power = std::string_view(text).substr(e + 1);
    if (!power.empty() && power[0] == '+') power.remove_prefix(1);
    if (!all_digits(power)) return no_number(text, "is no number");
    if (power.size() > 2) return no_number(text, "does not fit into 128 bits");
    exponent = std::stoi(std::string(power));
    mantissa.resize(e);
  }
  for (size_t i = 0; i < mantissa.size(); ++i) {
    const bool between_digits = i > 0 && i + 1 < mantissa.size() && mantissa[i - 1] != '_' &&
                                mantissa[i + 1] != '_' && mantissa[i - 1] != '.' &&
                                mantissa[i + 1] != '.';
    if (mantissa[i] == '_' && !between_digits) return no_number(text, "is no number");
  }
  std::erase(mantissa, '_');
  std::string fraction;
  if (const size_t point = mantissa.find('.'); point != std::string::npos) {
    fraction = mantissa.substr(point + 1);
    mantissa.resize(point);
    if (!all_digits(fraction)) return no_number(text, "is no number");
  }
  if (!all_digits(mantissa)) return no_number(text, "is no number");
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  if (fraction.size() > static_cast<size_t>(exponent)) return no_number(text, "is not whole");
  std::string digits = mantissa + fraction;
  digits.append(static_cast<size_t>(exponent) - fraction.size(), '0');
  const size_t first = std::min(digits.find_first_not_of('0'), digits.size() - 1);
  const auto value = accumulate(std::string_view(digits).substr(first));
  if (!value) return no_number(text, "does not fit into 128 bits");
  return *value;
}

std::string OpCount::to_decimal() const {
  std::string digits;
  Uint128 rest = value_;
  do {
    digits.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  } while (rest != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

std::string OpCount::to_short() const {
  std::string digits = to_decimal();
  if (digits.size() <= 3) return digits;
  int leading = std::stoi(digits.substr(0, 3));
  if (digits[3] >= '5') ++leading;  // half up
  size_t exponent = digits.size() - 1;
  if (leading == 1000) {
    leading = 100;
    ++exponent;
  }
  const std::string three = std::to_string(leading);
  return three.substr(0, 1) + "." + three.substr(1) + (exponent < 10 ? "e+0" : "e+") +
         std::to_string(exponent);
}

}  // namespace account
