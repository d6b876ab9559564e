// What the tests of the keeper share: a rank in this process, a disk that can be full, a keeper
// whose clock the test owns.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "count/transcript.h"
#include "keeper/keeper.h"
#include "keeper/page_words.h"
#include "ledger/ledger.h"
#include "tally/tally.h"

namespace account::keeper {

constexpr int64_t kSecond = 1'000'000'000;

// The real file system, but writes under `folder` fail as on a full disk while `full` is set.
class FullDisk final : public FileSystem {
 public:
  bool full = false;
  std::string folder;

  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path) override {
    auto file = real_.open_append(path);
    if (!file.ok()) return file;
    std::unique_ptr<AppendFile> wrapped =
        std::make_unique<File>(*this, path, std::move(file).value());
    return wrapped;
  }
  Result<std::string> read(const std::string& path, uint64_t cap) override {
    return real_.read(path, cap);
  }
  Status write_atomically(const std::string& path, std::string_view bytes, int mode) override {
    ACCOUNT_RETURN_IF_ERROR(room(path));
    return real_.write_atomically(path, bytes, mode);
  }
  Status truncate(const std::string& path, uint64_t size) override {
    return real_.truncate(path, size);
  }
  Status remove(const std::string& path) override { return real_.remove(path); }
  Status make_directories(const std::string& path, int mode) override {
    return real_.make_directories(path, mode);
  }
  Status sync_directory(const std::string& path) override { return real_.sync_directory(path); }
  bool exists(const std::string& path) override { return real_.exists(path); }
  Result<uint64_t> size(const std::string& path) override { return real_.size(path); }
  Result<std::vector<std::string>> list(const std::string& path) override {
    return real_.list(path);
  }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    return real_.lock(path);
  }

 private:
  class File final : public AppendFile {
   public:
    File(FullDisk& disk, std::string path, std::unique_ptr<AppendFile> file)
        : disk_(disk), path_(std::move(path)), file_(std::move(file)) {}
    Status append(std::string_view bytes) override {
      if (disk_.room(path_).ok()) return file_->append(bytes);
      // As a full disk does it: a part of the bytes still finds room.
      ACCOUNT_RETURN_IF_ERROR(file_->append(bytes.substr(0, bytes.size() / 2)));
      return disk_.room(path_);
    }
    Status sync() override { return file_->sync(); }

   private:
    FullDisk& disk_;
    std::string path_;
    std::unique_ptr<AppendFile> file_;
  };

  Status room(const std::string& path) const {
    if (!full || !path.starts_with(folder)) return Status();
    return Status(Code::io, path + ": No space left on device");
  }

  FileSystem& real_ = FileSystem::real();
};

// Rank `rank` of a world on one node.
inline tally::Identity rank_of(int rank, int world, std::string declaration = "") {
  tally::Identity identity;
  identity.rank = identity.local_rank = rank;
  identity.world_size = identity.local_world_size = world;
  identity.declaration = std::move(declaration);
  return identity;
}

// A rank that lives in this process. One at a time counts: the newest.
class TestRank {
 public:
  TestRank(const Place& place, tally::Identity identity) {
    auto page = tally::Page::create(place.page_folders(), identity);
    EXPECT_TRUE(page.ok()) << page.status().to_string();
    page_ = page->get();
    tally::activate(std::move(page).value());
    mm_ = tally::op_id("aten::mm");
  }

  void count(uint64_t operations) {
    const Figures figures{operations, operations, operations};
    tally::add({mm_, DType::float32, Phase::forward, Category::train}, figures);
  }
  void step() { tally::close_step(); }
  void finish() {
    page_->layout().edge.state.store(static_cast<uint32_t>(tally::RankState::finished));
    page_->layout().edge.finish_wanted.store(1);
  }
  tally::PageLayout& layout() { return page_->layout(); }
  Acceptance acceptance() { return account::keeper::acceptance(page_->layout()); }
  const std::string& path() const { return page_->path(); }

 private:
  tally::Page* page_ = nullptr;  // owned by tally::activate()
  uint16_t mm_ = 0;
};

class KeeperFixture : public ::testing::Test {
 protected:
  KeeperFixture() {
    char pattern[] = "/tmp/account-keeper-XXXXXX";
    dir_ = mkdtemp(pattern);
    place_ = *make_place(dir_, "run-1", "node-a");
    disk_.folder = dir_;
  }
  ~KeeperFixture() override {
    keeper_.reset();
    std::filesystem::remove_all(dir_);
    for (const std::string& folder : place_.page_folders()) std::filesystem::remove_all(folder);
  }

  Status open(bool hosted = true) {
    KeeperOptions options;
    options.place = place_;
    options.policies = policies_;
    options.hosted = hosted;
    auto keeper = Keeper::open(options, {disk_, clock_, say(), nullptr});
    if (!keeper.ok()) return keeper.status();
    keeper_ = std::move(keeper).value();
    return Status();
  }
  Say say() {
    return [this](std::string_view line) { lines_.emplace_back(line); };
  }
  // Turns for this long of the test's time.
  bool turn_for(int64_t ns, int64_t stride = Keeper::kTurnNs) {
    bool on = true;
    for (int64_t passed = 0; on && passed <= ns; passed += stride) {
      on = keeper_->turn();
      clock_.advance(stride);
    }
    return on;
  }
  // Rank 0 of 1, in a process of its own: killed once it has trained and been read.
  template <class Train>
  void train_and_die(const Train& train) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
      TestRank rank(place_, rank_of(0, 1));
      train(rank);
      [[maybe_unused]] const ssize_t told = write(ready[1], "x", 1);
      pause();
    }
    char byte;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    turn_for(kSecond);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    turn_for(kSecond);
  }
  void end(int exit_code = 0) {
    keeper_->host_ended(exit_code);
    EXPECT_FALSE(turn_for(60 * kSecond));
    keeper_.reset();
  }
  ledger::Report verify() {
    auto report =
        ledger::verify(FileSystem::real(), place_.run_folder(), std::nullopt, &count::recount);
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    for (const auto& problem : report->problems) {
      ADD_FAILURE() << problem.place << ": " << problem.fault;
    }
    return *report;
  }
  bool said(std::string_view words) const {
    for (const std::string& line : lines_) {
      if (line.find(words) != std::string::npos) return true;
    }
    return false;
  }

  std::string dir_;
  Place place_;
  FakeClock clock_;
  FullDisk disk_;
  std::vector<std::string> policies_ = {"us-ca-sb1047-enrolled"};
  std::vector<std::string> lines_;
  std::unique_ptr<Keeper> keeper_;
};

}  // namespace account::keeper
