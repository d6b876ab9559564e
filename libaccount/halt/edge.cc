// The rank's side of a stop.
#include "halt/edge.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>

#include "tally/reasons.h"

namespace account::halt {
namespace {

using tally::Command;
using tally::PageLayout;
using tally::RankState;

constexpr long kNapNs = 50'000'000;  // what a lost wake-up costs, at most

// Sleeps until the command changes, somebody wakes it, or a nap is over.
void wait_at_edge(PageLayout& page, uint32_t seen) {
  page.edge.next_edge.store(page.edge.steps_closed.load(std::memory_order_relaxed),
                            std::memory_order_seq_cst);
  page.edge.waiting.store(1, std::memory_order_release);
  timespec pause{};
  pause.tv_nsec = kNapNs;
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&page.control.command), FUTEX_WAIT, seen, &pause,
          nullptr, 0);
}

// Lets the rank into its next step: it will be waited for at the edge behind it.
void go_on(PageLayout& page) {
  page.edge.waiting.store(0, std::memory_order_relaxed);
  page.edge.next_edge.store(page.edge.steps_closed.load(std::memory_order_relaxed) + 1,
                            std::memory_order_seq_cst);
}

// Else a limit of the job's own is behind the command.
bool is_ordered(const PageLayout& page) {
  return std::ranges::any_of(page.control.order, [](uint8_t byte) { return byte != 0; });
}

Status raise_at_edge(PageLayout& page, const std::string& why) {
  page.edge.waiting.store(0, std::memory_order_relaxed);
  page.edge.state.store(static_cast<uint32_t>(RankState::stopped), std::memory_order_release);
  const uint64_t edge = page.edge.steps_closed.load(std::memory_order_relaxed);
  const std::string fault = "stopped at step " + std::to_string(edge) + ": " + why;
  if (!is_ordered(page)) {
    return {
        Code::threshold_reached, fault,
        "a restart is permitted once `account policy acknowledge` was said of the run's folder"};
  }
  if (why.starts_with(tally::kLeaseEnded)) {
    return {Code::shutdown_ordered, fault,
            "a restart needs no lift, but a new lease: account lease renew"};
  }
  return {
      Code::shutdown_ordered, fault,
      "`account order why` on the run's folder tells who ordered it; only a signed lift permits a "
      "restart"};
}

std::string reason_of(const PageLayout& page) {
  const char* text = page.control.reason;
  return std::string(text, strnlen(text, sizeof(page.control.reason)));
}

bool keeper_is_silent(const PageLayout& page, const Clock& clock, int64_t held_since_ns) {
  const auto beat = static_cast<int64_t>(page.control.keeper_beat_ns.load());
  return clock.monotonic_ns() - std::max(beat, held_since_ns) > kKeeperSilenceNs;
}

}  // namespace

// Note: [edge and hold]
// The rank stores next_edge and then loads the command; the keeper stores the command and then
// loads next_edge. With a full fence between the two on both sides, at least one of them sees the
// other: either the rank waits at this edge, or the keeper knows that it is on its way to the next.
// So no rank passes the highest next_edge that its keeper read after HOLD.
bool pass_edge(const PageLayout& page) noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return page.control.command.load(std::memory_order_relaxed) ==
         static_cast<uint32_t>(Command::none);
}

bool must_stop(Command command, uint64_t stop_edge, uint64_t closed) noexcept {
  switch (command) {
    case Command::none:
    case Command::hold:
    case Command::wait_at_edge:
      return false;
    case Command::stop_at_edge:
      return closed >= stop_edge;  // never ==: a rank that is past it for whatever reason stops too
    case Command::stop_now:
    case Command::refuse:
      break;
  }
  return true;  // also for a word that this version does not know: some keeper wants something
}

Status obey(PageLayout& page, const Clock& clock) {
  const uint64_t closed = page.edge.steps_closed.load(std::memory_order_relaxed);
  const int64_t held_since_ns = clock.monotonic_ns();
  while (true) {
    const uint32_t word = page.control.command.load(std::memory_order_acquire);
    const auto command = static_cast<Command>(word);
    if (must_stop(command, page.control.stop_edge.load(std::memory_order_acquire), closed)) {
      return raise_at_edge(page, reason_of(page));
    }
    const uint64_t edge = page.control.stop_edge.load(std::memory_order_acquire);
    if (command == Command::hold || (command == Command::wait_at_edge && closed >= edge)) {
      wait_at_edge(page, word);
      if (keeper_is_silent(page, clock, held_since_ns)) {
        return raise_at_edge(page, "held, and no keeper for 30 s (" + reason_of(page) + ")");
      }
      continue;
    }
    go_on(page);
    const bool comes_up = command == Command::stop_at_edge || command == Command::wait_at_edge;
    if (comes_up || pass_edge(page)) return {};
  }
}

}  // namespace account::halt
