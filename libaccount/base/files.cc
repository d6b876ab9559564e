// The real file system. Must not know any format.
#include "base/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace account {
namespace {

Status system_failure(std::string_view action, const std::string& path, int error) {
  const Code code = error == ENOENT ? Code::not_found : Code::io;
  std::string next;
  if (error == ENOSPC || error == EDQUOT) next = "free some space on that file system";
  if (error == EACCES || error == EPERM || error == EROFS) next = "check its permissions";
  if (error == ENOENT || error == ENOTDIR) next = "check the path";
  return {code, fmt::format("cannot {} {}: {}", action, path, std::strerror(error)), next};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

int open_retrying(const std::string& path, int flags, int mode) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd, bytes.data(), bytes.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return system_failure("write", path, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return {};
}

class RealAppendFile final : public AppendFile {
 public:
  RealAppendFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Status append(std::string_view bytes) override { return write_all(fd_.get(), bytes, path_); }
  Status sync() override {
    if (::fdatasync(fd_.get()) != 0) return system_failure("sync", path_, errno);
    return {};
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class RealFileLock final : public FileLock {
 public:
  explicit RealFileLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

class RealReadFile final : public ReadFile {
 public:
  RealReadFile(int fd, std::string path, uint64_t size)
      : fd_(fd), path_(std::move(path)), size_(size) {}
  uint64_t size() const override { return size_; }

  Status read_at(uint64_t offset, char* to, size_t size) const override {
    while (size > 0) {
      const ssize_t got = ::pread(fd_.get(), to, size, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_failure("read", path_, errno);
      if (got == 0) return {Code::corrupt, fmt::format("{} ends at byte {}", path_, offset)};
      offset += static_cast<uint64_t>(got), to += got, size -= static_cast<size_t>(got);
    }
    return {};
  }

 private:
  Descriptor fd_;
  std::string path_;
  uint64_t size_;
};

Status rename_to(const std::string& temporary, const std::string& path) {
  if (::rename(temporary.c_str(), path.c_str()) == 0) return {};
  return system_failure("replace", path, errno);
}

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path) override {
    const int fd = open_retrying(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0) return system_failure("open", path, errno);
    return std::unique_ptr<AppendFile>(std::make_unique<RealAppendFile>(fd, path));
  }

  Result<std::string> read(const std::string& path, uint64_t cap) override {
    const Descriptor fd(open_retrying(path, O_RDONLY, 0));
    if (!fd.ok()) return system_failure("open", path, errno);
    std::string bytes;
    char buffer[64 * 1024];
    while (true) {
      const ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_failure("read", path, errno);
      if (got == 0) return bytes;
      bytes.append(buffer, static_cast<size_t>(got));
      if (bytes.size() > cap) {
        return Status(Code::corrupt, fmt::format("{} is longer than {} bytes", path, cap));
      }
    }
  }

  Status write_atomically(const std::string& path, std::string_view bytes, int mode) override {
    return write_whole(path, bytes, mode, {});
  }

  Status publish(const std::string& path, std::string_view bytes, int mode) override {
    return write_whole(path, bytes, mode, {.exact_mode = true});
  }

  Status replace(const std::string& path, std::string_view bytes, int mode) override {
    return write_whole(path, bytes, mode, {.exact_mode = true, .sync = false});
  }

  Status truncate(const std::string& path, uint64_t size) override {
    const Descriptor fd(open_retrying(path, O_WRONLY, 0));
    if (!fd.ok()) return system_failure("open", path, errno);
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0 || ::fsync(fd.get()) != 0) {
      return system_failure("truncate", path, errno);
    }
    return {};
  }

  Status remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return system_failure("remove", path, errno);
    return {};
  }

  Status make_directories(const std::string& path, int mode) override {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (!part.empty()) ACCOUNT_RETURN_IF_ERROR(make_directory(part, mode));
      if (end == std::string::npos) return {};
    }
  }

  Status sync_directory(const std::string& path) override {
    const Descriptor fd(open_retrying(path, O_RDONLY | O_DIRECTORY, 0));
    if (!fd.ok()) return system_failure("open", path, errno);
    // Some network file systems refuse to sync a folder; there is nothing more to be done on them.
    if (::fsync(fd.get()) != 0 && errno != EINVAL) return system_failure("sync", path, errno);
    return {};
  }

  bool exists(const std::string& path) override { return ::access(path.c_str(), F_OK) == 0; }

  Result<uint64_t> size(const std::string& path) override {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0) return system_failure("look at", path, errno);
    return static_cast<uint64_t>(info.st_size);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return system_failure("list", path, errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(folder)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    const int fd = open_retrying(path, O_RDWR | O_CREAT, 0644);
    if (fd < 0) return system_failure("open", path, errno);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      ::close(fd);
      if (error == EWOULDBLOCK) {
        return Status(Code::unavailable, fmt::format("{} is held by another process", path));
      }
      return system_failure("lock", path, error);
    }
    return std::unique_ptr<FileLock>(std::make_unique<RealFileLock>(fd));
  }

 private:
  Status make_directory(const std::string& path, int mode) {
    if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0) {
      // One that may be entered and not listed cannot be synced by us.
      const Status synced = sync_directory(folder_of(path));
      return ::access(folder_of(path).c_str(), R_OK) == 0 ? synced : Status();
    }
    const int error = errno;
    struct stat info{};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return {};
    return system_failure("make the folder", path, error == EEXIST ? ENOTDIR : error);
  }

  struct How {
    bool exact_mode = false;
    bool sync = true;
  };

  static Status write_new(const std::string& path, std::string_view bytes, int mode, bool sync) {
    const Descriptor fd(open_retrying(path, O_WRONLY | O_CREAT | O_EXCL, mode));
    if (!fd.ok()) return system_failure("create", path, errno);
    ACCOUNT_RETURN_IF_ERROR(write_all(fd.get(), bytes, path));
    if (sync && ::fsync(fd.get()) != 0) return system_failure("sync", path, errno);
    return {};
  }

  Status write_whole(const std::string& path, std::string_view bytes, int mode, const How& how) {
    static std::atomic<uint64_t> serial{0};
    const std::string temporary = fmt::format("{}.{}.{}.tmp", path, ::getpid(), serial++);
    Status written = write_new(temporary, bytes, mode, how.sync);
    if (written.ok() && how.exact_mode &&
        ::chmod(temporary.c_str(), static_cast<mode_t>(mode)) != 0) {
      written = system_failure("open to others", path, errno);
    }
    if (!written.ok()) {
      ::unlink(temporary.c_str());
      return written;
    }
    written = how.sync ? put_in_place(temporary, path) : rename_to(temporary, path);
    if (!written.ok()) ::unlink(temporary.c_str());
    return written;
  }
};

}  // namespace

FileSystem& FileSystem::real() {
  static RealFileSystem files;
  return files;
}

Status put_in_place(const std::string& temporary, const std::string& path) {
  ACCOUNT_RETURN_IF_ERROR(rename_to(temporary, path));
  return FileSystem::real().sync_directory(folder_of(path));
}

Result<std::unique_ptr<ReadFile>> open_read(const std::string& path) {
  const int fd = open_retrying(path, O_RDONLY, 0);
  if (fd < 0) return system_failure("open", path, errno);
  struct stat about{};
  if (::fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    ::close(fd);
    return Status(Code::io, fmt::format("{} is no regular file", path), "check the path");
  }
  return std::unique_ptr<ReadFile>(
      std::make_unique<RealReadFile>(fd, path, static_cast<uint64_t>(about.st_size)));
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string join_path(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  std::string path(folder);
  if (path.back() != '/') path.push_back('/');
  return path.append(name);
}

std::string base_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  if (path == "/") return "/";
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos ? path : path.substr(slash + 1));
}

std::string absolute_path(std::string_view path) {
  std::error_code error;
  // Made absolute first: weakly_canonical leaves a relative path relative where nothing exists.
  const auto rooted = std::filesystem::absolute(std::filesystem::path(path), error);
  const auto full = std::filesystem::weakly_canonical(rooted, error);
  std::string text = error ? std::string(path) : full.string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace account
