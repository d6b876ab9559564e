// Finding and starting the keeper's program.
#include "run/launch.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/files.h"

namespace account {
namespace {

bool is_program(const std::string& path) {
  struct stat facts{};
  return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

// The folder of the library (or program) that holds this function.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&find_binary), &info) == 0 || !info.dli_fname) return "";
  const std::string path = absolute_path(info.dli_fname);
  return path.substr(0, path.rfind('/'));
}

std::string search_path() {
  const char* value = std::getenv("PATH");
  std::string_view rest = value == nullptr ? "" : value;
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    const std::string candidate = join_path(rest.substr(0, colon), "account");
    if (is_program(candidate)) return candidate;
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return "";
}

// posix_spawn's attributes and actions, destroyed with the scope.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_init(&actions);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(
        &attributes,
        static_cast<short>(POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    // The keeper talks on stderr only; whoever reads the job's stdout must not wait for it.
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  }
  ~SpawnPlan() {
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  posix_spawnattr_t attributes{};
  posix_spawn_file_actions_t actions{};
};

}  // namespace

Result<std::string> find_binary(const Settings& settings) {
  if (!settings.binary.empty()) {
    if (is_program(settings.binary)) return settings.binary;
    return Status(Code::not_found, "ACCOUNT_BIN is '" + settings.binary + "', which is no program",
                  "set it to the path of the account command, or unset it");
  }
  const std::string folder = own_folder();
  for (const char* beside : {"../bin/account", "account"}) {
    const std::string candidate = join_path(folder, beside);
    if (!folder.empty() && is_program(candidate)) return candidate;
  }
  if (std::string found = search_path(); !found.empty()) return found;
  return Status(Code::not_found,
                "the account command was found neither near " + folder + " nor in PATH",
                "set ACCOUNT_BIN to its path");
}

Status launch_keeper(const Settings& settings) {
  ACCOUNT_ASSIGN_OR_RETURN(std::string binary, find_binary(settings));
  std::vector<std::string> words = {binary,  "keeper",          "--dir", settings.place.dir,
                                    "--run", settings.place.run};
  if (!settings.node_name.empty()) words.insert(words.end(), {"--node", settings.node_name});
  if (!settings.model.empty()) words.insert(words.end(), {"--model", settings.model});
  if (!settings.developer.empty()) words.insert(words.end(), {"--developer", settings.developer});
  if (!settings.resume.empty()) words.insert(words.end(), {"--resume", settings.resume});
  for (const std::string& parent : settings.parents) {
    words.insert(words.end(), {"--parent", parent});
  }
  for (const std::string& id : settings.policies) words.insert(words.end(), {"--policy", id});
  if (!settings.authority.empty()) {
    words.insert(words.end(), {"--authority", settings.authority});
  }
  if (settings.lease) words.emplace_back("--lease");
  if (!settings.exchange.empty()) words.insert(words.end(), {"--exchange", settings.exchange});
  if (!settings.metrics.empty()) words.insert(words.end(), {"--metrics", settings.metrics});
  if (settings.quiet) words.emplace_back("--quiet");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  SpawnPlan plan;
  pid_t child = -1;
  const int error = posix_spawn(&child, binary.c_str(), &plan.actions, &plan.attributes,
                                arguments.data(), environ);
  if (error != 0) {
    return Status(Code::unavailable,
                  "the keeper could not be started from " + binary + ": " + std::strerror(error));
  }
  // The child detaches and leaves at once. Somebody else's wait() may have had it already.
  int state = 0;
  while (waitpid(child, &state, 0) < 0) {
    if (errno == EINTR) continue;
    return Status();
  }
  if (WIFEXITED(state) && WEXITSTATUS(state) == 0) return Status();
  return Status(Code::unavailable, "the keeper at " + binary + " did not start",
                "run '" + binary + " --version' to see why");
}

}  // namespace account
