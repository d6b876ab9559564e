// A child process of a test: started with arguments and environment, its output kept in files,
// killed and reaped by the test or, at the latest, with this object.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace account::testing {

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Process {
 public:
  using Environment = std::map<std::string, std::string>;

  // `environment` goes over this process's own; a value of "-" takes the variable away. stdout and
  // stderr go to <output>.out and <output>.err.
  Process(std::vector<std::string> words, const Environment& environment, std::string output)
      : output_(std::move(output)) {
    std::vector<std::string> variables = merged(environment);
    std::vector<char*> arguments, environ_words;
    for (std::string& word : words) arguments.push_back(word.data());
    for (std::string& variable : variables) environ_words.push_back(variable.data());
    arguments.push_back(nullptr);
    environ_words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int flags = O_WRONLY | O_CREAT | O_APPEND;
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, (output_ + ".out").c_str(), flags, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, (output_ + ".err").c_str(), flags, 0600);
    const int error = posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(),
                                   environ_words.data());
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) pid_ = -1;
  }
  Process(Process&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        code_(other.code_),
        output_(std::move(other.output_)) {}
  Process& operator=(Process&&) = delete;
  ~Process() {
    if (pid_ <= 0) return;
    kill(SIGKILL);
    (void)wait();
  }

  pid_t pid() const { return pid_; }
  void kill(int signal) const {
    if (pid_ > 0) ::kill(pid_, signal);
  }
  // Without waiting.
  bool has_ended() {
    int state = 0;
    if (pid_ > 0 && waitpid(pid_, &state, WNOHANG) == pid_) end(state);
    return pid_ <= 0;
  }
  // The exit code, or 128 + the signal that ended it; -1 where it never started.
  int wait() {
    if (pid_ <= 0) return code_;
    int state = 0;
    while (waitpid(pid_, &state, 0) < 0 && errno == EINTR) {
    }
    end(state);
    return code_;
  }
  std::string out() const { return read_file(output_ + ".out"); }
  std::string err() const { return read_file(output_ + ".err"); }

 private:
  void end(int state) {
    pid_ = -1;
    code_ = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
  }
  static std::vector<std::string> merged(const Environment& environment) {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const std::string text = *variable;
      if (!environment.contains(text.substr(0, text.find('=')))) variables.push_back(text);
    }
    for (const auto& [name, value] : environment) {
      if (value != "-") variables.push_back(name + "=" + value);
    }
    return variables;
  }

  pid_t pid_ = -1;
  int code_ = -1;
  std::string output_;
};

// True once `condition` is; false when it is not within `patience`.
template <typename Condition>
bool eventually(Condition condition, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace account::testing
