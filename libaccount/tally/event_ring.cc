// Frames in the event ring.
#include "tally/event_ring.h"

#include <algorithm>
#include <cstring>

namespace account::tally {
namespace {

void copy_to_ring(EventRing& ring, uint64_t at, const char* from, size_t size) noexcept {
  const size_t offset = at % kEventRingBytes;
  const size_t first = std::min(size, kEventRingBytes - offset);
  std::memcpy(ring.bytes + offset, from, first);
  std::memcpy(ring.bytes, from + first, size - first);
}

}  // namespace

bool write_event(EventRing& ring, EventKind kind, std::string_view text, size_t reserve) noexcept {
  const uint64_t head = ring.head.load(std::memory_order_relaxed);
  const uint64_t unread = head - ring.tail.load(std::memory_order_acquire);
  if (unread + frame_size(text.size()) + reserve > kEventRingBytes) return false;
  const FrameHead frame{static_cast<uint32_t>(text.size()), static_cast<uint32_t>(kind)};
  char bytes[sizeof(frame)];
  std::memcpy(bytes, &frame, sizeof(frame));
  copy_to_ring(ring, head, bytes, sizeof(bytes));
  copy_to_ring(ring, head + sizeof(bytes), text.data(), text.size());
  ring.head.store(head + frame_size(text.size()), std::memory_order_release);
  return true;
}

void copy_from_ring(const EventRing& ring, uint64_t at, char* to, size_t size) noexcept {
  const size_t offset = at % kEventRingBytes;
  const size_t first = std::min(size, kEventRingBytes - offset);
  std::memcpy(to, ring.bytes + offset, first);
  std::memcpy(to + first, ring.bytes, size - first);
}

}  // namespace account::tally
