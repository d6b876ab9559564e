// FakeNccl: NCCL and a device for machines without either. Ranks are processes that meet in a
// shared file; a stream is a thread that does in order what was put on it; "device" memory is
// memory. So a gathering really goes from process to process, and really waits for a rank that does
// not join.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "nccl/api.h"

namespace account::testing {

// A communicator: one of `ranks` processes that opened the same file.
class FakeComm {
 public:
  static constexpr size_t kMostRanks = 64, kSlotBytes = 256;

  FakeComm(const std::string& path, int rank, int ranks) : rank_(rank), ranks_(ranks) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(Board)) != 0) std::abort();
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) std::abort();
    board_ = static_cast<Board*>(memory);
  }
  ~FakeComm() { munmap(board_, sizeof(Board)); }
  FakeComm(const FakeComm&) = delete;
  FakeComm& operator=(const FakeComm&) = delete;

  int ranks() const { return ranks_; }
  // Blocks until all ranks are there, or the process gives up.
  bool all_gather(const void* from, void* to, size_t bytes, const std::atomic<bool>& give_up) {
    const uint64_t turn = ++turn_;
    Rank& own = board_->ranks[rank_];
    std::memcpy(own.slots[turn % 2], from, bytes);
    own.turn.store(turn, std::memory_order_release);
    for (int rank = 0; rank < ranks_; ++rank) {
      Rank& other = board_->ranks[rank];
      while (other.turn.load(std::memory_order_acquire) < turn) {
        if (give_up.load()) return false;
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
      std::memcpy(static_cast<char*>(to) + static_cast<size_t>(rank) * bytes, other.slots[turn % 2],
                  bytes);
    }
    return true;
  }

 private:
  struct Rank {
    std::atomic<uint64_t> turn;  // the last that it has joined
    char slots[2][kSlotBytes];   // of its last two turns: nobody can be further behind
  };
  struct Board {
    Rank ranks[kMostRanks];
  };

  const int rank_, ranks_;
  uint64_t turn_ = 0;
  Board* board_ = nullptr;
};

class FakeStream {
 public:
  FakeStream() : thread_(&FakeStream::loop, this) {}
  ~FakeStream() {
    give_up.store(true);
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  FakeStream(const FakeStream&) = delete;
  FakeStream& operator=(const FakeStream&) = delete;

  void put(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back(std::move(work));
    }
    wake_.notify_all();
  }
  std::atomic<bool> give_up = false;

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return over_ || !work_.empty(); });
      if (over_) return;
      auto work = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> work_;
  bool over_ = false;
  std::thread thread_;
};

class FakeNccl final : public nccl::Api {
 public:
  std::atomic<int> gatherings_put = 0;
  std::atomic<int> allocations = 0;  // less what was freed
  bool fails = false;                // the next collectives

  Result<int> ranks_of(void* comm) override { return static_cast<FakeComm*>(comm)->ranks(); }
  Status all_gather(const void* from, void* to, size_t bytes, void* comm, void* stream) override {
    if (fails) return Status(Code::unavailable, "ncclAllGather: unhandled system error");
    ++gatherings_put;
    auto* on = static_cast<FakeStream*>(stream);
    on->put([=] { static_cast<FakeComm*>(comm)->all_gather(from, to, bytes, on->give_up); });
    return Status();
  }
  Result<void*> device_memory(size_t bytes) override { return host_memory(bytes); }
  Result<void*> host_memory(size_t bytes) override {
    ++allocations;
    memory_.push_back(std::make_unique<char[]>(bytes));
    return static_cast<void*>(memory_.back().get());
  }
  void free_device(void* memory) override { free_host(memory); }
  void free_host(void*) override { --allocations; }
  Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) override {
    static_cast<FakeStream*>(stream)->put([=] { std::memcpy(to, from, bytes); });
    return Status();
  }
  Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) override {
    return copy_to_device(to, from, bytes, stream);
  }
  Result<void*> make_mark() override {
    ++allocations;
    return static_cast<void*>(&marks_.emplace_back(0));
  }
  void free_mark(void*) override { --allocations; }
  Status put_mark(void* mark, void* stream) override {
    auto* pending = static_cast<std::atomic<int>*>(mark);
    pending->fetch_add(1);
    static_cast<FakeStream*>(stream)->put([=] { pending->fetch_sub(1); });
    return Status();
  }
  Result<bool> passed(void* mark) override {
    return static_cast<std::atomic<int>*>(mark)->load() == 0;
  }

 private:
  // Kept to its own end, which comes after that of its streams.
  std::vector<std::unique_ptr<char[]>> memory_;
  std::deque<std::atomic<int>> marks_;
};

}  // namespace account::testing
