// The adapter in a C++ program: no Python anywhere.
#include <ATen/Parallel.h>
#include <ATen/ops/add.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "account/torch.h"
#include "tally/tally.h"

namespace account::torch {
namespace {

constexpr uint64_t kOne = 2ull * 4 * 8 * 2;

class TorchTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(install().ok()) << install().to_string();
    tally::activate(tally::Page::create_in_memory({}));
  }
  void multiply() { at::mm(at::ones({4, 8}), at::ones({8, 2})); }
  Totals counted() const {
    return tally::to_totals(tally::subtract(tally::read_process(), begin_));
  }

 private:
  tally::Counters begin_ = tally::read_process();
};

TEST_F(TorchTest, InstallingAgainChangesNothing) {
  EXPECT_TRUE(install().ok());
  multiply();
  EXPECT_EQ(counted().executed, OpCount(kOne));
}

TEST_F(TorchTest, TheSelfTestIsNotCounted) {
  for (const tally::CellRow& row : tally::read_process().rows) {
    EXPECT_NE(row.figures.executed, OpCount(2));  // the canary is 1 x 1 x 1
  }
}

TEST_F(TorchTest, CountsAnMmAndNotAnAdd) {
  multiply();
  at::add(at::ones({4}), at::ones({4}));
  const Totals totals = counted();
  EXPECT_EQ(totals.calls, 1u);
  EXPECT_EQ(totals.by_op.at("aten::mm"), OpCount(kOne));
  EXPECT_EQ(totals.by_dtype.at("float32"), OpCount(kOne));
  EXPECT_EQ(totals.by_phase.at("forward"), OpCount(kOne));
}

TEST_F(TorchTest, ACallThatThrowsCountsNothing) {
  EXPECT_ANY_THROW(at::mm(at::ones({4, 8}), at::ones({4, 8})));
  EXPECT_EQ(counted().calls, 0u);
  multiply();
  EXPECT_EQ(counted().calls, 1u);
}

TEST_F(TorchTest, ScopesNestAndEnd) {
  {
    const CategoryScope outer(Category::evaluate);
    multiply();
    {
      const CategoryScope inner(Category::generate);
      multiply();
    }
    multiply();
  }
  multiply();
  const Totals totals = counted();
  EXPECT_EQ(totals.by_category.at("evaluate"), OpCount(2 * kOne));
  EXPECT_EQ(totals.by_category.at("generate"), OpCount(kOne));
  EXPECT_EQ(totals.by_category.at("unassigned"), OpCount(kOne));
}

TEST_F(TorchTest, AScopeIsOfItsThreadOnly) {
  const CategoryScope scope(Category::evaluate);
  std::thread([this] { multiply(); }).join();
  EXPECT_EQ(counted().by_category.at("unassigned"), OpCount(kOne));
}

TEST_F(TorchTest, ManyThreadsAreCountedExactly) {
  constexpr int kThreads = 40;  // more than have a slot of their own
  constexpr int kCalls = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([this] {
      for (int j = 0; j < kCalls; ++j) multiply();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counted().executed, OpCount(kThreads * kCalls * kOne));
}

TEST(TorchVersionTest, NamesTheTorchItWasBuiltFor) { EXPECT_EQ(built_for().substr(0, 2), "2."); }

}  // namespace
}  // namespace account::torch
