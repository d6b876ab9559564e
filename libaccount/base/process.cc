// Process identity from /proc.
#include "base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace account {

uint64_t process_start_ticks(pid_t pid) {
  const int fd = open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char buffer[1024];
  const ssize_t got = read(fd, buffer, sizeof(buffer) - 1);
  close(fd);
  if (got <= 0) return 0;
  buffer[got] = '\0';
  std::string_view rest(buffer, static_cast<size_t>(got));
  // The command name (field 2) may hold spaces and parentheses: count fields behind the last one.
  const size_t name_end = rest.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= rest.size()) return 0;
  rest.remove_prefix(name_end + 2);
  if (rest[0] == 'Z' || rest[0] == 'X') return 0;
  constexpr int kFieldsBetweenStateAndStart = 19;  // proc(5): state is field 3, starttime 22
  for (int i = 0; i < kFieldsBetweenStateAndStart; ++i) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) return 0;
    rest.remove_prefix(space + 1);
  }
  uint64_t ticks = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), ticks);  // leaves 0 where it fails
  return ticks;
}

int64_t boot_unix_ns() {
  std::ifstream stat("/proc/stat");
  std::string word;
  int64_t seconds = 0;
  while (stat >> word) {
    if (word == "btime" && stat >> seconds) return seconds * 1'000'000'000;
  }
  return 0;
}

bool process_alive(pid_t pid, uint64_t start_ticks) {
  return start_ticks != 0 && process_start_ticks(pid) == start_ticks;
}

}  // namespace account
