// A training rank without a trainer: counts known amounts through libaccount and keeps its own
// plain count beside it. The tests kill it at random moments.
//
//   rank_program LOG [calls=N] [threads=N] [steps=N] [seconds=S] [exchange=DIR] [finish=no]
//                    [couple=FILE] [model=NAME] [goodbye=S] [state=TEXT] [pieces=N] [restore=yes]
//
// Each step makes `calls` calls on each of `threads` threads, each call of kOperations; `seconds`
// spreads the steps over that time; `couple` makes the ranks wait for each other in each step.
// `goodbye` is how long it lives on when it is stopped. `state` is what a stop may let it save, as
// many times as there are `pieces`, ten a second; `restore` says on stderr what one has.
// Prints the status of start() and exits 3 when it fails; 86 when an order stopped or refused it, 3
// when a limit of its own did.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "account/account.h"
#include "e2e/cpp/call_log.h"
#include "e2e/cpp/coupling.h"
#include "e2e/cpp/rank_facts.h"
#include "support/file_exchange.h"
#include "tally/tally.h"

namespace account::e2e {
namespace {

std::map<std::string, std::string> parse(int argc, char** argv) {
  std::map<std::string, std::string> words;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const size_t equals = word.find('=');
    words[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return words;
}

double number(const std::map<std::string, std::string>& words, const char* name, double otherwise) {
  const auto found = words.find(name);
  return found == words.end() ? otherwise : std::atof(found->second.c_str());
}

void count_calls(CallRecord& record, const tally::Key& key, int calls) {
  const OpCount operations = kOperations;
  const Figures figures{operations, operations, operations};
  for (int i = 0; i < calls; ++i) {
    record.begun.fetch_add(1);
    tally::add(key, figures);
    record.ended.fetch_add(1);
  }
}

int work(const std::map<std::string, std::string>& words, const std::string& log_path) {
  CallLog log(log_path);
  const std::string model = words.contains("model") ? words.at("model") : "rank-program";
  RunOptions options{.model = model, .framework = "none"};
  if (words.contains("state")) {
    const int pieces = static_cast<int>(number(words, "pieces", 1));
    options.state = [text = words.at("state"), pieces](const Sink& to) {
      Status status = to(text);
      for (int i = 1; i < pieces && status.ok(); ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        status = to(text);
      }
      return status;
    };
  }
  auto run = Run::start(options);
  if (!run.ok()) {
    std::fprintf(stderr, "start: %s: %s\n", std::string(code_name(run.status().code())).c_str(),
                 run.status().to_string().c_str());
    return run.status().code() == Code::shutdown_ordered ? 86 : 3;
  }
  if (words.contains("exchange")) {
    run->set_exchange(std::make_shared<testing::FileExchange>(words.at("exchange")));
  }
  if (words.contains("restore")) {
    std::string text;
    const auto saved = run->read_state([&](std::string_view bytes) {
      text += bytes;
      return Status();
    });
    std::fprintf(stderr, "restored: %s\n",
                 saved.ok() ? text.c_str() : saved.status().to_string().c_str());
  }
  const int steps = static_cast<int>(number(words, "steps", 10));
  const int calls = static_cast<int>(number(words, "calls", 100));
  const int threads = static_cast<int>(number(words, "threads", 1));
  const auto pause = std::chrono::duration<double>(number(words, "seconds", 0) / steps);
  const tally::Key key{tally::op_id("aten::mm"), DType::float32, Phase::forward,
                       Category::unassigned};
  std::vector<CallRecord*> records;
  for (int i = 0; i < threads; ++i) records.push_back(&log.take());
  std::optional<Coupling> coupling;
  if (words.contains("couple")) {
    coupling.emplace(words.at("couple"), std::atoi(std::getenv("RANK")),
                     std::atoi(std::getenv("WORLD_SIZE")));
  }
  for (int step = 0; step < steps; ++step) {
    if (coupling) coupling->meet();
    std::vector<std::thread> workers;
    for (int i = 1; i < threads; ++i) {
      workers.emplace_back(count_calls, std::ref(*records[static_cast<size_t>(i)]), key, calls);
    }
    count_calls(*records[0], key, calls);
    for (std::thread& worker : workers) worker.join();
    if (const Status status = run->step(); !status.ok()) {
      std::fprintf(stderr, "step: %s\n", status.to_string().c_str());
      if (status.code() == Code::threshold_reached) return 3;
      std::this_thread::sleep_for(std::chrono::duration<double>(number(words, "goodbye", 0)));
      return status.code() == Code::shutdown_ordered ? 86 : 4;
    }
    std::this_thread::sleep_for(pause);
  }
  if (words.contains("finish")) _exit(0);
  const Status finished = run->finish();
  if (!finished.ok()) std::fprintf(stderr, "finish: %s\n", finished.to_string().c_str());
  return finished.ok() ? 0 : 5;
}

}  // namespace
}  // namespace account::e2e

int main(int argc, char** argv) {
  if (argc < 2) return 1;
  return account::e2e::work(account::e2e::parse(argc, argv), argv[1]);
}
