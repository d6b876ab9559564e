// What the tally's tests share: a place for pages, a page of one's own, children that count.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tally/tally.h"

namespace account::tally {

// A fresh place for pages, in shared memory where there is some; gone at the end of the test.
class Place {
 public:
  Place() {
    const bool shm = std::filesystem::is_directory("/dev/shm");
    root_ = (shm ? std::string("/dev/shm") : testing::TempDir()) + "/account-test-XXXXXX";
    if (mkdtemp(root_.data()) == nullptr) abort();
  }
  ~Place() { std::filesystem::remove_all(root_); }

  const std::string& root() const { return root_; }
  std::string folder() const { return root_ + "/account/run"; }
  std::vector<std::string> folders() const { return {folder()}; }
  std::vector<std::string> pages() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder())) {
      paths.push_back(entry.path());
    }
    return paths;
  }

 private:
  std::string root_;
};

inline std::unique_ptr<PageView> view_of(const std::string& path) {
  auto view = PageView::open(path);
  if (!view.ok()) ADD_FAILURE() << view.status().to_string();
  return std::move(view).value();
}

// Makes a shared page the active one and opens the keeper's view of it.
inline std::unique_ptr<PageView> activate_page(const Place& place) {
  auto page = Page::create(place.folders(), Identity());
  if (!page.ok() || (*page)->in_memory()) abort();
  const std::string path = (*page)->path();
  activate(std::move(page).value());
  return view_of(path);
}

// Runs `body` in a forked child and returns its pid; the child leaves without destructors.
template <class Body>
pid_t in_child(Body body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

// The child's exit code, or 1000 + the signal that ended it.
inline int wait_for(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

inline Key key_of(uint16_t op, DType dtype = DType::float32, Phase phase = Phase::forward,
                  Category category = Category::unassigned) {
  return {op, dtype, phase, category};
}

inline OpCount total_executed(const Counters& counters) { return to_totals(counters).executed; }

}  // namespace account::tally
