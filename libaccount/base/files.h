// The file operations that evidence rests on, behind an interface so that tests can enumerate
// crashes and refusals. Must not know any format.
//
// Every failure is Code::io (not_found where the path does not exist) and names path and errno.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/status.h"

namespace account {

// An open file that only grows. Not thread-safe. Closes itself.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  virtual Status append(std::string_view bytes) = 0;  // all of it, or a failure
  virtual Status sync() = 0;                          // fdatasync
};

// A file that is read by position, for those too large to be in memory. Thread-safe.
class ReadFile {
 public:
  virtual ~ReadFile() = default;
  virtual uint64_t size() const = 0;  // when it was opened
  // Exactly `size` bytes from `offset` on; corrupt where the file ends before.
  virtual Status read_at(uint64_t offset, char* to, size_t size) const = 0;
};

// Holds an flock(2) until destroyed; released by the kernel when the process dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class ACCOUNT_API FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<AppendFile>> open_append(const std::string& path) = 0;  // creates
  // The whole file; `cap` bytes at most, a longer one is refused as corrupt.
  virtual Result<std::string> read(const std::string& path, uint64_t cap) = 0;
  // All or nothing: temporary file in the same folder, sync, rename, sync of the folder. `mode` is
  // less the umask, as for every file that a user makes for himself.
  virtual Status write_atomically(const std::string& path, std::string_view bytes, int mode) = 0;
  // The same for what others have to read: exactly this mode.
  virtual Status publish(const std::string& path, std::string_view bytes, int mode) {
    return write_atomically(path, bytes, mode);
  }
  // The same without waiting for the disk: for what nobody misses after a crash of the machine.
  virtual Status replace(const std::string& path, std::string_view bytes, int mode) {
    return publish(path, bytes, mode);
  }
  virtual Status truncate(const std::string& path, uint64_t size) = 0;  // and syncs
  virtual Status remove(const std::string& path) = 0;
  // Existing ones are fine; the names of new ones are synced.
  virtual Status make_directories(const std::string& path, int mode) = 0;
  virtual Status sync_directory(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual Result<uint64_t> size(const std::string& path) = 0;
  // Names (not paths) of the entries, sorted, without "." and "..".
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;
  // Does not wait: unavailable when another process holds it. Creates the file if need be.
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;

  static FileSystem& real();  // lives for ever; thread-safe
};

// Of the real file system: weights are too large for an interface that hands out whole files.
Result<std::unique_ptr<ReadFile>> open_read(const std::string& path);

// Of the real file system: gives what was written and synced under another name of the same folder
// its own, in place of what had it, and syncs the folder.
Status put_in_place(const std::string& temporary, const std::string& path);

std::string join_path(std::string_view folder, std::string_view name);
std::string base_name(std::string_view path);
std::string folder_of(const std::string& path);  // "." for a bare name
// Absolute and without symbolic links as far as the path exists; the rest is appended as it is.
std::string absolute_path(std::string_view path);

}  // namespace account
