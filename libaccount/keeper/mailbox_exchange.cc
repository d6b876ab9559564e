// The keeper's end of the courier.
#include "keeper/mailbox_exchange.h"

#include <algorithm>

namespace account::keeper {
namespace {

constexpr int64_t kMillisecond = 1'000'000;
// A store on another machine answers within milliseconds; a request without a deadline gets this.
constexpr int64_t kPatienceNs = 2'000 * kMillisecond;
// What the courier may take beyond the request's deadline before it counts as lost.
constexpr int64_t kGraceNs = 500 * kMillisecond;

}  // namespace

void MailboxExchange::set_pages(std::vector<std::shared_ptr<tally::PageView>> pages) {
  const std::lock_guard lock(mutex_);
  pages_ = std::move(pages);
}

std::shared_ptr<tally::PageView> MailboxExchange::courier() const {
  const std::lock_guard lock(mutex_);
  const auto page = std::find_if(pages_.begin(), pages_.end(), [](const auto& candidate) {
    return candidate->layout().edge.courier.load(std::memory_order_relaxed) == 1;
  });
  return page == pages_.end() ? nullptr : *page;
}

Result<MailReply> MailboxExchange::ask(const MailRequest& request) {
  const std::shared_ptr<tally::PageView> page = courier();
  if (page == nullptr) return Status(Code::unavailable, "no rank of this node reaches the others");
  ACCOUNT_ASSIGN_OR_RETURN(const std::string frame, encode(request));
  tally::Mailbox& mailbox = page->layout().mailbox;
  // The next even number, also where a keeper died between the odd and the even one.
  const uint32_t sequence = (mailbox.request.sequence.load(std::memory_order_relaxed) | 1u) + 1;
  put_mail(mailbox.request, sequence, frame);
  const int64_t until = std::max(request.deadline_monotonic_ns, clock_.monotonic_ns()) + kGraceNs;
  while (!closed_.load() && clock_.monotonic_ns() < until) {
    const uint32_t seen = mailbox.reply.sequence.load(std::memory_order_acquire);
    if (const auto bytes = get_mail(mailbox.reply, sequence)) return decode_reply(*bytes);
    wait_for_mail(mailbox.reply, seen, 50 * kMillisecond);
  }
  return Status(Code::unavailable, "the courier of this node did not answer");
}

Status MailboxExchange::post(std::string_view key, std::string_view blob) {
  MailRequest request;
  request.verb = MailRequest::Verb::post;
  request.deadline_monotonic_ns = clock_.monotonic_ns() + kPatienceNs;
  request.key = key;
  request.blob = blob;
  ACCOUNT_ASSIGN_OR_RETURN(const MailReply reply, ask(request));
  return reply.status;
}

Result<std::vector<std::optional<std::string>>> MailboxExchange::collect(
    std::string_view key, const std::vector<std::string>& members, int64_t deadline_monotonic_ns) {
  std::vector<std::optional<std::string>> blobs;
  // One member a request: a frame then always has room for the largest blob.
  for (const std::string& member : members) {
    MailRequest request;
    request.verb = MailRequest::Verb::collect;
    request.deadline_monotonic_ns = deadline_monotonic_ns;
    request.key = key;
    request.members = {member};
    ACCOUNT_ASSIGN_OR_RETURN(MailReply reply, ask(request));
    ACCOUNT_RETURN_IF_ERROR(reply.status);
    if (reply.blobs.size() != 1) return Status(Code::corrupt, "a mailbox reply has no answer");
    blobs.push_back(std::move(reply.blobs.front()));
  }
  return blobs;
}

}  // namespace account::keeper
