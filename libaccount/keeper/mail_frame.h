// The frames that travel in a page's mailbox, for both ends: the keeper asks, the rank's library
// thread answers. libaccount/doc/mailbox_format.md is the format. Must not know what blobs mean.
//
// The other end is another process that may be dying or hostile: parsing checks every length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "tally/layout.h"

namespace account::keeper {

struct MailRequest {
  enum class Verb : uint8_t { post = 1, collect = 2 };
  Verb verb = Verb::post;
  int64_t deadline_monotonic_ns = 0;
  std::string key;
  std::string blob;                  // post
  std::vector<std::string> members;  // collect
};

struct MailReply {
  Status status;
  std::vector<std::optional<std::string>> blobs;  // collect; in the order of the members
};

// Fail with invalid_argument where the frame would not fit into a mailbox.
Result<std::string> encode(const MailRequest& request);
Result<std::string> encode(const MailReply& reply);
// Fail with corrupt on anything but exactly one frame.
Result<MailRequest> decode_request(std::string_view bytes);
Result<MailReply> decode_reply(std::string_view bytes);

// Puts bytes into one half of a mailbox under an even `sequence` and wakes who sleeps on it.
void put_mail(tally::MailboxHalf& half, uint32_t sequence, std::string_view bytes) noexcept;
// The bytes lying under `sequence`; nothing while they change or lie under another number.
std::optional<std::string> get_mail(const tally::MailboxHalf& half, uint32_t sequence);
// Wakes who sleeps on the half without changing it.
void wake(const tally::MailboxHalf& half) noexcept;
// Sleeps until the half's word is no longer `seen`, at most `timeout_ns`.
void wait_for_mail(const tally::MailboxHalf& half, uint32_t seen, int64_t timeout_ns) noexcept;

}  // namespace account::keeper
