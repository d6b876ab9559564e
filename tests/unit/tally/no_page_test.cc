// Before a page is active. A program of its own: in the others, some test has activated one.
#include <gtest/gtest.h>

#include "tally/tally.h"

namespace account::tally {
namespace {

TEST(NoPageTest, CountingDoesNothing) {
  ASSERT_EQ(active_page(), nullptr);
  add({0, DType::float32, Phase::forward, Category::unassigned}, {1, 1, 1});
  EXPECT_EQ(close_step(), 0u);
  EXPECT_FALSE(post_event(EventKind::note, "unheard"));
  EXPECT_TRUE(read_process().rows.empty());
}

TEST(NoPageTest, WhatCameBeforeThePageIsNotInIt) {
  add({0, DType::float32, Phase::forward, Category::unassigned}, {1, 1, 1});
  activate(Page::create_in_memory(Identity()));
  add({0, DType::float32, Phase::forward, Category::unassigned}, {10, 10, 10});
  EXPECT_EQ(to_totals(read_process()).executed, OpCount(10));
}

}  // namespace
}  // namespace account::tally
