// FaultFiles: the real file system, with a fault at an operation of your choice.
//
//   FaultFiles files;
//   write_something(files);                         // a dry run counts the operations
//   for (size_t n = 0; n < total; ++n) {
//     FaultFiles crashing;
//     crashing.crash_at(n);                         // nothing from operation n on is applied
//     write_something(crashing);
//     EXPECT_THAT(recover(FileSystem::real()), ...)
//   }
//
// Counted are the operations that change the disk, from 0: open_append of a new file, append, sync,
// truncate, remove, make_directories, sync_directory, and two for write_atomically: the temporary
// file, and the rename. Reading is never counted; after a crash it fails like everything else.
// A crash keeps a temporary file that was written, as a real one does.
// Not thread-safe. Files opened through it must not outlive it.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace account::testing {

class FaultFiles final : public FileSystem {
 public:
  explicit FaultFiles(FileSystem& real = FileSystem::real()) : real_(real) {}

  // Operation `n` fails with this errno and changes nothing; those after it work again unless
  // `for_good`. An append that fails with ENOSPC writes its first half, as a full disk does.
  void fail_at(size_t n, int error, bool for_good = false) {
    fault_ = {n, error, for_good, false, std::nullopt};
  }
  // The machine goes down at operation `n`. If that is an append, its first `torn_bytes` bytes
  // still reach the disk.
  void crash_at(size_t n, std::optional<size_t> torn_bytes = std::nullopt) {
    fault_ = {n, EIO, true, true, torn_bytes};
  }
  // After the crash: takes from each file what was appended but not synced, which a power cut may
  // do. Returns how many bytes went.
  uint64_t lose_unsynced() {
    uint64_t lost = 0;
    for (const auto& [path, synced] : synced_size_) {
      const auto now = real_.size(path);
      if (!now.ok() || *now <= synced) continue;
      lost += *now - synced;
      const Status cut = real_.truncate(path, synced);
      if (!cut.ok()) return 0;
    }
    return lost;
  }

  size_t operations() const { return log_.size(); }
  // What was asked for, e.g. "append /tmp/x/ledger.jsonl 120".
  const std::vector<std::string>& log() const { return log_; }
  bool reached() const { return fault_.has_value() && log_.size() > fault_->at; }
  bool crashed() const { return reached() && fault_->is_crash; }

  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path) override {
    const bool is_new = !real_.exists(path);
    if (is_new) ACCOUNT_RETURN_IF_ERROR(before("create", path));
    ACCOUNT_RETURN_IF_ERROR(running("open", path));
    ACCOUNT_ASSIGN_OR_RETURN(auto file, real_.open_append(path));
    ACCOUNT_ASSIGN_OR_RETURN(const uint64_t size, real_.size(path));
    synced_size_.emplace(path, size);
    return std::unique_ptr<AppendFile>(
        std::make_unique<FaultAppendFile>(*this, path, std::move(file)));
  }
  Result<std::string> read(const std::string& path, uint64_t cap) override {
    ACCOUNT_RETURN_IF_ERROR(running("read", path));
    return real_.read(path, cap);
  }
  Status write_atomically(const std::string& path, std::string_view bytes, int mode) override {
    ACCOUNT_RETURN_IF_ERROR(before("write", path));
    if (const Status renamed = before("rename", path); !renamed.ok()) {
      if (crashed()) return leave_temporary(path, bytes, mode, renamed);
      return renamed;
    }
    synced_size_.erase(path);
    return real_.write_atomically(path, bytes, mode);
  }
  Status truncate(const std::string& path, uint64_t size) override {
    ACCOUNT_RETURN_IF_ERROR(before("truncate", path));
    ACCOUNT_RETURN_IF_ERROR(real_.truncate(path, size));
    synced_size_[path] = size;
    return {};
  }
  Status remove(const std::string& path) override {
    ACCOUNT_RETURN_IF_ERROR(before("remove", path));
    synced_size_.erase(path);
    return real_.remove(path);
  }
  Status make_directories(const std::string& path, int mode) override {
    ACCOUNT_RETURN_IF_ERROR(before("make", path));
    return real_.make_directories(path, mode);
  }
  Status sync_directory(const std::string& path) override {
    ACCOUNT_RETURN_IF_ERROR(before("sync", path));
    return real_.sync_directory(path);
  }
  bool exists(const std::string& path) override { return !crashed() && real_.exists(path); }
  Result<uint64_t> size(const std::string& path) override {
    ACCOUNT_RETURN_IF_ERROR(running("look at", path));
    return real_.size(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    ACCOUNT_RETURN_IF_ERROR(running("list", path));
    return real_.list(path);
  }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    ACCOUNT_RETURN_IF_ERROR(running("lock", path));
    return real_.lock(path);
  }

 private:
  struct Fault {
    size_t at;
    int error;
    bool for_good;
    bool is_crash;
    std::optional<size_t> torn_bytes;
  };

  class FaultAppendFile final : public AppendFile {
   public:
    FaultAppendFile(FaultFiles& files, std::string path, std::unique_ptr<AppendFile> real)
        : files_(files), path_(std::move(path)), real_(std::move(real)) {}

    Status append(std::string_view bytes) override {
      const bool was_down = files_.crashed();
      const Status allowed = files_.before("append", path_, std::to_string(bytes.size()));
      if (allowed.ok()) return real_->append(bytes);
      const size_t torn = was_down ? 0 : files_.torn_size(bytes.size());
      if (torn > 0) ACCOUNT_RETURN_IF_ERROR(real_->append(bytes.substr(0, torn)));
      return allowed;
    }
    Status sync() override {
      ACCOUNT_RETURN_IF_ERROR(files_.before("sync", path_));
      ACCOUNT_RETURN_IF_ERROR(real_->sync());
      ACCOUNT_ASSIGN_OR_RETURN(files_.synced_size_[path_], files_.real_.size(path_));
      return {};
    }

   private:
    FaultFiles& files_;
    std::string path_;
    std::unique_ptr<AppendFile> real_;
  };

  // Counts one operation and says whether it may happen.
  Status before(std::string_view action, const std::string& path, const std::string& detail = {}) {
    const size_t index = log_.size();
    log_.push_back(std::string(action) + " " + path + (detail.empty() ? "" : " " + detail));
    const bool hit =
        fault_.has_value() && (index == fault_->at || (fault_->for_good && index > fault_->at));
    return hit ? failure(action, path) : Status();
  }
  Status running(std::string_view action, const std::string& path) const {
    return crashed() ? failure(action, path) : Status();
  }
  Status failure(std::string_view action, const std::string& path) const {
    const std::string why = fault_->is_crash ? "the machine is down" : std::strerror(fault_->error);
    return {Code::io, "cannot " + std::string(action) + " " + path + ": " + why};
  }
  // How much of an append that was refused reaches the disk all the same.
  size_t torn_size(size_t size) const {
    if (fault_->is_crash) return std::min(fault_->torn_bytes.value_or(0), size);
    return fault_->error == ENOSPC ? size / 2 : 0;
  }
  Status leave_temporary(const std::string& path, std::string_view bytes, int mode,
                         const Status& crash) {
    if (log_.size() != fault_->at + 1) return crash;  // down already before the temporary file
    ACCOUNT_RETURN_IF_ERROR(real_.write_atomically(path + ".1.0.tmp", bytes, mode));
    return crash;
  }

  FileSystem& real_;
  std::optional<Fault> fault_;
  std::vector<std::string> log_;
  std::map<std::string, uint64_t> synced_size_;  // of the files that were opened to append
};

}  // namespace account::testing
