// Making a page: a file that is wholly allocated before anyone sees it, or plain memory.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/random.h"
#include "tally/folders.h"
#include "tally/tally.h"

namespace account::tally {
namespace {

constexpr size_t kPageBytes = sizeof(PageLayout);
constexpr size_t kNameBytes = 8;  // random; 16 hex in the file's name

void write_header(Header& header, const Identity& identity) {
  const std::string incarnation = random_bytes(sizeof(header.incarnation));
  std::memcpy(header.incarnation, incarnation.data(), incarnation.size());
  if (const auto parent = from_hex(identity.parent_incarnation);
      parent.ok() && parent->size() == sizeof(header.parent)) {
    std::memcpy(header.parent, parent->data(), parent->size());
  }
  header.pid = static_cast<uint32_t>(getpid());
  header.start_ticks = process_start_ticks(getpid());
  header.rank = identity.rank;
  header.world_size = identity.world_size;
  header.local_rank = identity.local_rank;
  header.local_world_size = identity.local_world_size;
  header.restart_count = identity.restart_count;
  header.created_unix_ns = Clock::real().unix_ns();
  header.declaration_bytes = static_cast<uint32_t>(identity.declaration.size());
  std::memcpy(header.declaration, identity.declaration.data(), identity.declaration.size());
  header.page_bytes = static_cast<uint32_t>(kPageBytes);
  header.layout_version = kLayoutVersion;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
}

// All but the header is zeros, which is what fresh memory is.
PageLayout* begin_page(void* memory, const Identity& identity) {
  auto* layout = static_cast<PageLayout*>(memory);
  write_header(layout->header, identity);
  layout->edge.state.store(static_cast<uint32_t>(RankState::running), std::memory_order_relaxed);
  layout->edge.next_edge.store(1, std::memory_order_release);
  return layout;
}

// Gives the file its size and every block of it. The zeros are written by write(2) as well, which
// reports a full disk where a file system only promises; a fault in the mapping would be a SIGBUS
// in the middle of training.
Status allocate(int fd, const std::string& path) {
  rlimit most{};
  // Growing a file beyond this limit raises SIGXFSZ, which ends the process.
  if (getrlimit(RLIMIT_FSIZE, &most) == 0 && most.rlim_cur < kPageBytes) {
    return Status(Code::io, "allocating " + path + ": the limit on file sizes is below a page's " +
                                std::to_string(kPageBytes) + " bytes");
  }
  if (const int error = posix_fallocate(fd, 0, kPageBytes); error != 0) {
    return errno_status("allocating", path, error);
  }
  const std::string zeros(size_t{64} * 1024, '\0');
  for (size_t at = 0; at < kPageBytes;) {
    const ssize_t wrote =
        pwrite(fd, zeros.data(), std::min(zeros.size(), kPageBytes - at), static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return errno_status("allocating", path, wrote < 0 ? errno : ENOSPC);
    at += static_cast<size_t>(wrote);
  }
  return Status();
}

struct PageFile {
  PageLayout* layout;
  std::string path;
};

// Under a name that no reader looks for until the header is complete.
Result<PageFile> write_page_file(const std::string& folder, const Identity& identity) {
  ACCOUNT_ASSIGN_OR_RETURN(const Descriptor parent, open_private_folder(folder));
  const std::string name = to_hex(random_bytes(kNameBytes));
  const std::string unborn = name + ".new", born = name + ".tally";
  const std::string path = folder + "/" + born;
  const Descriptor file(openat(parent.get(), unborn.c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return errno_status("making", path, errno);
  Status status = allocate(file.get(), path);
  void* memory = MAP_FAILED;
  if (status.ok()) {
    memory =
        mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file.get(), 0);
    if (memory == MAP_FAILED) status = errno_status("mapping", path, errno);
  }
  if (status.ok()) {
    begin_page(memory, identity);
    if (renameat(parent.get(), unborn.c_str(), parent.get(), born.c_str()) != 0) {
      status = errno_status("naming", path, errno);
    }
  }
  if (status.ok()) return PageFile{static_cast<PageLayout*>(memory), path};
  if (memory != MAP_FAILED) munmap(memory, kPageBytes);
  unlinkat(parent.get(), unborn.c_str(), 0);
  return status;
}

}  // namespace

Result<std::unique_ptr<Page>> Page::create(const std::vector<std::string>& folders,
                                           const Identity& identity) {
  if (identity.declaration.size() > static_cast<size_t>(kDeclarationBytes)) {
    return Status(Code::invalid_argument,
                  "the job's declaration has " + std::to_string(identity.declaration.size()) +
                      " bytes, and a page holds " + std::to_string(kDeclarationBytes),
                  "shorten the names of the model and its policies");
  }
  std::string why_not;
  for (const std::string& folder : folders) {
    auto file = write_page_file(folder, identity);
    if (!file.ok()) {
      why_not.append(why_not.empty() ? "" : "; ").append(file.status().fault());
      continue;
    }
    std::unique_ptr<Page> page(new Page);
    page->layout_ = file->layout;
    page->path_ = file->path;
    page->why_not_shared_ = why_not;
    page->folders_ = folders;
    page->identity_ = identity;
    return page;
  }
  auto page = create_in_memory(identity);
  page->why_not_shared_ = folders.empty() ? "no folder was given" : why_not;
  page->folders_ = folders;
  return page;
}

std::unique_ptr<Page> Page::create_in_memory(const Identity& identity) {
  void* memory = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  std::unique_ptr<Page> page(new Page);
  page->layout_ = begin_page(memory, identity);
  page->identity_ = identity;
  return page;
}

Page::~Page() { munmap(layout_, kPageBytes); }

}  // namespace account::tally
