// Authorities: the directories whose orders this job obeys, as its keeper sees them. Reads them at
// a start and whenever something changed (inotify) or a second has passed (network mounts are
// silent). Judges nothing: order/standing.h does.
//
// Not thread-safe. A directory that cannot be read later keeps what was read before and is listed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/files.h"
#include "order/authority.h"
#include "order/standing.h"

namespace account::keeper {

class Authorities {
 public:
  // `specs` as "PATH[#pin]"; `pins`, by path, are those that the ledger has pinned before. Fails
  // where one cannot be read or its first root is not the pinned one: then nothing may start.
  static Result<Authorities> open(FileSystem& files, const std::vector<std::string>& specs,
                                  const std::map<std::string, std::string>& pins);
  Authorities(Authorities&&) noexcept;
  Authorities& operator=(Authorities&&) = delete;
  ~Authorities();

  // Whether it is time to read again.
  bool due(int64_t monotonic_ns);
  // Reads all again. What cannot be read is in problems().
  void read();

  struct One {
    order::AuthorityDirectory directory;
    order::AuthorityOrders orders;
    std::vector<order::Receipt> receipts;
  };
  const std::vector<One>& all() const { return all_; }
  const std::vector<order::Refused>& refused() const { return refused_; }
  const std::vector<Status>& problems() const { return problems_; }

  // Put where the authority with this pin keeps its receipts.
  Status put_receipt(const order::Receipt& receipt) const;

 private:
  Authorities() = default;

  std::vector<One> all_;
  std::vector<order::Refused> refused_;
  std::vector<Status> problems_;
  int notify_ = -1;
  int64_t next_ns_ = 0;
};

}  // namespace account::keeper
