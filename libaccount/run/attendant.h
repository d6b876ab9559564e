// Attendant: the one thread that the library adds to a rank. It sleeps on a futex and wakes once a
// second and on mail: it carries the keeper's mail over the job's Exchange (the courier), and it
// replaces a keeper that has stopped beating. It never touches a counter, so training does not
// notice it; whatever goes wrong here costs the live display or a second, never the run.
//
// Thread safety: set_exchange() from any thread. The page must outlive the attendant.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "base/exchange.h"
#include "run/settings.h"
#include "tally/layout.h"

namespace account {

class Attendant {
 public:
  Attendant(Settings settings, tally::PageLayout& page);
  ~Attendant();
  Attendant(const Attendant&) = delete;
  Attendant& operator=(const Attendant&) = delete;

  void set_exchange(std::shared_ptr<Exchange> exchange);
  // Ends the thread; returns within the deadline of a mail that is being carried.
  void stop();
  // In a forked child there is no thread to end: forgets it.
  void forget() noexcept;

 private:
  void loop();
  void carry_mail();
  void look_after_keeper();

  const Settings settings_;
  tally::PageLayout& page_;
  std::mutex mutex_;
  std::shared_ptr<Exchange> exchange_;
  std::atomic<bool> stop_ = false, stopped_ = false;
  uint32_t answered_ = 0;  // sequence of the last request that was answered
  int64_t next_launch_ns_ = 0;
  int64_t launch_pause_ns_ = 0;
  std::unique_ptr<std::thread> thread_;
};

}  // namespace account
