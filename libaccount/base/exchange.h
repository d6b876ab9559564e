// Exchange: how the nodes of one job pass small blobs to each other. An interface; the roads
// (the job's c10d store, a shared directory, NCCL) are built further down the house.
//
// The absent are known by name: collect() answers for each member with its blob or with nothing.
// Implementations are used by one thread at a time and may block until their deadline, never
// beyond. A blob is at most kMaxBlobBytes and is untrusted: whoever reads it verifies it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/status.h"

namespace account {

class ACCOUNT_API Exchange {
 public:
  static constexpr size_t kMaxKeyBytes = 256;
  static constexpr size_t kMaxBlobBytes = size_t{32} * 1024;

  virtual ~Exchange() = default;

  // Makes `blob` visible to all members under `key`, replacing what this key had.
  virtual Status post(std::string_view key, std::string_view blob) = 0;

  // The blobs that members posted under "<key>/<member>", in the order of `members`; nothing for a
  // member that has not posted by `deadline_monotonic_ns` (a deadline in the past asks once).
  virtual Result<std::vector<std::optional<std::string>>> collect(
      std::string_view key, const std::vector<std::string>& members,
      int64_t deadline_monotonic_ns) = 0;

  // For a road that is a collective of the ranks: after each step edge that the rank has passed,
  // the training thread calls on_edge(), where wants_edges() says so. It must not wait.
  virtual bool wants_edges() const { return false; }
  virtual void on_edge() noexcept {}
};

}  // namespace account
