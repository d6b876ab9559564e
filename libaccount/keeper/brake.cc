// From a wish to brake to quiet ranks.
#include "keeper/brake.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace account::keeper {
namespace {

using tally::Command;
using tally::RankState;

constexpr int64_t kSecond = 1'000'000'000;
// design.md §4, the quiet clock: max(10 s, 3 x the slowest of the last 20 steps + 2 s).
constexpr int64_t kLeastQuietNs = 10 * kSecond;
constexpr size_t kStepTimes = 20;

RankState state_of(const Watch& watch) {
  return static_cast<RankState>(watch.page->layout().edge.state.load(std::memory_order_acquire));
}

void wake(tally::Control& control) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&control.command), FUTEX_WAKE, INT_MAX, nullptr,
          nullptr, 0);
}

void write_reason(tally::Control& control, std::string_view reason) {
  const size_t bytes = std::min(reason.size(), sizeof(control.reason) - 1);
  std::memcpy(control.reason, reason.data(), bytes);
  control.reason[bytes] = '\0';
}

// SIGCONT first: a process under SIGSTOP would not act on SIGTERM.
void end_process(const Watch& watch, bool kill) {
  const auto pid = static_cast<pid_t>(watch.header().pid);
  ::kill(pid, SIGCONT);
  ::kill(pid, kill ? SIGKILL : SIGTERM);
}

}  // namespace

void Brake::apply(const Braking& wanted, const std::vector<Watch*>& ranks) {
  const bool other_cause = wanted.order != cause_.order || wanted.about != cause_.about ||
                           wanted.waits != cause_.waits || wanted.savers != cause_.savers;
  // From one wait to another: those that wait go on to the edge that is agreed on for this one.
  if (phase_ != Phase::off && cause_.waits && wanted.waits && wanted.about != cause_.about) {
    release(ranks);
  }
  const bool deadline_begins =
      phase_ == Phase::off || (wanted.ends && (!cause_.ends || (cause_.waits && !wanted.waits)));
  const bool first_to_save = phase_ != Phase::off && phase_ != Phase::held && cause_.waits &&
                             !wanted.waits && wanted.savers != 0;
  if (wanted.order != cause_.order) named_ = wanted.order;
  cause_ = wanted;
  if (deadline_begins) began_ns_ = clock_.monotonic_ns();
  if (phase_ == Phase::off) return hold(ranks);
  if (!other_cause) return;
  for (Watch* watch : ranks) write_cause(watch->page->layout().control);
  if (phase_ == Phase::held) return;
  // Ranks that wait at the edge stop there, and those on their way to it when they come; where
  // that lets them save, not before all nodes have named one stop.
  if (first_to_save) {
    has_edge_ = true;
    held_ns_ = clock_.monotonic_ns();
    phase_ = Phase::held;
    return;
  }
  phase_ = Phase::decided;
  command(ranks);
}

void Brake::write_cause(tally::Control& control) const {
  const int64_t quiet_by_ns = cause_.ends ? began_ns_ + quiet_ns() : 0;
  control.quiet_by_ns.store(static_cast<uint64_t>(quiet_by_ns), std::memory_order_relaxed);
  std::memcpy(control.order, named_.data(), named_.size());
  write_reason(control, cause_.reason);
  if (cause_.shuts_gate) {
    control.gate.store(1 | (cause_.savers << 1), std::memory_order_release);
  }
}

void Brake::hold(const std::vector<Watch*>& ranks) {
  // A keeper before this one may have voted already, and a peer may have decided by that: the vote
  // is repeated as it was, neither lowered nor raised.
  uint64_t voted = 0;
  for (Watch* watch : ranks) {
    tally::Control& control = watch->page->layout().control;
    if (control.command.load() != static_cast<uint32_t>(Command::none)) {
      voted = std::max(voted, control.stop_edge.load());
    } else {
      control.stop_edge.store(0);  // no vote yet
    }
    write_cause(control);
    control.command.store(static_cast<uint32_t>(Command::hold), std::memory_order_seq_cst);
  }
  // halt/edge.cc, Note: [edge and hold]
  std::atomic_thread_fence(std::memory_order_seq_cst);
  std::vector<RankEdge> edges;
  for (const Watch* watch : ranks) {
    const tally::Edge& edge = watch->page->layout().edge;
    edges.push_back({edge.steps_closed.load(), edge.next_edge.load(), !watch->ended.empty()});
  }
  vote_ = voted != 0 ? voted : vote_of(edges);
  for (Watch* watch : ranks) watch->page->layout().control.stop_edge.store(vote_);
  held_ns_ = clock_.monotonic_ns();
  phase_ = Phase::held;
}

void Brake::release(const std::vector<Watch*>& ranks) {
  for (Watch* watch : ranks) {
    tally::Control& control = watch->page->layout().control;
    write_reason(control, "");
    std::memset(control.order, 0, sizeof(control.order));
    control.quiet_by_ns.store(0, std::memory_order_relaxed);
    control.gate.store(0, std::memory_order_release);
    control.command.store(static_cast<uint32_t>(Command::none), std::memory_order_seq_cst);
    wake(control);
  }
  phase_ = Phase::off;
  has_edge_ = false;
  cause_ = {};
  named_ = {};
  decision_ = {};
  last_steps_.clear();
}

std::optional<sign::Digest> Brake::left_waiting(const std::vector<Watch*>& ranks) {
  std::optional<sign::Digest> order;
  for (const Watch* watch : ranks) {
    const tally::Control& control = watch->page->layout().control;
    // One that died between the two words leaves a gate that is shut and nobody who waits.
    const bool waits = control.command.load() != static_cast<uint32_t>(Command::none);
    if (!waits && control.gate.load() == 0) continue;
    sign::Digest here{};
    std::memcpy(here.data(), control.order, here.size());
    order = order ? std::max(*order, here) : here;
  }
  return order;
}

bool Brake::turn(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  watch_step_times(ranks);
  if (phase_ == Phase::held) decide_edge(ranks, view);
  if (phase_ == Phase::quiet && cause_.ends && !cause_.waits) end_the_rest(ranks);
  if (phase_ != Phase::held && phase_ != Phase::decided) return false;
  if (cause_.ends) enforce(ranks);
  if (phase_ != Phase::decided || !all_quiet(ranks)) return false;
  phase_ = Phase::quiet;
  quiet_at_ns_ = clock_.monotonic_ns();
  if (forced_) decision_.how = "deadline";
  return true;
}

void Brake::decide_edge(const std::vector<Watch*>& ranks, const JobTotals::View& view) {
  int world = 0;
  uint32_t start = 0;
  for (const Watch* watch : ranks) {
    world = std::max(world, watch->line.world_size);
    start = std::max(start, watch->line.restart_count);
  }
  std::vector<std::optional<uint64_t>> votes = {vote_};
  int covered = static_cast<int>(ranks.size());
  sign::Digest lowest = named_;
  for (const NodeTotal& other : view.others) {
    if (!other.stop || other.stop->start != start || other.stop->about != cause_.about) continue;
    if (other.world_size != world) continue;
    votes.emplace_back(other.stop->vote);
    if (other.stop->order != sign::Digest{}) lowest = std::min(lowest, other.stop->order);
    // A sum has this node's vote in it as well.
    covered = other.covers > 0 ? std::max(covered, other.covers)
                               : covered + static_cast<int>(other.ranks.size());
  }
  if (covered < world) {
    const int64_t patience = cause_.ends ? kVotePatienceNs : kLongVotePatienceNs;
    if (clock_.monotonic_ns() - held_ns_ < patience) return;
    votes.emplace_back(std::nullopt);
  }
  if (!std::exchange(has_edge_, false)) decision_ = decide(votes);
  phase_ = Phase::decided;
  if (std::exchange(named_, lowest) != lowest) {
    for (Watch* watch : ranks) write_cause(watch->page->layout().control);
  }
  command(ranks);
}

void Brake::command(const std::vector<Watch*>& ranks) {
  const Command word = cause_.waits ? Command::wait_at_edge : decision_.command;
  for (Watch* watch : ranks) {
    tally::Control& control = watch->page->layout().control;
    control.stop_edge.store(decision_.stop_edge, std::memory_order_release);
    control.command.store(static_cast<uint32_t>(word), std::memory_order_seq_cst);
    wake(control);
  }
}

bool Brake::is_quiet(const Watch& watch) const {
  if (!watch.ended.empty() || state_of(watch) == RankState::stopped) return true;
  const tally::Edge& edge = watch.page->layout().edge;
  return cause_.waits && edge.waiting.load(std::memory_order_acquire) != 0 &&
         edge.steps_closed.load(std::memory_order_relaxed) >= decision_.stop_edge;
}

int64_t Brake::quiet_ns() const {
  if (cause_.quiet_seconds > 0) return cause_.quiet_seconds * kSecond;
  const auto slowest = std::max_element(step_times_ns_.begin(), step_times_ns_.end());
  const int64_t slow = slowest == step_times_ns_.end() ? 0 : *slowest;
  return std::max(kLeastQuietNs, 3 * slow + 2 * kSecond);
}

void Brake::watch_step_times(const std::vector<Watch*>& ranks) {
  if (phase_ != Phase::off) return;
  for (const Watch* watch : ranks) {
    const tally::Edge& edge = watch->page->layout().edge;
    const uint64_t step = edge.steps_closed.load(std::memory_order_relaxed);
    const auto at = static_cast<int64_t>(edge.last_edge_ns.load(std::memory_order_relaxed));
    auto& [last_step, last_at] = last_edges_[watch->line.id];
    if (last_step > 0 && step > last_step && at > last_at) {
      step_times_ns_.push_back((at - last_at) / static_cast<int64_t>(step - last_step));
      if (step_times_ns_.size() > kStepTimes) step_times_ns_.pop_front();
    }
    last_step = step;
    last_at = at;
  }
}

void Brake::enforce(const std::vector<Watch*>& ranks) {
  const int64_t left = began_ns_ + quiet_ns() - clock_.monotonic_ns();
  if (left > kTermBeforeNs) return;
  bool forced = false;
  for (const Watch* watch : ranks) {
    if (is_quiet(*watch) || !watch->page->alive()) continue;
    if (!forced_) {
      remarks_.push_back("rank " + std::to_string(watch->line.rank) +
                         " has not stopped; it is ended before the deadline");
    }
    end_process(*watch, left <= kKillBeforeNs);
    forced = true;
  }
  // Only where somebody had to be ended: the receipt says "deadline" for no other reason.
  forced_ = forced_ || forced;
}

// Since when a rank has had nothing to do: since all are quiet, or since it last wrote its state.
int64_t Brake::resting_since(const Watch& watch) {
  const int64_t now = clock_.monotonic_ns();
  const uint32_t word = watch.page->layout().edge.saving.load(std::memory_order_acquire);
  Save& save = saves_[watch.line.id];
  if (word != std::exchange(save.word, word)) save.moved_ns = now;
  const bool goes_on = word != 0 && now - save.moved_ns < kSaveStallNs;
  // What a second stop forbids to save is not waited for.
  if (goes_on && cause_.savers != 0) save.seen_ns = now;
  return std::max(quiet_at_ns_, save.seen_ns);
}

// Whoever caught the stop has had the time to say goodbye.
void Brake::end_the_rest(const std::vector<Watch*>& ranks) {
  for (const Watch* watch : ranks) {
    if (!watch->ended.empty() || !watch->page->alive()) continue;
    const int64_t over = clock_.monotonic_ns() - resting_since(*watch) - kEndAfterNs;
    if (over < 0) continue;
    if (!ends_the_rest_) {
      remarks_.push_back("rank " + std::to_string(watch->line.rank) +
                         " has stopped training and does not end; it is ended");
    }
    ends_the_rest_ = true;
    end_process(*watch, over >= kTermBeforeNs);
  }
}

bool Brake::all_quiet(const std::vector<Watch*>& ranks) {
  bool all = true;
  for (const Watch* watch : ranks) {
    const bool quiet = is_quiet(*watch);
    all = all && quiet;
    const std::string_view state = !watch->ended.empty() ? "ended"
                                   : !quiet              ? "training"
                                   : cause_.waits        ? "waiting"
                                                         : "quiet";
    last_steps_[watch->line.rank] = {std::string(state),
                                     watch->page->layout().edge.steps_closed.load()};
  }
  return all;
}

std::optional<NodeStop> Brake::to_tell() const {
  if (phase_ == Phase::off) return std::nullopt;
  NodeStop tell;
  tell.vote = vote_;
  tell.about = cause_.about;
  if (!cause_.waits) tell.order = cause_.order;
  return tell;
}

Json Brake::ledger_body() const {
  Json rows = Json::array();
  for (const auto& [rank, last] : last_steps_) {
    rows.push(Json::object({{"rank", rank}, {"state", last.state}, {"last_step", last.step}}));
  }
  return Json::object(
      {{"how", decision_.how}, {"stop_edge", decision_.stop_edge}, {"ranks", rows}});
}

std::string Brake::spoken() const {
  std::string text;
  for (const auto& [rank, last] : last_steps_) {
    text += (text.empty() ? "rank " : ", ") + std::to_string(rank) + " at step " +
            std::to_string(last.step);
  }
  return text;
}

}  // namespace account::keeper
