// The courier: the keeper's exchange on one side of a mailbox, a rank's library thread on the
// other.
#include "run/attendant.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "keeper/mailbox_exchange.h"
#include "support/file_exchange.h"
#include "tally/tally.h"

namespace account {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

class AttendantTest : public ::testing::Test {
 protected:
  AttendantTest() {
    char pattern[] = "/tmp/account-attendant-XXXXXX";
    dir_ = mkdtemp(pattern);
    settings_.place = *keeper::make_place(dir_, "r", "courier");
    page_ = *tally::Page::create(settings_.place.page_folders(), tally::Identity());
    beat();
    view_ = *tally::PageView::open(page_->path());
    mailbox_.set_pages({view_});
  }
  ~AttendantTest() override {
    std::filesystem::remove_all(dir_);
    for (const auto& folder : settings_.place.page_folders()) std::filesystem::remove_all(folder);
  }
  // Nobody is to start a keeper here.
  void beat() {
    page_->layout().control.keeper_beat_ns.store(
        static_cast<uint64_t>(Clock::real().monotonic_ns() + 3600 * kSecond));
  }
  std::shared_ptr<Exchange> road() { return std::make_shared<testing::FileExchange>(dir_); }

  std::string dir_;
  Settings settings_;
  std::unique_ptr<tally::Page> page_;
  std::shared_ptr<tally::PageView> view_;
  keeper::MailboxExchange mailbox_{Clock::real()};
};

TEST_F(AttendantTest, CarriesMailBothWays) {
  Attendant attendant(settings_, page_->layout());
  attendant.set_exchange(road());
  testing::FileExchange other(dir_);
  ASSERT_TRUE(other.post("total/4", "from afar").ok());
  for (int i = 0; i < 50; ++i) {
    const std::string blob = "number " + std::to_string(i);
    ASSERT_TRUE(mailbox_.post("total/0", blob).ok());
    const auto got = mailbox_.collect("total", {"0", "4", "8"}, 0);
    ASSERT_TRUE(got.ok()) << got.status().to_string();
    EXPECT_EQ((*got)[0], blob);
    EXPECT_EQ((*got)[1], "from afar");
    EXPECT_EQ((*got)[2], std::nullopt);
  }
}

TEST_F(AttendantTest, WithoutAnExchangeNobodyIsAsked) {
  Attendant attendant(settings_, page_->layout());
  EXPECT_EQ(mailbox_.post("total/0", "x").code(), Code::unavailable);
}

TEST_F(AttendantTest, AnExchangeThatThrowsCostsTheRequestOnly) {
  class Thrower final : public Exchange {
    Status post(std::string_view, std::string_view) override { throw std::runtime_error("torn"); }
    Result<std::vector<std::optional<std::string>>> collect(std::string_view,
                                                            const std::vector<std::string>&,
                                                            int64_t) override {
      throw 1;
    }
  };
  Attendant attendant(settings_, page_->layout());
  attendant.set_exchange(std::make_shared<Thrower>());
  EXPECT_EQ(mailbox_.post("total/0", "x").code(), Code::internal);
  EXPECT_EQ(mailbox_.collect("total", {"0"}, 0).status().code(), Code::internal);
  attendant.set_exchange(road());
  EXPECT_TRUE(mailbox_.post("total/0", "x").ok());
}

TEST_F(AttendantTest, AGarbledRequestIsAnsweredAsCorrupt) {
  Attendant attendant(settings_, page_->layout());
  attendant.set_exchange(road());
  tally::Mailbox& mailbox = page_->layout().mailbox;
  keeper::put_mail(mailbox.request, 2, "garbage");
  std::optional<std::string> reply;
  for (int i = 0; i < 200 && !reply; ++i) {
    reply = keeper::get_mail(mailbox.reply, 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(keeper::decode_reply(*reply)->status.code(), Code::corrupt);
}

TEST_F(AttendantTest, AKeeperThatDiedInTheMiddleOfARequestIsFollowed) {
  Attendant attendant(settings_, page_->layout());
  attendant.set_exchange(road());
  ASSERT_TRUE(mailbox_.post("total/0", "x").ok());
  page_->layout().mailbox.request.sequence.fetch_add(1);  // odd: and then nothing
  EXPECT_TRUE(mailbox_.post("total/0", "y").ok());
}

TEST_F(AttendantTest, ARankWithoutItsThreadIsGivenUpInTime) {
  page_->layout().edge.courier.store(1);
  const int64_t began = Clock::real().monotonic_ns();
  EXPECT_EQ(mailbox_.collect("total", {"0"}, 0).status().code(), Code::unavailable);
  EXPECT_LT(Clock::real().monotonic_ns() - began, 2 * kSecond);
}

TEST_F(AttendantTest, StopsAtOnce) {
  for (int i = 0; i < 20; ++i) {
    const int64_t began = Clock::real().monotonic_ns();
    {
      Attendant attendant(settings_, page_->layout());
    }
    EXPECT_LT(Clock::real().monotonic_ns() - began, kSecond / 2);
  }
}

}  // namespace
}  // namespace account
