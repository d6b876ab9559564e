// Names and doors of the private folders.
#include "tally/folders.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "tally/tally.h"

namespace account::tally {
namespace {

// 128 bits of any bytes: two multiplicative lanes (FNV-1a's prime and 2^64/phi) with murmur3's
// finalizer across them. It keeps runs apart and hides nothing but names: no protection against
// someone who wants a collision, and none is needed in a folder that only the owner can enter.
// libaccount/doc/tally_format.md has it in words, with an example.
class NameHash {
 public:
  void add(std::string_view field) {
    for (const char c : field) add_byte(static_cast<uint8_t>(c));
    for (uint64_t size = field.size(), i = 0; i < 8; ++i) {
      add_byte(static_cast<uint8_t>(size >> (8 * i)));
    }
  }
  std::string hex() const {
    const uint64_t first = finalized(a_ + b_), second = finalized(first ^ std::rotl(b_, 32));
    std::string bytes;
    for (const uint64_t word : {first, second}) {
      for (uint64_t shift = 64; shift > 0; shift -= 8) {
        bytes.push_back(static_cast<char>(word >> (shift - 8)));
      }
    }
    return to_hex(bytes);
  }

 private:
  void add_byte(uint8_t byte) {
    a_ = (a_ ^ byte) * 0x100000001B3ull;
    b_ = std::rotl((b_ ^ byte) * 0x9E3779B97F4A7C15ull, 29);
  }
  static uint64_t finalized(uint64_t word) {
    word = (word ^ word >> 33) * 0xFF51AFD7ED558CCDull;
    word = (word ^ word >> 33) * 0xC4CEB9FE1A85EC53ull;
    return word ^ word >> 33;
  }

  uint64_t a_ = 0xCBF29CE484222325ull, b_ = 0;
};

Status refused(std::string_view folder, std::string_view why) {
  return Status(Code::io, std::string(folder) + " " + std::string(why),
                "remove it, or ask who made it");
}

// Opens the folder `name` in `parent` (AT_FDCWD: a path), making it where it is missing.
Result<Descriptor> enter(int parent, const std::string& name, const std::string& path) {
  if (mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST) {
    return errno_status("making", path, errno);
  }
  Descriptor folder(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) {
    if (errno == ELOOP || errno == ENOTDIR) return refused(path, "is no folder but a link or file");
    return errno_status("opening", path, errno);
  }
  struct stat facts{};
  if (fstat(folder.get(), &facts) != 0) return errno_status("looking at", path, errno);
  if (facts.st_uid != geteuid()) return refused(path, "belongs to another user");
  // To root /tmp itself is its own: closing it to others would take it from everybody.
  if ((facts.st_mode & S_ISVTX) != 0) return refused(path, "is shared by all users");
  if ((facts.st_mode & 0777) != 0700 && fchmod(folder.get(), 0700) != 0) {
    return errno_status("closing to others", path, errno);
  }
  return folder;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

Status errno_status(std::string_view what, std::string_view path, int error) {
  return Status(
      error == ENOENT ? Code::not_found : Code::io,
      std::string(what) + " " + std::string(path) + ": " + std::generic_category().message(error));
}

Result<Descriptor> open_private_folder(const std::string& folder) {
  const size_t slash = folder.rfind('/');
  if (slash == std::string::npos || slash == 0) return refused(folder, "is no place for a page");
  const std::string parent = folder.substr(0, slash);
  ACCOUNT_ASSIGN_OR_RETURN(const Descriptor outer, enter(AT_FDCWD, parent, parent));
  return enter(outer.get(), folder.substr(slash + 1), folder);
}

std::vector<std::string> page_folders(std::string_view absolute_dir, std::string_view run_id,
                                      std::string_view node) {
  NameHash hash;
  for (const std::string_view field : {absolute_dir, run_id, node}) hash.add(field);
  const std::string name = "account-" + std::to_string(geteuid()) + "/" + hash.hex();
  std::vector<std::string> folders = {"/dev/shm/" + name};
  // Where TMPDIR differs between a rank and its keeper, they still meet in /var/tmp.
  const char* tmpdir = std::getenv("TMPDIR");
  if (tmpdir != nullptr && tmpdir[0] == '/') folders.push_back(join_path(tmpdir, name));
  const std::string last = "/var/tmp/" + name;
  if (folders.back() != last) folders.push_back(last);
  return folders;
}

}  // namespace account::tally
