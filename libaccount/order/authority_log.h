// What was done with an authority, line by line, in a file that only grows: roots, orders,
// refusals. libaccount/doc/authority_format.md, The log.
//
// Each line names the digest of the one before, so that nobody can change or take away one in the
// middle without changing the last; who keeps the last line's digest elsewhere sees that, too.
// Never a condition: an order is obeyed without its line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "order/order.h"
#include "sign/sign.h"

namespace account::order {

inline constexpr uint64_t kMaxLogBytes = uint64_t{64} << 20;

struct LogLine {
  int64_t number = 0;  // from 1 on
  std::string time;    // of the machine that wrote it
  std::string what;    // "root", "order", "refused", "then"
  std::string by;      // "alice@host"; as good as that machine's word
  Json facts;          // the whole line
  sign::Digest digest{};
};

struct LogReport {
  std::vector<LogLine> lines;
  std::vector<Status> faults;  // where it was changed or cut
  bool torn = false;           // the last line has no end
  sign::Digest head() const { return lines.empty() ? sign::Digest{} : lines.back().digest; }
};

// What the line of an order that was given says.
Json log_facts(const Verified& verified);

class AuthorityLog {
 public:
  AuthorityLog(FileSystem& files, const Clock& clock, std::string authority);
  const std::string& path() const { return path_; }

  // Durable when it returns. Waits up to 5 s for another writer; not across machines where the file
  // system has no locks. `facts` is an object without the members of every line.
  Status append(std::string_view what, Json facts) const;
  // All lines, and whether they hang together. An authority without a log has an empty one.
  Result<LogReport> read() const;

 private:
  FileSystem& files_;
  const Clock& clock_;
  std::string path_;
};

}  // namespace account::order
