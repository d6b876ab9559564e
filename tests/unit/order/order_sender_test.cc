// The public way to deliver an order.
#include "account/order_sender.h"

#include <chrono>
#include <filesystem>
#include <thread>

#include "order/authority.h"
#include "order/authority_log.h"
#include "unit/order/support.h"

namespace account::order {
namespace {

class OrderSenderTest : public testing::Test {
 protected:
  OrderSenderTest() {
    std::string name = (std::filesystem::temp_directory_path() / "sender.XXXXXX").string();
    path_ = ::mkdtemp(name.data());
    std::filesystem::create_directories(path_ + "/receipts");
    EXPECT_TRUE(directory().publish_root(a_.signed_root(a_.root())).ok());
  }
  ~OrderSenderTest() override { std::filesystem::remove_all(path_); }

  AuthorityDirectory directory() const { return {FileSystem::real(), {path_, ""}}; }
  void answer(const std::string& node, const std::string& state) const {
    Receipt receipt;
    receipt.order = hash_of(make_stop());
    receipt.authority = a_.chain().pin();
    receipt.run = "r7", receipt.node = node, receipt.state = state;
    receipt.ranks = {{0, state, 12}};
    EXPECT_TRUE(directory().put_receipt(receipt).ok());
  }

  const Authority a_;
  std::string path_;
};

TEST_F(OrderSenderTest, SendsWhatVerifiesAndNothingElse) {
  const OrderSender sender(path_ + "#" + a_.chain().pin());
  const std::string stop = sign_order(make_stop(), {&a_.stop_a});
  EXPECT_EQ(sender.send(stop).value(), sign::to_hex(hash_of(make_stop())));
  EXPECT_EQ(sender.send(stop).value(), sign::to_hex(hash_of(make_stop())));
  EXPECT_EQ(sender.send("{}").status().code(), Code::corrupt);
  EXPECT_EQ(sender.send(sign_order(make_stop(), {&a_.foreign})).status().code(), Code::unverified);
  std::vector<Refused> refused;
  EXPECT_EQ(directory().read_orders(refused)->size(), 1u);
  const auto log = AuthorityLog(FileSystem::real(), Clock::real(), path_).read();
  ASSERT_TRUE(log.ok());
  ASSERT_EQ(log->lines.size(), 2u);
  EXPECT_EQ(*log->lines[0].facts.get_string("order"), sign::to_hex(hash_of(make_stop())));
}

TEST_F(OrderSenderTest, FailsEachCallOnAnAuthorityThatIsNone) {
  EXPECT_EQ(OrderSender("").receipts(std::string(64, '0')).status().code(), Code::invalid_argument);
  EXPECT_FALSE(OrderSender(path_ + "/none").send(sign_order(make_stop(), {&a_.stop_a})).ok());
  EXPECT_FALSE(OrderSender(path_ + "#" + std::string(64, '0'))
                   .send(sign_order(make_stop(), {&a_.stop_a}))
                   .ok());
  EXPECT_FALSE(OrderSender(path_).receipts("cf3d").ok());
}

TEST_F(OrderSenderTest, WaitsUntilEverybodyWhoAnsweredIsQuiet) {
  const OrderSender sender(path_);
  const std::string order = sign::to_hex(hash_of(make_stop()));
  EXPECT_TRUE(sender.receipts(order)->empty());
  EXPECT_EQ(sender.wait(order, 0.0).status().code(), Code::unavailable);
  answer("1f00ba5e", "quiet");
  answer("2f00ba5e", "stopping");
  const auto status = sender.wait(order, 0.0).status();
  EXPECT_NE(status.to_string().find("2f00ba5e"), std::string::npos) << status.to_string();
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    answer("2f00ba5e", "quiet");
  });
  const auto receipts = sender.wait(order, 30.0);
  late.join();
  ASSERT_TRUE(receipts.ok()) << receipts.status().to_string();
  ASSERT_EQ(receipts->size(), 2u);
  EXPECT_EQ((*receipts)[0].ranks[0].last_step, 12u);
  for (const char* rest : {"waiting", "resumed", "rehearsed", "not agreed", "refused"}) {
    answer("2f00ba5e", rest);
    EXPECT_TRUE(sender.wait(order, 0.0).ok()) << rest;
  }
  for (const char* under_way : {"latched", "stopping", "something else"}) {
    answer("2f00ba5e", under_way);
    EXPECT_FALSE(sender.wait(order, 0.0).ok()) << under_way;
  }
}

}  // namespace
}  // namespace account::order
