// DirectoryExchange: an Exchange over a folder that all nodes of a job can write, for jobs without
// a c10d store. libaccount/doc/exchange_directory.md.
//
// The keeper uses it itself, so no rank has to carry mail. A blob is a file that appears by rename.
// Left-over blobs count for nothing: one is taken only while its file is younger than kFreshNs, by
// the clock of the file system, which is read off the file that this keeper wrote last. Without a
// post of its own within that time nothing is fresh. The destructor takes its own files away.
//
// Used by one thread at a time. A folder on a server that hangs holds that thread and nothing else.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/exchange.h"
#include "base/files.h"

namespace account::keeper {

class DirectoryExchange final : public Exchange {
 public:
  // A keeper posts every two seconds (job_totals.cc); this leaves room for a slow file server.
  static constexpr int64_t kFreshNs = 30'000'000'000;

  // `folder`: <exchange>/<run id>; made at the first post. `clock` gives the deadlines only.
  DirectoryExchange(std::string folder, FileSystem& files, const Clock& clock)
      : folder_(std::move(folder)), files_(files), clock_(clock) {}
  ~DirectoryExchange() override;
  DirectoryExchange(const DirectoryExchange&) = delete;
  DirectoryExchange& operator=(const DirectoryExchange&) = delete;

  Status post(std::string_view key, std::string_view blob) override;
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t deadline_monotonic_ns) override;

 private:
  Result<std::string> path_of(std::string_view key) const;
  bool is_fresh(const std::string& path) const;

  const std::string folder_;
  FileSystem& files_;
  const Clock& clock_;
  std::set<std::string> posted_;
  std::string last_posted_;
};

}  // namespace account::keeper
