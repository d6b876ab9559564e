// Finding that Python, and asking it.
#include "cli/python.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/files.h"

extern char** environ;

namespace account::cli {

std::string find_python() {
  const char* chosen = std::getenv("ACCOUNT_PYTHON");
  if (chosen != nullptr && *chosen != '\0') return chosen;
  const std::string beside = join_path(folder_of(absolute_path("/proc/self/exe")), "python3");
  return access(beside.c_str(), X_OK) == 0 ? beside : "python3";
}

Result<std::string> output_of(std::vector<std::string> words) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Status(Code::io, std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  char buffer[4096];
  ssize_t size = 0;
  while (error == 0 && (size = read(ends[0], buffer, sizeof(buffer))) != 0) {
    if (size > 0) output.append(buffer, static_cast<size_t>(size));
    if (size < 0 && errno != EINTR) break;
  }
  close(ends[0]);
  int state = 0;
  if (error == 0) waitpid(pid, &state, 0);
  if (error != 0) {
    return Status(Code::unavailable,
                  fmt::format("{} cannot be started: {}", words[0], std::strerror(error)),
                  kNeedsPython);
  }
  return output;
}

}  // namespace account::cli
