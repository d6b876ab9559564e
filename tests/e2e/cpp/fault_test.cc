// The fault matrix: while something is going wrong, a stop arrives at a random moment. Whatever it
// is, nobody trains, runs or exports beyond the deadline, and no start is permitted afterwards.
//
// ACCOUNT_FAULT_TRIALS is the number of trials a cell (default 20; `make soak` makes 1,000),
// ACCOUNT_FAULT_SEED another walk. Each cell prints its worst latency and the 95 % bound.
#include <sys/resource.h>

#include <atomic>
#include <cmath>
#include <cstdio>
#include <functional>
#include <mutex>
#include <random>

#include "e2e/cpp/rank_trace.h"
#include "e2e/cpp/stop_support.h"

namespace account::e2e {
namespace {

constexpr int64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;
constexpr int kAtOnce = 20;
// The promise: max(10 s, 3 x the slowest step + 2 s), and what a keeper that has to come anew
// takes. The rest is for a machine that is busy with twenty trials at once.
constexpr int64_t kDeadlineNs = 10 * kSecond, kBusyNs = 10 * kSecond;

int number(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

// Lives, and not as a process that was stopped (SIGSTOP) on its way out.
bool is_running(const RankTrace& rank) {
  const int64_t pid = rank.pid;
  if (pid <= 0 || kill(static_cast<pid_t>(pid), 0) != 0) return false;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const size_t paren = text.rfind(')');
  if (paren == std::string::npos || paren + 2 >= text.size()) return false;
  const char state = text[paren + 2];
  return state != 'Z' && !(state == 'T' && rank.stopped != 0);
}

struct Cell {
  const char* name;
  const char* fault = "";  // of rank 1, by itself
  bool two_nodes = false;  // of one rank each; else one node of two ranks
  bool couple = true;
  bool before_first_step = false;
  int pause_ms = 10;
};

class FaultMatrix : public StopTest, public ::testing::WithParamInterface<Cell> {
 protected:
  // One job that is stopped once.
  struct Trial {
    std::string run, folder, authority, other_authority;
    std::vector<Process> nodes;
    std::vector<RankTrace*> ranks;
    int64_t ordered_ns = 0, quiet_ns = 0;
    std::string wrong;    // what went wrong; empty: all is well
    bool jumped = false;  // its keeper answered by a clock that had jumped
  };

  // Of the keeper's wall clock.
  static bool jumps() { return std::string_view(GetParam().name).starts_with("clock"); }

  std::string rank_words(const Trial& trial, int rank, int local) const {
    const Cell& cell = GetParam();
    std::string words = "RANK=" + std::to_string(rank) + " LOCAL_RANK=" + std::to_string(local) +
                        " LOCAL_WORLD_SIZE=" + (cell.two_nodes ? "1" : "2") +
                        " WORLD_SIZE=2 " FAULTY_RANK " " + trial.folder +
                        " pause_ms=" + std::to_string(cell.pause_ms);
    if (cell.couple) words += " couple=yes";
    if (*cell.fault != '\0') words += std::string(" faulty=1 fault=") + cell.fault;
    if (cell.two_nodes) {
      const bool apart = std::string(cell.name) == "partition" && rank == 1;
      words += " exchange=" + trial.folder + (apart ? "/other-road" : "/road");
    }
    return words;
  }
  void start(Trial& trial, int index) {
    const Cell& cell = GetParam();
    trial.run = std::string(cell.name) + "-" + std::to_string(index);
    trial.folder = folder_ + "/" + trial.run;
    std::filesystem::create_directories(trial.folder);
    // An authority of its own, so that a trial meets no other's orders.
    trial.authority = trial.folder + "/authority";
    std::filesystem::copy(authority_, trial.authority, std::filesystem::copy_options::recursive);
    trial.other_authority = trial.authority;
    if (std::string(cell.name) == "one_sight") {
      trial.other_authority = trial.folder + "/unseen";
      std::filesystem::copy(authority_, trial.other_authority,
                            std::filesystem::copy_options::recursive);
    }
    for (int rank = 0; rank < 2; ++rank) {
      trial.ranks.push_back(map_trace(trial.folder + "/trace-" + std::to_string(rank)));
    }
    const int nodes = cell.two_nodes ? 2 : 1;
    for (int node = 0; node < nodes; ++node) {
      std::string script;
      for (int local = 0; local < (cell.two_nodes ? 1 : 2); ++local) {
        const int rank = cell.two_nodes ? node : local;
        script += rank_words(trial, rank, local) + " & ";
      }
      auto environment = base_environment();
      environment["ACCOUNT_DIR"] = trial.folder + "/account";
      environment["ACCOUNT_RUN"] = trial.run;
      environment["ACCOUNT_NODE"] = node == 0 ? "left" : "right";
      environment["ACCOUNT_AUTHORITY"] = node == 0 ? trial.authority : trial.other_authority;
      environment["ACCOUNT_QUIET"] = "1";
      if (jumps()) {
        environment["LD_PRELOAD"] = CLOCK_JUMP_LIBRARY;
        environment["CLOCK_JUMP"] = trial.folder + "/jump";
        script.insert(0, "unset LD_PRELOAD; ");  // the ranks' traces go by the true clock
      }
      trial.nodes.push_back(Process({ACCOUNT_BINARY, "run", "--", "/bin/sh", "-c", script + "wait"},
                                    environment, trial.folder + "/output-" + std::to_string(node)));
    }
  }
  bool trains(const Trial& trial) const {
    const int64_t least = GetParam().before_first_step ? 1 : 3;
    return eventually(
        [&] {
          return std::all_of(trial.ranks.begin(), trial.ranks.end(),
                             [&](const RankTrace* rank) { return rank->steps_begun >= least; });
        },
        seconds(60));
  }
  static void order_now(Trial& trial, const sign::Envelope& envelope) {
    trial.ordered_ns = wall_ns();
    const auto hash = OrderSender(trial.authority).send(order::order_file(envelope));
    if (!hash.ok()) trial.wrong = hash.status().to_string();
  }
  // What the outside does; the rank's own faults begin by themselves.
  void do_fault(Trial& trial) const {
    const std::string name = GetParam().name;
    std::ofstream(trial.folder + "/now") << "now";
    const auto victim = static_cast<pid_t>(trial.ranks[1]->pid.load());
    if (name == "kill") kill(victim, SIGKILL);
    if (name == "sigstop") kill(victim, SIGSTOP);
    if (name == "keeper_kill") trial.nodes[0].kill(SIGKILL);
    if (name == "keeper_sigstop") trial.nodes[0].kill(SIGSTOP);
    // Beyond the root's expiry, and to before there was one.
    if (name == "clock_ahead") std::ofstream(trial.folder + "/jump") << 400 * 86'400;
    if (name == "clock_back") std::ofstream(trial.folder + "/jump") << -400 * 86'400;
    if (name == "store") {
      std::error_code not_there_yet;
      std::filesystem::rename(trial.folder + "/road", trial.folder + "/lost", not_there_yet);
      std::ofstream(trial.folder + "/road") << "no folder any more";
    }
    if (name == "disk_full") {
      const rlimit full{0, RLIM_INFINITY};
      prlimit(trial.nodes[0].pid(), RLIMIT_FSIZE, &full, nullptr);
    }
  }
  // By then the gate is shut on each node: before the stop is latched there. No receipt where there
  // is no room for one.
  int64_t gate_shut_ns(const Trial& trial, int64_t otherwise) const {
    if (jumps()) return otherwise;  // its receipts go by a clock that jumped
    const order::AuthorityDirectory directory(FileSystem::real(),
                                              *order::parse_authority_spec(trial.authority));
    const auto receipts = directory.read_receipts();
    if (!receipts.ok() || receipts->size() != trial.nodes.size()) return otherwise;
    int64_t latest = 0;
    for (const auto& receipt : *receipts) latest = std::max(latest, receipt.latched_unix_ns);
    return latest;
  }
  static void note_jump(Trial& trial) {
    constexpr int64_t kFar = 100 * 86'400 * kSecond;
    const order::AuthorityDirectory directory(FileSystem::real(),
                                              *order::parse_authority_spec(trial.authority));
    const auto receipts = directory.read_receipts();
    if (!receipts.ok()) return;
    for (const auto& receipt : *receipts) {
      trial.jumped |= std::abs(receipt.latched_unix_ns - trial.ordered_ns) > kFar;
    }
  }
  void after(Trial& trial) const {
    if (std::string(GetParam().name) != "traces") return;
    // The order's file, the receipts or the ledger: any one may be gone, the others hold.
    const int which = static_cast<int>(trial.run.back()) % 3;
    if (which == 0) std::filesystem::remove_all(trial.folder + "/account");
    if (which == 1) std::filesystem::remove_all(trial.authority + "/receipts");
    if (which != 2) return;
    for (const auto& file : std::filesystem::directory_iterator(trial.authority + "/orders")) {
      std::filesystem::remove(file);
    }
  }
  void judge(Trial& trial) const {
    const bool lingers = std::string(GetParam().fault) == "linger";
    const int64_t deadline =
        trial.ordered_ns + kDeadlineNs + kBusyNs + (lingers ? keeper::Brake::kEndAfterNs : 0);
    const auto all_gone = [&] {
      return std::none_of(trial.ranks.begin(), trial.ranks.end(),
                          [](const RankTrace* rank) { return is_running(*rank); });
    };
    // Looked at once: a stopped rank that the keeper wakes to end it would be seen to run again.
    bool gone = all_gone();
    for (; !gone && wall_ns() < deadline; gone = all_gone()) {
      std::this_thread::sleep_for(milliseconds(10));
    }
    trial.quiet_ns = wall_ns();
    if (!gone) trial.wrong = "a rank runs beyond the deadline";
    for (const RankTrace* rank : trial.ranks) {
      if (rank->last_begun_ns > deadline) trial.wrong = "a rank trains beyond the deadline";
      if (rank->last_exported_ns > gate_shut_ns(trial, deadline))
        trial.wrong = "a rank could export";
    }
    for (const RankTrace* rank : trial.ranks) {
      if (rank->stopped != 0 || is_running(*rank)) kill(static_cast<pid_t>(rank->pid), SIGKILL);
    }
    for (Process& node : trial.nodes) {
      node.kill(SIGCONT);
      eventually([&] { return node.has_ended(); }, seconds(60));
    }
    note_jump(trial);
    after(trial);
    keeper::KeeperOptions options;
    options.place = *keeper::make_place(trial.folder + "/account", trial.run, "left");
    options.authorities = {trial.authority};
    const Status again = keeper::may_start(FileSystem::real(), Clock::real(), options);
    if (again.code() != Code::shutdown_ordered && trial.wrong.empty()) {
      trial.wrong = "a restart is not refused: " + again.to_string();
    }
  }
  void run_trial(Trial& trial, int index, unsigned random, const sign::Envelope& envelope) {
    start(trial, index);
    if (!trains(trial)) {
      trial.wrong = "it never trained: " + trial.nodes[0].err();
      return;
    }
    std::this_thread::sleep_for(milliseconds(random % 300));
    // Before the order, with it, or a little behind it.
    const bool fault_first = random % 2 == 0;
    if (fault_first) do_fault(trial);
    std::this_thread::sleep_for(milliseconds(random / 7 % 100));
    order_now(trial, envelope);
    if (!fault_first) {
      std::this_thread::sleep_for(milliseconds(random / 11 % 30));
      do_fault(trial);
    }
    judge(trial);
  }
};

TEST_P(FaultMatrix, NobodyTrainsRunsOrExportsBeyondTheDeadline) {
  const int trials = number("ACCOUNT_FAULT_TRIALS", 20);
  std::mt19937 random(static_cast<unsigned>(number("ACCOUNT_FAULT_SEED", 1)));
  std::vector<Trial> all(static_cast<size_t>(trials));
  std::vector<unsigned> walk;
  for (int i = 0; i < trials; ++i) walk.push_back(static_cast<unsigned>(random()));
  std::atomic<size_t> next = 0;
  const sign::Envelope envelope = sealed(stop_order(everything_), {&keys_.stop_a});
  std::vector<std::thread> hands;
  for (int i = 0; i < kAtOnce; ++i) {
    hands.emplace_back([&] {
      for (size_t mine = next++; mine < all.size(); mine = next++) {
        run_trial(all[mine], static_cast<int>(mine), walk[mine], envelope);
        std::error_code ignored;
        if (all[mine].wrong.empty()) std::filesystem::remove_all(all[mine].folder, ignored);
      }
    });
  }
  for (std::thread& hand : hands) hand.join();
  int64_t worst = 0;
  int wrong = 0, jumped = 0;
  for (const Trial& trial : all) {
    EXPECT_EQ(trial.wrong, "") << trial.run;
    wrong += trial.wrong.empty() ? 0 : 1;
    jumped += trial.jumped ? 1 : 0;
    worst = std::max(worst, trial.quiet_ns - trial.ordered_ns);
  }
  EXPECT_EQ(jumped > 0, jumps()) << jumped << " of the keepers' clocks had jumped";
  std::printf(
      "%s: %d trials, %d beyond the deadline (at most %.1f %% with 95 %% confidence), "
      "worst %.2f s from order to last rank gone\n",
      GetParam().name, trials, wrong, wrong == 0 ? 100 * (1 - std::pow(0.05, 1.0 / trials)) : 100.0,
      static_cast<double>(worst / kMillisecond) / 1000);
}

INSTANTIATE_TEST_SUITE_P(
    Faults, FaultMatrix,
    ::testing::Values(
        Cell{.name = "none"}, Cell{.name = "kill"}, Cell{.name = "sigstop"},
        Cell{.name = "loop", .fault = "loop"}, Cell{.name = "collective", .fault = "hang"},
        Cell{.name = "raise", .fault = "raise"}, Cell{.name = "segfault", .fault = "segfault"},
        Cell{.name = "write", .fault = "write"}, Cell{.name = "linger", .fault = "linger"},
        Cell{.name = "first", .before_first_step = true, .pause_ms = 3000},
        Cell{.name = "keeper_kill"}, Cell{.name = "keeper_sigstop"},
        Cell{.name = "store", .two_nodes = true}, Cell{.name = "partition", .two_nodes = true},
        Cell{.name = "one_sight", .two_nodes = true}, Cell{.name = "disk_full"},
        Cell{.name = "clock_ahead"}, Cell{.name = "clock_back"}, Cell{.name = "traces"},
        Cell{.name = "unequal", .couple = false}),
    [](const auto& cell) { return std::string(cell.param.name); });

}  // namespace
}  // namespace account::e2e
