// Reading and writing of a page's control words.
#include "keeper/page_words.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace account::keeper {
namespace {

constexpr std::array kCodes = {
    Code::invalid_argument, Code::not_found, Code::corrupt,      Code::unverified,
    Code::expired,          Code::replayed,  Code::out_of_scope, Code::threshold_reached,
    Code::shutdown_ordered, Code::io,        Code::unavailable,  Code::internal,
};

// Cuts `text` before a byte that would split a UTF-8 character.
std::string_view cut(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return text.substr(0, limit);
}

}  // namespace

Acceptance acceptance(const tally::PageLayout& page) noexcept {
  return static_cast<Acceptance>(page.control.accepted.load(std::memory_order_acquire));
}

void set_acceptance(tally::PageLayout& page, Acceptance acceptance) noexcept {
  page.control.accepted.store(static_cast<uint32_t>(acceptance), std::memory_order_release);
}

void write_reason(tally::PageLayout& page, const Status& status) noexcept {
  std::string text(code_name(status.code()));
  text.append("\n").append(status.fault()).append("\n").append(status.next_step());
  const std::string_view kept = cut(text, sizeof(page.control.reason) - 1);
  std::memcpy(page.control.reason, kept.data(), kept.size());
  page.control.reason[kept.size()] = '\0';
}

Status read_reason(const tally::PageLayout& page) {
  const char* begin = page.control.reason;
  const std::string text(begin, std::find(begin, begin + sizeof(page.control.reason), '\0'));
  const size_t first = text.find('\n');
  if (first == std::string::npos) return Status(Code::internal, "the keeper gave no reason");
  const size_t second = std::min(text.find('\n', first + 1), text.size());
  const std::string fault = text.substr(first + 1, second - first - 1);
  const std::string next_step = second < text.size() ? text.substr(second + 1) : "";
  const auto code = std::find_if(kCodes.begin(), kCodes.end(), [&](Code candidate) {
    return code_name(candidate) == std::string_view(text).substr(0, first);
  });
  return Status(code == kCodes.end() ? Code::internal : *code, fault, next_step);
}

}  // namespace account::keeper
