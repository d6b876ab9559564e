// The frames of the mailbox and the control words.
#include <gtest/gtest.h>

#include <memory>

#include "base/bytes.h"
#include "base/exchange.h"
#include "keeper/mail_frame.h"
#include "keeper/page_words.h"

namespace account::keeper {
namespace {

MailRequest collect_request() {
  MailRequest request;
  request.verb = MailRequest::Verb::collect;
  request.deadline_monotonic_ns = 123'456'789'012;
  request.key = "total";
  request.members = {"0", "8", "16"};
  return request;
}

MailReply some_reply() {
  return {Status(Code::io, "no store"), {std::string("blob"), std::nullopt, std::string()}};
}

TEST(MailFrameTest, TheExampleOfTheFormatPageIsWhatIsWritten) {
  MailRequest request;
  request.deadline_monotonic_ns = 1;
  request.key = "total/0";
  request.blob = "{}";
  EXPECT_EQ(to_hex(*encode(request)),
            "01010000"
            "0100000000000000"
            "07000000746f74616c2f30"
            "020000007b7d");
}

TEST(MailFrameTest, RequestsComeBackAsTheyWere) {
  const MailRequest sent = collect_request();
  const auto got = decode_request(*encode(sent));
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  EXPECT_EQ(got->verb, sent.verb);
  EXPECT_EQ(got->deadline_monotonic_ns, sent.deadline_monotonic_ns);
  EXPECT_EQ(got->key, sent.key);
  EXPECT_EQ(got->members, sent.members);
}

TEST(MailFrameTest, RepliesComeBackAsTheyWere) {
  const auto got = decode_reply(*encode(some_reply()));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->status.code(), Code::io);
  EXPECT_EQ(got->status.fault(), "no store");
  EXPECT_EQ(got->blobs, some_reply().blobs);
}

TEST(MailFrameTest, EveryStatusCodeTravels) {
  for (const Code code :
       {Code::ok, Code::invalid_argument, Code::not_found, Code::corrupt, Code::unverified,
        Code::expired, Code::replayed, Code::out_of_scope, Code::threshold_reached,
        Code::shutdown_ordered, Code::io, Code::unavailable, Code::internal}) {
    const auto got = decode_reply(*encode(MailReply{Status(code, "why"), {}}));
    ASSERT_TRUE(got.ok());
    EXPECT_EQ(got->status.code(), code);
  }
}

TEST(MailFrameTest, EveryTruncationAndEveryTailIsRefused) {
  const std::string request = *encode(collect_request()), reply = *encode(some_reply());
  for (size_t size = 0; size < request.size(); ++size) {
    EXPECT_EQ(decode_request(request.substr(0, size)).status().code(), Code::corrupt) << size;
  }
  for (size_t size = 0; size < reply.size(); ++size) {
    EXPECT_EQ(decode_reply(reply.substr(0, size)).status().code(), Code::corrupt) << size;
  }
  EXPECT_EQ(decode_request(request + "x").status().code(), Code::corrupt);
  EXPECT_EQ(decode_reply(reply + "x").status().code(), Code::corrupt);
}

TEST(MailFrameTest, AFlippedLengthNeverReadsBeyondTheFrame) {
  const std::string request = *encode(collect_request()), reply = *encode(some_reply());
  for (size_t bit = 0; bit < 8 * request.size(); ++bit) {
    std::string bytes = request;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const auto decoded = decode_request(bytes);
    if (decoded.ok()) {
      EXPECT_LE(decoded->key.size(), bytes.size());
    }
  }
  for (size_t bit = 0; bit < 8 * reply.size(); ++bit) {
    std::string bytes = reply;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const auto decoded = decode_reply(bytes);
    if (decoded.ok()) {
      EXPECT_LE(decoded->blobs.size(), 3u);
    }
  }
}

TEST(MailFrameTest, WhatWouldNotFitIsRefusedBeforeItIsSent) {
  MailRequest request;
  request.key = "k";
  request.blob.assign(Exchange::kMaxBlobBytes + 1, 'x');
  EXPECT_EQ(encode(request).status().code(), Code::invalid_argument);
  const std::string blob(Exchange::kMaxBlobBytes, 'x');
  EXPECT_TRUE(encode(MailReply{Status(), {blob}}).ok());
  EXPECT_EQ(encode(MailReply{Status(), {blob, blob}}).status().code(), Code::invalid_argument);
}

TEST(MailFrameTest, MailLiesUnderItsNumberOnly) {
  const auto half = std::make_unique<tally::MailboxHalf>();
  EXPECT_EQ(get_mail(*half, 2), std::nullopt);
  put_mail(*half, 2, "first");
  EXPECT_EQ(get_mail(*half, 2), "first");
  put_mail(*half, 4, "second");
  EXPECT_EQ(get_mail(*half, 2), std::nullopt);
  EXPECT_EQ(get_mail(*half, 4), "second");
  half->bytes.store(tally::kMailboxBytes + 1);
  EXPECT_EQ(get_mail(*half, 4), std::nullopt);
}

TEST(PageWordsTest, ARefusalArrivesAsTheStatusThatTheKeeperMet) {
  const auto page = std::make_unique<tally::PageLayout>();
  write_reason(*page, Status(Code::corrupt, "run.json is of run 'b', not 'a'", "give --run b"));
  const Status got = read_reason(*page);
  EXPECT_EQ(got.code(), Code::corrupt);
  EXPECT_EQ(got.fault(), "run.json is of run 'b', not 'a'");
  EXPECT_EQ(got.next_step(), "give --run b");
}

TEST(PageWordsTest, ALongReasonIsCutBetweenCharacters) {
  const auto page = std::make_unique<tally::PageLayout>();
  std::string fault;
  for (int i = 0; i < 400; ++i) fault += "é";
  write_reason(*page, Status(Code::io, fault));
  const std::string got(read_reason(*page).fault());
  EXPECT_GT(got.size(), 400u);
  EXPECT_EQ(got.size() % 2, 0u);
  EXPECT_EQ(fault.substr(0, got.size()), got);
}

TEST(PageWordsTest, AReasonThatNobodyWroteIsAnInternalFault) {
  const auto page = std::make_unique<tally::PageLayout>();
  EXPECT_EQ(read_reason(*page).code(), Code::internal);
}

}  // namespace
}  // namespace account::keeper
