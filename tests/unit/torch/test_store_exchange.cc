// The exchange over c10d's own stores, and over one that hangs.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>
#include <torch/csrc/distributed/c10d/HashStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "base/clock.h"
#include "torch/store_exchange.h"

namespace account::torch {
namespace {

using std::chrono::milliseconds;

int64_t in(milliseconds wait) {
  return Clock::real().monotonic_ns() + std::chrono::nanoseconds(wait).count();
}

// The registry does not own its groups.
class StoreExchangeTest : public testing::Test {
 protected:
  ~StoreExchangeTest() override { c10d::unregister_all_process_groups(); }

  void make_group(const std::string& name, c10::intrusive_ptr<c10d::Store> store) {
    groups_.push_back(c10::make_intrusive<c10d::ProcessGroup>(std::move(store), 0, 1));
    c10d::register_process_group(name, groups_.back());
  }

 private:
  std::vector<c10::intrusive_ptr<c10d::ProcessGroup>> groups_;
};

TEST_F(StoreExchangeTest, WithoutAGroupItIsUnavailableAndNamesIt) {
  const auto exchange = make_store_exchange("nowhere");
  const Status status = exchange->post("total/0", "x");
  EXPECT_EQ(status.code(), Code::unavailable);
  EXPECT_NE(status.to_string().find("process group nowhere"), std::string::npos);
  EXPECT_EQ(status.to_string().find('\n'), std::string::npos);
}

TEST_F(StoreExchangeTest, StartsToWorkWhenTheGroupComesToBe) {
  const auto exchange = make_store_exchange("late");
  EXPECT_FALSE(exchange->post("total/0", "x").ok());
  make_group("late", c10::make_intrusive<c10d::HashStore>());
  EXPECT_TRUE(exchange->post("total/0", "x").ok());
}

// Two nodes, each with a connection of its own to one real TCPStore on the loopback device.
TEST_F(StoreExchangeTest, BlobsPassAndTheAbsentAreKnown) {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  const auto server = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  make_group("a", server);
  options.isServer = false;
  options.port = server->getPort();
  make_group("b", c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options));
  const auto a = make_store_exchange("a");
  const auto b = make_store_exchange("b");

  const std::string blob("with a zero \0 inside", 20);
  ASSERT_TRUE(a->post("total/0", "old").ok());
  ASSERT_TRUE(a->post("total/0", blob).ok());
  ASSERT_TRUE(b->post("total/2", "two").ok());
  const auto got = b->collect("total", {"2", "1", "0"}, in(milliseconds(100)));
  ASSERT_TRUE(got.ok()) << got.status().to_string();
  ASSERT_EQ(got->size(), 3u);
  EXPECT_EQ((*got)[0], "two");
  EXPECT_EQ((*got)[1], std::nullopt);
  EXPECT_EQ((*got)[2], blob);
}

TEST_F(StoreExchangeTest, WaitsForABlobThatComesBeforeTheDeadline) {
  make_group("g", c10::make_intrusive<c10d::HashStore>());
  const auto reader = make_store_exchange("g");
  const auto writer = make_store_exchange("g");
  std::thread late([&] {
    std::this_thread::sleep_for(milliseconds(200));
    EXPECT_TRUE(writer->post("k/1", "v").ok());
  });
  const auto got = reader->collect("k", {"1"}, in(std::chrono::seconds(10)));
  late.join();
  ASSERT_TRUE(got.ok());
  EXPECT_EQ((*got)[0], "v");
}

TEST_F(StoreExchangeTest, ADeadlineInThePastAsksOnce) {
  make_group("g", c10::make_intrusive<c10d::HashStore>());
  const auto exchange = make_store_exchange("g");
  ASSERT_TRUE(exchange->post("k/1", "v").ok());
  const auto got = exchange->collect("k", {"1", "2"}, 0);
  ASSERT_TRUE(got.ok());
  EXPECT_EQ((*got)[0], "v");
  EXPECT_EQ((*got)[1], std::nullopt);
}

TEST_F(StoreExchangeTest, ABlobThatIsTooLargeIsRefused) {
  make_group("g", c10::make_intrusive<c10d::HashStore>());
  const auto exchange = make_store_exchange("g");
  EXPECT_EQ(exchange->post("k", std::string(Exchange::kMaxBlobBytes + 1, 'x')).code(),
            Code::invalid_argument);
  EXPECT_EQ(exchange->post(std::string(Exchange::kMaxKeyBytes + 1, 'k'), "").code(),
            Code::invalid_argument);
}

// A store whose server has stopped answering, until it is let go.
class StuckStore final : public c10d::HashStore {
 public:
  c10::intrusive_ptr<Store> clone() override {
    return c10::intrusive_ptr<Store>::unsafe_reclaim_from_nonowning(this);
  }
  bool check(const std::vector<std::string>& keys) override {
    while (stuck) std::this_thread::sleep_for(milliseconds(5));
    return HashStore::check(keys);
  }
  std::atomic<bool> stuck{true};
};

TEST_F(StoreExchangeTest, AStoreThatHangsCostsNoMoreThanTheDeadline) {
  const auto store = c10::make_intrusive<StuckStore>();
  make_group("g", store);
  const auto exchange = make_store_exchange("g");
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(exchange->collect("k", {"1"}, in(milliseconds(300))).status().code(),
            Code::unavailable);
  EXPECT_EQ(exchange->post("k/1", "v").code(), Code::unavailable);  // refused at once
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(1300));
  store->stuck = false;
  Status posted(Code::unavailable, "not tried");
  for (int i = 0; i < 100 && !posted.ok(); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
    posted = exchange->post("k/1", "v");
  }
  EXPECT_TRUE(posted.ok()) << posted.to_string();
}

TEST_F(StoreExchangeTest, CanBeDroppedWhileItsStoreHangs) {
  const auto store = c10::make_intrusive<StuckStore>();
  make_group("g", store);
  auto exchange = make_store_exchange("g");
  EXPECT_FALSE(exchange->collect("k", {"1"}, in(milliseconds(50))).ok());
  exchange.reset();
  store->stuck = false;
  std::this_thread::sleep_for(milliseconds(50));
}

}  // namespace
}  // namespace account::torch
