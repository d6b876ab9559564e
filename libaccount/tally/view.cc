// PageView: another process's page. Every byte of it is somebody else's: checked before it is used,
// and copied before it is checked where it may change meanwhile.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "base/process.h"
#include "tally/counters.h"
#include "tally/event_ring.h"
#include "tally/folders.h"
#include "tally/tally.h"

namespace account::tally {
namespace {

Status corrupt(const std::string& path, const std::string& fault) {
  return Status(Code::corrupt, path + " is no tally page: " + fault);
}

Status check_header(const Header& header, const std::string& path) {
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) return corrupt(path, "wrong magic");
  if (header.layout_version != kLayoutVersion) {
    return Status(Code::corrupt,
                  path + " has layout version " + std::to_string(header.layout_version) +
                      ", and this program reads " + std::to_string(kLayoutVersion),
                  "use the account program of the libaccount that the job loads");
  }
  if (header.page_bytes != sizeof(PageLayout)) return corrupt(path, "wrong size in its header");
  if (header.declaration_bytes > kDeclarationBytes) return corrupt(path, "oversize declaration");
  if (header.pid == 0) return corrupt(path, "no process");
  return Status();
}

bool is_kind(uint32_t kind) {
  return kind >= static_cast<uint32_t>(EventKind::gap) &&
         kind <= static_cast<uint32_t>(EventKind::op_named);
}

}  // namespace

Result<std::unique_ptr<PageView>> PageView::open(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return errno_status("opening", path, errno);
  struct stat facts{};
  if (fstat(file.get(), &facts) != 0) return errno_status("looking at", path, errno);
  if (!S_ISREG(facts.st_mode)) return corrupt(path, "not a regular file");
  if (facts.st_uid != geteuid()) return corrupt(path, "it belongs to another user");
  if (facts.st_size != static_cast<off_t>(sizeof(PageLayout))) {
    return corrupt(path, std::to_string(facts.st_size) + " bytes instead of " +
                             std::to_string(sizeof(PageLayout)));
  }
  void* memory =
      mmap(nullptr, sizeof(PageLayout), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return errno_status("mapping", path, errno);
  std::unique_ptr<PageView> view(new PageView);
  view->layout_ = static_cast<PageLayout*>(memory);
  view->path_ = path;
  ACCOUNT_RETURN_IF_ERROR(check_header(view->layout_->header, path));
  view->events_read_ = view->layout_->events.tail.load(std::memory_order_relaxed);
  return view;
}

PageView::~PageView() {
  if (layout_ != nullptr) munmap(layout_, sizeof(PageLayout));
}

std::string PageView::incarnation() const {
  const auto& bytes = layout_->header.incarnation;
  return to_hex({reinterpret_cast<const char*>(bytes), sizeof(bytes)});
}

bool PageView::alive() const {
  const Header& header = layout_->header;
  return process_alive(static_cast<pid_t>(header.pid), header.start_ticks);
}

Counters PageView::read() const { return read_pages({layout_}); }

std::vector<Event> PageView::take_events(uint64_t& dropped) {
  EventRing& ring = layout_->events;
  const uint64_t dropped_now = ring.dropped.load(std::memory_order_relaxed);
  dropped = dropped_now - std::min(dropped_now, events_dropped_);
  events_dropped_ = dropped_now;

  std::vector<Event> events;
  const uint64_t head = ring.head.load(std::memory_order_acquire);
  while (events_read_ != head) {
    const uint64_t available = head - events_read_;
    char bytes[sizeof(FrameHead)];
    copy_from_ring(ring, events_read_, bytes, sizeof(bytes));
    FrameHead frame{};
    std::memcpy(&frame, bytes, sizeof(frame));
    if (available > kEventRingBytes || frame.bytes > kMaxEventBytes ||
        frame_size(frame.bytes) > available) {
      events_read_ = head;  // no frames of ours: what they were cannot be known
      ++dropped;
      break;
    }
    std::string text(frame.bytes, '\0');
    copy_from_ring(ring, events_read_ + sizeof(frame), text.data(), text.size());
    events_read_ += frame_size(frame.bytes);
    if (is_kind(frame.kind)) {
      events.push_back({static_cast<EventKind>(frame.kind), std::move(text)});
    } else {
      ++dropped;
    }
  }
  ring.tail.store(events_read_, std::memory_order_release);
  return events;
}

Status PageView::remove_file() {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) return errno_status("removing", path_, errno);
  return Status();
}

}  // namespace account::tally
