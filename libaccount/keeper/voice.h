// Voice: the plain lines that a keeper says to people on stderr, and when it says them.
//
// One line at the start, progress at growing pauses up to a minute and at each tenth of the nearest
// threshold, one at the end with the command that proves it. Must not read clocks, pages or files:
// everything it says stands in the LiveStatus that it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "keeper/judge.h"
#include "keeper/live_status.h"

namespace account::keeper {

using Say = std::function<void(std::string_view line)>;

class Voice {
 public:
  Voice(Say say, bool quiet) : say_(std::move(say)), quiet_(quiet) {}

  void started(const LiveStatus& status, const std::vector<std::string>& policies,
               const std::vector<std::string>& authorities);
  // Call about once a second; says a line when one is due.
  void progress(const LiveStatus& status, const std::vector<Distance>& distances,
                int64_t monotonic_ns);
  void ended(const LiveStatus& status, const std::vector<std::string>& policies, bool sealed);
  // What went wrong and what follows; said even when quiet, because somebody has to act.
  void trouble(std::string_view sentence);
  // A plain remark.
  void remark(std::string_view sentence);

 private:
  void verdicts(const std::vector<Distance>& distances);

  Say say_;
  bool quiet_;
  int64_t began_ns_ = 0;  // when the first operation was seen
  int64_t next_ns_ = 0;
  int tenth_ = 0;  // of the nearest threshold, the last that was said
  std::vector<std::string> warned_;
};

}  // namespace account::keeper
