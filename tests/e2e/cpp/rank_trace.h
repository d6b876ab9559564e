// What a faulty rank says of itself in a file that it maps: written by one process, read by the
// test while it runs and after its death.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <ctime>
#include <string>

namespace account::e2e {

struct RankTrace {
  std::atomic<int64_t> pid{0};
  std::atomic<int64_t> steps_begun{0};
  std::atomic<int64_t> last_begun_ns{0};     // when it last began a step; wall clock
  std::atomic<int64_t> last_exported_ns{0};  // when it last could have exported; wall clock
  std::atomic<int64_t> stopped{0};           // 1: it was told to stop, and is about to end
};

inline int64_t wall_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Zeros at first. Never unmapped: both sides are short programs.
inline RankTrace* map_trace(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0644);
  if (fd < 0 || ftruncate(fd, sizeof(RankTrace)) != 0) return nullptr;
  void* memory = mmap(nullptr, sizeof(RankTrace), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return memory == MAP_FAILED ? nullptr : static_cast<RankTrace*>(memory);
}

}  // namespace account::e2e
