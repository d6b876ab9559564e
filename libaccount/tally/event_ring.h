// The event ring's frames: the writing half. The reading half is PageView::take_events (view.cc).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tally/layout.h"
#include "tally/tally.h"

namespace account::tally {

// Room that only refused exports may use: some dozens of them, should a keeper be away for long.
inline constexpr size_t kExportReserve = size_t{8} * 1024;

struct FrameHead {
  uint32_t bytes;
  uint32_t kind;  // EventKind
};
static_assert(sizeof(FrameHead) == 8);

constexpr uint64_t frame_size(uint64_t bytes) { return sizeof(FrameHead) + (bytes + 7) / 8 * 8; }

// Appends one frame; false, and nothing is changed, if that would leave less than `reserve` free.
// One writer at a time.
bool write_event(EventRing& ring, EventKind kind, std::string_view text, size_t reserve) noexcept;

// Copies `size` bytes at stream position `at`, around the end where need be.
void copy_from_ring(const EventRing& ring, uint64_t at, char* to, size_t size) noexcept;

}  // namespace account::tally
