// Road: an Exchange over a communicator of the job. The keeper's blob becomes this rank's record;
// every K edges all ranks gather their records; what others ask for is answered from the last
// gathering. Only totals travel.
//
// Thread safety: on_edge() on the training thread, the rest on the library thread. on_edge() never
// waits, neither for a lock nor for the device. After a failure it launches nothing any more.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/exchange.h"
#include "nccl/api.h"
#include "nccl/record.h"

namespace account::nccl {

class Road final : public Exchange {
 public:
  // `self`: who this rank is. Collective only in what follows: each rank must call on_edge() as
  // often as the others.
  static Result<std::shared_ptr<Road>> open(std::shared_ptr<Api> api, void* comm, void* stream,
                                            uint64_t every, const Record& self);
  ~Road() override;
  Road(const Road&) = delete;
  Road& operator=(const Road&) = delete;

  Status post(std::string_view key, std::string_view blob) override;
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t deadline_monotonic_ns) override;
  bool wants_edges() const override { return true; }
  void on_edge() noexcept override;

 private:
  // Two, so that a gathering is launched while the one before is still on its way to the host.
  struct Slot {
    void* send = nullptr;  // host memory
    void* receive = nullptr;
    void* mark = nullptr;
    bool launched = false;
  };

  Road(std::shared_ptr<Api> api, void* comm, void* stream, uint64_t every, const Record& self)
      : api_(std::move(api)), comm_(comm), stream_(stream), every_(every), self_(self) {}
  Status allocate();
  Status gather();
  Result<bool> is_free(Slot& slot);
  void take(const Slot& slot);

  const std::shared_ptr<Api> api_;
  void* const comm_;
  void* const stream_;
  const uint64_t every_;
  size_t ranks_ = 0;

  // The training thread's.
  uint64_t edges_ = 0, gatherings_ = 0;
  void* device_send_ = nullptr;
  void* device_receive_ = nullptr;
  std::array<Slot, 2> slots_;

  std::mutex mutex_;  // guards what follows
  Record self_;
  std::vector<Record> records_;  // of the last gathering that was read
  Status broken_;
};

}  // namespace account::nccl
