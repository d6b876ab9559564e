// What the end-to-end tests share: the real `account` command and ranks as processes, in a folder
// of their own.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/process.h"
#include "count/transcript.h"
#include "e2e/cpp/call_log.h"
#include "e2e/cpp/rank_facts.h"
#include "keeper/keeper.h"
#include "keeper/live_status.h"
#include "keeper/page_words.h"
#include "ledger/ledger.h"
#include "support/process.h"

namespace account::e2e {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::eventually;
using testing::Process;

class EndToEnd : public ::testing::Test {
 protected:
  EndToEnd() {
    char pattern[] = "/tmp/account-e2e-XXXXXX";
    folder_ = mkdtemp(pattern);
    dir_ = folder_ + "/account";
  }
  ~EndToEnd() override {
    // A keeper that is still about ends by itself; the page folders are its to clear.
    if (!HasFailure()) std::filesystem::remove_all(folder_);
  }

  // The environment of one rank of `world` on the node of this name.
  Process::Environment rank_environment(int rank, int world, int local_rank, int local_world,
                                        const std::string& node = "") const {
    Process::Environment environment = base_environment();
    environment["RANK"] = std::to_string(rank);
    environment["WORLD_SIZE"] = std::to_string(world);
    environment["LOCAL_RANK"] = std::to_string(local_rank);
    environment["LOCAL_WORLD_SIZE"] = std::to_string(local_world);
    if (!node.empty()) environment["ACCOUNT_NODE"] = node;
    return environment;
  }
  Process::Environment base_environment() const {
    return {{"ACCOUNT_BIN", ACCOUNT_BINARY},
            {"ACCOUNT_RUN", "r"},
            {"ACCOUNT_DIR", dir_},
            {"ACCOUNT_SEAL_SECONDS", "0.5"},
            {"ACCOUNT_NODE", "-"},
            {"ACCOUNT_KEEPER", "-"},
            {"ACCOUNT", "-"},
            {"SLURM_JOB_ID", "-"}};
  }
  std::string log() const { return folder_ + "/calls"; }
  std::vector<std::string> rank_words(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {RANK_PROGRAM, log()};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Process start_rank(const std::vector<std::string>& more, int rank = 0, int world = 1,
                     const std::string& node = "") {
    return Process(rank_words(more), rank_environment(rank, world, rank, world, node), output());
  }
  // `account run ... -- words`
  Process account_run(const std::vector<std::string>& options,
                      const std::vector<std::string>& command, Process::Environment environment) {
    std::vector<std::string> words = {ACCOUNT_BINARY, "run"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return Process(words, environment, output());
  }
  std::string output() { return folder_ + "/output-" + std::to_string(++outputs_); }

  keeper::Place place(const std::string& node = "") const {
    return *keeper::make_place(dir_, "r", node);
  }
  bool keeper_lives(const std::string& node = "") const {
    return keeper::keeper_lives(FileSystem::real(), place(node));
  }
  bool keeper_ends(milliseconds patience = seconds(60), const std::string& node = "") const {
    return eventually([&] { return !keeper_lives(node); }, patience);
  }
  // What the keeper says of itself; nothing before its first second.
  std::optional<keeper::LiveStatus> live() const {
    for (auto& status : keeper::live_runs(FileSystem::real())) {
      if (status.run_folder == place().run_folder()) return status;
    }
    return std::nullopt;
  }

  ledger::Report verify() const {
    auto report =
        ledger::verify(FileSystem::real(), place().run_folder(), std::nullopt, &count::recount);
    if (!report.ok()) {
      ADD_FAILURE() << report.status().to_string();
      return {};
    }
    for (const auto& problem : report->problems) {
      ADD_FAILURE() << problem.place << ": " << problem.fault;
    }
    return std::move(report).value();
  }
  // Every call that ended is in the ledger, and none that had not begun: a kill costs at most the
  // call in flight of each thread.
  void expect_all_counted(const ledger::Report& report) const {
    const CallLog calls(log());
    EXPECT_EQ(report.totals.executed.raw() % kOperations, 0u);
    const auto counted = static_cast<uint64_t>(report.totals.executed.raw() / kOperations);
    EXPECT_GE(counted, calls.ended());
    EXPECT_LE(counted, calls.begun());
  }

  std::string folder_, dir_;
  int outputs_ = 0;
};

}  // namespace account::e2e
