// MailboxExchange: the keeper's end of the courier. Hands each request to the library thread of
// the lowest live local rank that can reach the job's store, and waits for its answer.
//
// set_pages() may be called from any thread; post() and collect() from one at a time. A rank that
// dies under a request costs that request: it fails as unavailable, the next goes to another rank.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/exchange.h"
#include "keeper/mail_frame.h"
#include "tally/tally.h"

namespace account::keeper {

class MailboxExchange final : public Exchange {
 public:
  explicit MailboxExchange(const Clock& clock) : clock_(clock) {}

  // The live ranks of this node, lowest local rank first. Only their mailboxes are touched here.
  void set_pages(std::vector<std::shared_ptr<tally::PageView>> pages);
  // Makes what waits return, and everything later fail as unavailable.
  void close() noexcept { closed_.store(true); }

  Status post(std::string_view key, std::string_view blob) override;
  Result<std::vector<std::optional<std::string>>> collect(std::string_view key,
                                                          const std::vector<std::string>& members,
                                                          int64_t deadline_monotonic_ns) override;

 private:
  std::shared_ptr<tally::PageView> courier() const;
  Result<MailReply> ask(const MailRequest& request);

  const Clock& clock_;
  std::atomic<bool> closed_ = false;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<tally::PageView>> pages_;
};

}  // namespace account::keeper
