// A training rank that goes wrong when it is told to, for the fault matrix.
//
//   faulty_rank FOLDER [couple=yes] [exchange=DIR] [pause_ms=N] [faulty=RANK fault=NAME]
//
// Keeps a RankTrace in FOLDER/trace-<rank>, steps until it is stopped, and all the time has a
// thread that would export whenever the gate is open. Rank `faulty` does `fault` in the middle of a
// step, once FOLDER/now exists: loop, raise, segfault, write, hang; or, when it is stopped, linger.
// Exits 86 when an order stopped or refused it.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "account/account.h"
#include "e2e/cpp/coupling.h"
#include "e2e/cpp/rank_trace.h"
#include "gate/gate.h"
#include "support/file_exchange.h"

namespace account::e2e {
namespace {

constexpr int kStopped = 86, kRaised = 7, kNotStarted = 8, kExported = 9;

std::string word(int argc, char** argv, const std::string& name, const std::string& otherwise) {
  for (int i = 2; i < argc; ++i) {
    const std::string given = argv[i];
    if (given.starts_with(name + "=")) return given.substr(name.size() + 1);
  }
  return otherwise;
}

[[noreturn]] void raise_error() { _exit(kRaised); }

void do_fault(const std::string& fault, const std::string& folder) {
  using std::chrono::milliseconds;
  if (fault == "raise") raise_error();
  if (fault == "segfault") raise(SIGSEGV);
  if (fault == "write") {  // a checkpoint that takes its time: nobody reads for four seconds
    const std::string pipe = folder + "/pipe";
    mkfifo(pipe.c_str(), 0600);
    std::thread reader([&] {
      std::this_thread::sleep_for(std::chrono::seconds(4));
      std::string sink(1 << 20, '\0');
      const int fd = open(pipe.c_str(), O_RDONLY);
      while (read(fd, sink.data(), sink.size()) > 0) {
      }
      close(fd);
    });
    const int fd = open(pipe.c_str(), O_WRONLY);
    const std::string checkpoint(1 << 20, 'w');
    if (write(fd, checkpoint.data(), checkpoint.size()) < 0) raise_error();
    close(fd);
    reader.join();
    return;
  }
  // hang: a call that never comes back; loop: code that never comes to a step.
  volatile uint64_t spins = 0;
  while (true) {
    spins = spins + 1;
    std::this_thread::sleep_for(fault == "hang" ? milliseconds(1000) : milliseconds(1));
  }
}

int work(int argc, char** argv) {
  const std::string folder = argv[1];
  const std::string rank = std::getenv("RANK");
  RankTrace* trace = map_trace(folder + "/trace-" + rank);
  if (trace == nullptr) return kNotStarted;
  trace->pid = getpid();
  auto run = Run::start({.model = "faulty", .framework = "none"});
  if (!run.ok()) return run.status().code() == Code::shutdown_ordered ? kStopped : kNotStarted;
  if (const auto exchange = word(argc, argv, "exchange", ""); !exchange.empty()) {
    run->set_exchange(std::make_shared<testing::FileExchange>(exchange));
  }
  std::thread exporter([trace] {
    while (true) {
      if (!gate::shut()) trace->last_exported_ns = wall_ns();
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  exporter.detach();
  std::optional<Coupling> coupling;
  if (word(argc, argv, "couple", "no") == "yes") {
    coupling.emplace(folder + "/couple", std::atoi(rank.c_str()),
                     std::atoi(std::getenv("WORLD_SIZE")));
  }
  const auto pause = std::chrono::milliseconds(std::stoi(word(argc, argv, "pause_ms", "10")));
  std::string fault = word(argc, argv, "faulty", "") == rank ? word(argc, argv, "fault", "") : "";
  while (true) {
    trace->last_begun_ns = wall_ns();
    trace->steps_begun.fetch_add(1);
    if (!fault.empty() && fault != "linger" && access((folder + "/now").c_str(), F_OK) == 0) {
      do_fault(std::exchange(fault, ""), folder);
    }
    if (coupling) coupling->meet();
    std::this_thread::sleep_for(pause);
    if (const Status status = run->step(); !status.ok()) {
      if (status.code() != Code::shutdown_ordered) return kNotStarted;
      trace->stopped = 1;
      while (fault == "linger") std::this_thread::sleep_for(std::chrono::seconds(1));
      // Who catches it and goes on all the same finds the gate shut.
      return gate::may_leave("the test", "weights").ok() ? kExported : kStopped;
    }
  }
}

}  // namespace
}  // namespace account::e2e

int main(int argc, char** argv) { return argc < 2 ? 1 : account::e2e::work(argc, argv); }
