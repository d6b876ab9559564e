// Blobs as files in a folder.
#include "keeper/directory_exchange.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Ranks of one job are one user's, on several nodes.
constexpr int kFolderMode = 0700, kFileMode = 0600;
constexpr auto kPollPause = std::chrono::milliseconds(20);

std::optional<int64_t> changed_ns(const std::string& path) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) != 0) return std::nullopt;
  return facts.st_mtim.tv_sec * kSecond + facts.st_mtim.tv_nsec;
}

}  // namespace

DirectoryExchange::~DirectoryExchange() {
  for (const std::string& path : posted_) (void)files_.remove(path).ok();
}

// "total/3" is the file "total.3": a key has no other characters than these.
Result<std::string> DirectoryExchange::path_of(std::string_view key) const {
  std::string name(key);
  for (char& letter : name) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
    if (letter == '/') {
      letter = '.';
    } else if (!plain) {
      return Status(Code::invalid_argument, "'" + name + "' is no key of an exchange");
    }
  }
  return join_path(folder_, name);
}

Status DirectoryExchange::post(std::string_view key, std::string_view blob) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string path, path_of(key));
  if (blob.size() > kMaxBlobBytes) {
    return Status(Code::invalid_argument, "a blob of an exchange is longer than 32 KiB");
  }
  if (posted_.empty()) ACCOUNT_RETURN_IF_ERROR(files_.make_directories(folder_, kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files_.replace(path, blob, kFileMode));
  posted_.insert(path);
  last_posted_ = path;
  return Status();
}

bool DirectoryExchange::is_fresh(const std::string& path) const {
  const auto own = changed_ns(last_posted_);
  const auto other = changed_ns(path);
  return own && other && *own - *other < kFreshNs;
}

Result<std::vector<std::optional<std::string>>> DirectoryExchange::collect(
    std::string_view key, const std::vector<std::string>& members, int64_t deadline_monotonic_ns) {
  std::vector<std::optional<std::string>> blobs(members.size());
  while (true) {
    bool complete = true;
    for (size_t i = 0; i < members.size(); ++i) {
      if (blobs[i].has_value()) continue;
      ACCOUNT_ASSIGN_OR_RETURN(const std::string path,
                               path_of(std::string(key) + "/" + members[i]));
      if (is_fresh(path)) {
        auto blob = files_.read(path, kMaxBlobBytes);
        if (blob.ok()) blobs[i] = std::move(blob).value();
      }
      complete = complete && blobs[i].has_value();
    }
    if (complete || clock_.monotonic_ns() >= deadline_monotonic_ns) return blobs;
    std::this_thread::sleep_for(kPollPause);
  }
}

}  // namespace account::keeper
