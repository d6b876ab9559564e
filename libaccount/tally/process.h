// Process: what this process counts into. The pages, the op names and the slow half of add().
//
// One instance a process, never destroyed: threads may count until the process is gone. All of it
// is thread-safe; what is marked noexcept does not allocate unless it says so. Must not know what
// a file is (page.cc) nor what a keeper reads (view.cc).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tally/tally.h"

namespace account::tally {

// Changes whenever the threads' slots become invalid: at activate(), and in a forked child. 0 until
// the first page.
extern std::atomic<uint32_t> generation;

// A lock without a thread's identity behind it, so that a forked child can simply open it.
class SpinLock {
 public:
  void lock() noexcept;
  void unlock() noexcept { taken_.clear(std::memory_order_release); }

 private:
  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
};

class Process {
 public:
  static Process& instance();

  void activate(std::unique_ptr<Page> page);
  Page* active() const noexcept { return active_.load(std::memory_order_acquire); }
  // The pages that this process (not its parent) counted into.
  std::vector<const Page*> pages();

  uint16_t op_id(std::string_view qualified_name);
  std::string op_name(uint16_t id);

  // A slot for the calling thread in the active page, and the generation it is good for; nullptr
  // where all are taken or no page is active. Opens a forked child's page, which allocates.
  Slot* take_slot(uint32_t& good_for) noexcept;
  void add_to_overflow(uint64_t word, const Figures& figures) noexcept;

  bool post_event(EventKind kind, std::string_view text);
  // Refused exports that found no room go out as soon as there is some. One load where there are
  // none.
  void flush_events() noexcept;

 private:
  struct Waiting {
    EventKind kind;
    std::string text;
  };

  Process();
  void make_active(std::unique_ptr<Page> page);
  void open_childs_page();
  void flush_events_locked(EventRing& ring);

  static void before_fork();
  static void after_fork_in_parent();
  static void after_fork_in_child();

  std::mutex mutex_;  // everything below but the atomics and the overflow slot
  std::atomic<Page*> active_{nullptr};
  Page* parents_page_ = nullptr;  // in a forked child until it has one of its own
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<std::unique_ptr<Page>> inherited_;  // of the processes that forked this one
  std::map<std::string, uint16_t, std::less<>> op_ids_;
  std::vector<std::string> op_names_;  // by id
  std::deque<Waiting> waiting_;
  std::atomic<bool> any_waiting_{false};
  SpinLock overflow_lock_;
};

}  // namespace account::tally
