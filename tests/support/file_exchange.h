// FileExchange: an Exchange over a shared directory, for nodes that are processes of one machine.
// A blob is a file that appears by rename; keys become names with '/' turned into '_'.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/exchange.h"
#include "base/files.h"

namespace account::testing {

class FileExchange final : public Exchange {
 public:
  explicit FileExchange(std::string folder) : folder_(std::move(folder)) {}

  Status post(std::string_view key, std::string_view blob) override {
    ACCOUNT_RETURN_IF_ERROR(files_.make_directories(folder_, 0700));
    return files_.replace(path(key), blob, 0600);
  }

  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t deadline_monotonic_ns) override {
    std::vector<std::optional<std::string>> blobs(members.size());
    while (true) {
      bool complete = true;
      for (size_t i = 0; i < members.size(); ++i) {
        if (blobs[i].has_value()) continue;
        auto blob = files_.read(path(std::string(key) + "/" + members[i]), kMaxBlobBytes);
        if (blob.ok()) blobs[i] = std::move(blob).value();
        complete = complete && blobs[i].has_value();
      }
      if (complete || Clock::real().monotonic_ns() >= deadline_monotonic_ns) return blobs;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

 private:
  std::string path(std::string_view key) const {
    std::string name(key);
    for (char& letter : name) letter = letter == '/' ? '_' : letter;
    return join_path(folder_, name);
  }

  std::string folder_;
  FileSystem& files_ = FileSystem::real();
};

}  // namespace account::testing
