// Coupling: what a collective does to the steps of ranks, without one. Nobody begins a step before
// all have begun the one before, as ranks that wait for each other in an all-reduce.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>

namespace account::e2e {

class Coupling {
 public:
  Coupling(const std::string& path, int rank, int world) : rank_(rank), world_(world) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT, 0644);
    if (fd < 0 || ftruncate(fd, kBytes) != 0) _exit(9);
    void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) _exit(9);
    begun_ = static_cast<std::atomic<uint64_t>*>(memory);
    close(fd);
  }

  // The middle of a step: all ranks meet in it, or hang for the one that does not come.
  void meet() {
    const uint64_t step = begun_[rank_].fetch_add(1) + 1;
    for (int other = 0; other < world_; ++other) {
      while (begun_[other].load() < step) usleep(100);
    }
  }

 private:
  static constexpr size_t kBytes = 4096;
  int rank_, world_;
  std::atomic<uint64_t>* begun_ = nullptr;
};

}  // namespace account::e2e
