// The private folders in which pages lie: made with care, since /dev/shm and /var/tmp are open to
// every user of the machine. Must not know what a page holds.
#pragma once

#include <string>
#include <string_view>

#include "account/status.h"

namespace account::tally {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

// Opens `folder`, made with mode 0700 where it is missing (its parent too; that one's parent must
// exist). Refuses, naming it, a symbolic link in either place and what belongs to another user.
Result<Descriptor> open_private_folder(const std::string& folder);

// errno as a failure: "<what> <path>: No such file or directory".
Status errno_status(std::string_view what, std::string_view path, int error);

}  // namespace account::tally
