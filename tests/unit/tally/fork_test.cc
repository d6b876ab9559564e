// tally.h, Note: [forked children].
#include <atomic>
#include <cstdlib>
#include <latch>
#include <thread>

#include "base/bytes.h"
#include "support.h"

namespace account::tally {
namespace {

constexpr int kHung = 1000 + SIGALRM;

TEST(ForkTest, AChildCountsIntoAPageOfItsOwn) {
  const Place place;
  const auto parent = activate_page(place);
  const uint16_t op = op_id("test::fork");
  add(key_of(op), {5, 5, 5});
  const pid_t child = in_child([&] {
    if (active_page() != nullptr || !read_process().rows.empty()) _exit(1);
    if (close_step() != 0) _exit(2);
    add(key_of(op), {7, 7, 7});
    if (active_page() == nullptr || total_executed(read_process()) != OpCount(7)) _exit(3);
  });
  ASSERT_EQ(wait_for(child), 0);
  EXPECT_EQ(total_executed(parent->read()), OpCount(5));
  ASSERT_EQ(place.pages().size(), 2u);
  const auto pages = place.pages();
  const auto own = view_of(pages[0] == parent->path() ? pages[1] : pages[0]);
  EXPECT_EQ(total_executed(own->read()), OpCount(7));
  EXPECT_EQ(own->read().rows.at(0).op, "test::fork");
  const auto& ancestor = own->layout().header.parent;
  EXPECT_EQ(to_hex({reinterpret_cast<const char*>(ancestor), sizeof(ancestor)}),
            parent->incarnation());
  EXPECT_EQ(own->layout().header.pid, static_cast<uint32_t>(child));
}

TEST(ForkTest, AChildThatCountsNothingOpensNothing) {
  const Place place;
  const auto parent = activate_page(place);
  ASSERT_EQ(wait_for(in_child([] {})), 0);
  EXPECT_EQ(place.pages().size(), 1u);
}

TEST(ForkTest, AChildWithoutAPlaceCountsInPlainMemory) {
  const Place place;
  const auto parent = activate_page(place);
  const uint16_t op = op_id("test::fork_memory");
  add(key_of(op), {5, 5, 5});
  std::filesystem::remove_all(place.root());
  const pid_t child = in_child([&] {
    add(key_of(op), {7, 7, 7});
    if (!active_page()->in_memory()) _exit(1);
    if (total_executed(read_process()) != OpCount(7)) _exit(2);
  });
  EXPECT_EQ(wait_for(child), 0);
  EXPECT_EQ(total_executed(parent->read()), OpCount(5));
  std::filesystem::create_directory(place.root());  // for the place's end
}

TEST(ForkTest, AGrandchildNamesThePageItWasForkedFrom) {
  const Place place;
  const auto parent = activate_page(place);
  const uint16_t op = op_id("test::grandchild");
  const pid_t child = in_child([&] {
    add(key_of(op), {1, 1, 1});
    const auto own = view_of(active_page()->path());
    const pid_t grandchild = in_child([&] {
      add(key_of(op), {2, 2, 2});
      const auto& ancestor = active_page()->layout().header.parent;
      const std::string hex = to_hex({reinterpret_cast<const char*>(ancestor), sizeof(ancestor)});
      _exit(hex == own->incarnation() ? 0 : 1);
    });
    _exit(wait_for(grandchild));
  });
  EXPECT_EQ(wait_for(child), 0);
  EXPECT_EQ(place.pages().size(), 3u);
}

TEST(ForkTest, AnEndingThreadOfAChildLeavesTheParentsSlotAlone) {
  const Place place;
  const auto parent = activate_page(place);
  const uint16_t op = op_id("test::fork_owner");
  std::thread([&] {
    add(key_of(op), {1, 1, 1});
    const pid_t child = fork();
    if (child == 0) {
      // exit() runs the destructors of this thread's thread locals, then this, and nothing else.
      std::atexit([] { _exit(0); });
      std::exit(0);
    }
    EXPECT_EQ(wait_for(child), 0);
    EXPECT_EQ(parent->layout().slots[0].head.owner_tid.load(), static_cast<uint32_t>(gettid()));
  }).join();
  EXPECT_EQ(parent->layout().slots[0].head.owner_tid.load(), 0u);
}

TEST(ForkTest, ForksBesideCountingThreadsNeitherHangNorDisturb) {
  const Place place;
  const auto parent = activate_page(place);
  const uint16_t op = op_id("test::fork_busy");
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> counted{0};
  // A thread's first count allocates, and a fork copies the lock of AddressSanitizer's allocator as
  // it stands (glibc's own is safe there): no fork before each thread has counted once.
  constexpr int kWriters = kSlots + 2;  // some of them in the overflow slot
  std::latch started(kWriters);
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&] {
      add(key_of(op), {1, 1, 1});
      counted.fetch_add(1, std::memory_order_relaxed);
      started.count_down();
      while (!stop.load(std::memory_order_relaxed)) {
        add(key_of(op), {1, 1, 1});
        counted.fetch_add(1, std::memory_order_relaxed);
        std::this_thread::yield();
      }
    });
  }
  started.wait();
  for (int i = 0; i < 25; ++i) {
    const pid_t child = in_child([&] {
      alarm(20);
      add(key_of(op), {1000, 1000, 1000});
      (void)op_id("test::named_in_child_" + std::to_string(i));
      (void)post_event(EventKind::note, "child");
      if (total_executed(read_process()) != OpCount(1000)) _exit(1);
    });
    const int code = wait_for(child);
    EXPECT_NE(code, kHung);
    EXPECT_EQ(code, 0);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(total_executed(parent->read()), OpCount(counted.load()));
}

}  // namespace
}  // namespace account::tally
