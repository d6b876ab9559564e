// CallLog: a plain count of calls, kept beside libaccount in a shared file, so that a test knows
// what a killed process had done. Each thread of each process start has a record of its own:
// `begun` is raised before a call is counted, `ended` after it. Must not use libaccount.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace account::e2e {

struct CallRecord {
  std::atomic<uint64_t> begun, ended;
};

struct CallPage {
  static constexpr uint32_t kRecords = 4096;
  std::atomic<uint32_t> taken;
  CallRecord records[kRecords];
};

class CallLog {
 public:
  explicit CallLog(const std::string& path) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof(CallPage)) != 0) fail(path);
    void* memory = mmap(nullptr, sizeof(CallPage), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) fail(path);
    page_ = static_cast<CallPage*>(memory);  // zero bytes are a page with no records
  }
  ~CallLog() { munmap(page_, sizeof(CallPage)); }
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;

  CallRecord& take() { return page_->records[page_->taken.fetch_add(1) % CallPage::kRecords]; }
  uint64_t begun() const { return sum(&CallRecord::begun); }
  uint64_t ended() const { return sum(&CallRecord::ended); }

 private:
  [[noreturn]] static void fail(const std::string& path) {
    std::perror(path.c_str());
    std::abort();
  }
  uint64_t sum(std::atomic<uint64_t> CallRecord::* field) const {
    uint64_t total = 0;
    for (const CallRecord& record : page_->records) total += (record.*field).load();
    return total;
  }

  CallPage* page_;
};

}  // namespace account::e2e
