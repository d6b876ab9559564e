// Encoding, decoding and the hand-over of mailbox frames.
#include "keeper/mail_frame.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "base/exchange.h"

namespace account::keeper {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint32_t kAbsent = 0xFFFFFFFF;
constexpr uint32_t kMaxMembers = 1024;  // far more than the nodes asked for in one request

// By position, so that the numbers on the wire do not depend on the order of the enum.
constexpr std::array kWireCodes = {
    Code::ok,
    Code::invalid_argument,
    Code::not_found,
    Code::corrupt,
    Code::expired,
    Code::replayed,
    Code::out_of_scope,
    Code::unverified,
    Code::io,
    Code::unavailable,
    Code::internal,
    Code::threshold_reached,
    Code::shutdown_ordered,
};

uint8_t wire_code(Code code) {
  const auto found = std::find(kWireCodes.begin(), kWireCodes.end(), code);
  return static_cast<uint8_t>(found - kWireCodes.begin());  // the list is complete: a test says so
}

// Little-endian, as every machine that this library runs on; the format page says so.
template <typename Integer>
void put(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xFF));
  }
}

void put_text(std::string& out, std::string_view text) {
  put<uint32_t>(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

// Reads from the front; after the first fault everything reads as zero and `good()` is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  template <typename Integer>
  Integer take() {
    const std::string_view raw = take_bytes(sizeof(Integer));
    uint64_t value = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
    }
    return static_cast<Integer>(value);
  }
  std::string take_text(size_t limit) { return take_exactly(take<uint32_t>(), limit); }
  std::string take_exactly(size_t size, size_t limit) {
    if (size > limit) good_ = false;
    return std::string(take_bytes(size));
  }
  bool good() const { return good_; }
  bool finished() const { return good_ && rest_.empty(); }
  void fail() { good_ = false; }

 private:
  std::string_view take_bytes(size_t size) {
    if (!good_ || size > rest_.size()) {
      good_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  bool good_ = true;
};

Result<std::string> checked(std::string frame) {
  if (frame.size() > tally::kMailboxBytes) {
    return Status(Code::invalid_argument, "a mailbox frame of " + std::to_string(frame.size()) +
                                              " bytes is larger than the mailbox");
  }
  return frame;
}

}  // namespace

Result<std::string> encode(const MailRequest& request) {
  if (request.key.size() > Exchange::kMaxKeyBytes ||
      request.blob.size() > Exchange::kMaxBlobBytes || request.members.size() > kMaxMembers) {
    return Status(Code::invalid_argument, "the mail under '" + request.key + "' is too large");
  }
  std::string frame;
  put<uint8_t>(frame, kVersion);
  put<uint8_t>(frame, static_cast<uint8_t>(request.verb));
  put<uint16_t>(frame, 0);
  put<int64_t>(frame, request.deadline_monotonic_ns);
  put_text(frame, request.key);
  if (request.verb == MailRequest::Verb::post) {
    put_text(frame, request.blob);
  } else {
    put<uint32_t>(frame, static_cast<uint32_t>(request.members.size()));
    for (const std::string& member : request.members) put_text(frame, member);
  }
  return checked(std::move(frame));
}

Result<std::string> encode(const MailReply& reply) {
  std::string frame;
  put<uint8_t>(frame, kVersion);
  put<uint8_t>(frame, wire_code(reply.status.code()));
  put<uint16_t>(frame, 0);
  put_text(frame, reply.status.fault().substr(0, Exchange::kMaxKeyBytes));
  put<uint32_t>(frame, static_cast<uint32_t>(reply.blobs.size()));
  for (const auto& blob : reply.blobs) {
    if (blob.has_value()) {
      put_text(frame, *blob);
    } else {
      put<uint32_t>(frame, kAbsent);
    }
  }
  return checked(std::move(frame));
}

Result<MailRequest> decode_request(std::string_view bytes) {
  Reader reader(bytes);
  MailRequest request;
  if (reader.take<uint8_t>() != kVersion) reader.fail();
  const auto verb = reader.take<uint8_t>();
  if (verb != 1 && verb != 2) reader.fail();
  request.verb = static_cast<MailRequest::Verb>(verb);
  reader.take<uint16_t>();
  request.deadline_monotonic_ns = reader.take<int64_t>();
  request.key = reader.take_text(Exchange::kMaxKeyBytes);
  if (verb == 1) {
    request.blob = reader.take_text(Exchange::kMaxBlobBytes);
  } else {
    const uint32_t members = reader.take<uint32_t>();
    if (members > kMaxMembers) reader.fail();
    for (uint32_t i = 0; i < members && reader.good(); ++i) {
      request.members.push_back(reader.take_text(Exchange::kMaxKeyBytes));
    }
  }
  if (!reader.finished()) return Status(Code::corrupt, "a mailbox request does not parse");
  return request;
}

Result<MailReply> decode_reply(std::string_view bytes) {
  Reader reader(bytes);
  MailReply reply;
  if (reader.take<uint8_t>() != kVersion) reader.fail();
  const auto code = reader.take<uint8_t>();
  if (code >= kWireCodes.size()) reader.fail();
  reader.take<uint16_t>();
  const std::string fault = reader.take_text(Exchange::kMaxKeyBytes);
  const uint32_t blobs = reader.take<uint32_t>();
  if (blobs > kMaxMembers) reader.fail();
  for (uint32_t i = 0; i < blobs && reader.good(); ++i) {
    const uint32_t size = reader.take<uint32_t>();
    if (size == kAbsent) {
      reply.blobs.emplace_back(std::nullopt);
    } else {
      reply.blobs.emplace_back(reader.take_exactly(size, Exchange::kMaxBlobBytes));
    }
  }
  if (!reader.finished()) return Status(Code::corrupt, "a mailbox reply does not parse");
  reply.status = Status(kWireCodes[code], fault);
  return reply;
}

void put_mail(tally::MailboxHalf& half, uint32_t sequence, std::string_view bytes) noexcept {
  half.sequence.store(sequence - 1, std::memory_order_relaxed);  // odd: being written
  std::atomic_thread_fence(std::memory_order_release);
  std::memcpy(half.data, bytes.data(), bytes.size());
  half.bytes.store(static_cast<uint32_t>(bytes.size()), std::memory_order_relaxed);
  half.sequence.store(sequence, std::memory_order_release);
  wake(half);
}

void wake(const tally::MailboxHalf& half) noexcept {
  syscall(SYS_futex, &half.sequence, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::optional<std::string> get_mail(const tally::MailboxHalf& half, uint32_t sequence) {
  if (half.sequence.load(std::memory_order_acquire) != sequence) return std::nullopt;
  const uint32_t size = half.bytes.load(std::memory_order_relaxed);
  if (size > tally::kMailboxBytes) return std::nullopt;
  std::string bytes(half.data, size);
  std::atomic_thread_fence(std::memory_order_acquire);
  if (half.sequence.load(std::memory_order_relaxed) != sequence) return std::nullopt;
  return bytes;
}

void wait_for_mail(const tally::MailboxHalf& half, uint32_t seen, int64_t timeout_ns) noexcept {
  const timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  // Not FUTEX_PRIVATE: the waker is another process.
  syscall(SYS_futex, &half.sequence, FUTEX_WAIT, seen, &timeout, nullptr, 0);
}

}  // namespace account::keeper
