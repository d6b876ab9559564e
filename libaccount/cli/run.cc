// `account run -- CMD...`: hosts the keeper while a command runs, and is that command to its
// caller: same process group, same signals, same exit code.
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "base/files.h"
#include "cli/host.h"
#include "cli/output.h"
#include "cli/requeue.h"
#include "cli/verbs.h"
#include "run/configuration.h"

namespace account::cli {
namespace {

constexpr int kNotFound = 127, kNotStarted = 126;  // as shells say it
constexpr int kForwarded[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

bool is_program(const std::string& path) {
  struct stat facts{};
  return stat(path.c_str(), &facts) == 0 && S_ISREG(facts.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

// Looked for before the ledger is opened, so that a misspelt command leaves no run behind.
bool command_exists(const std::string& command) {
  if (command.find('/') != std::string::npos) return is_program(command);
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
  while (true) {
    const size_t colon = rest.find(':');
    const std::string_view folder = rest.substr(0, colon);
    if (is_program(join_path(folder.empty() ? "." : folder, command))) return true;
    if (colon == std::string_view::npos) return false;
    rest.remove_prefix(colon + 1);
  }
}

void set(const char* name, const std::string& value) {
  if (!value.empty()) setenv(name, value.c_str(), 1);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// What the command's processes learn: that they count, where, and who keeps it.
void set_environment(const Settings& settings) {
  set("ACCOUNT", "on");
  set("ACCOUNT_KEEPER", std::to_string(getpid()));
  set("ACCOUNT_RUN", settings.place.run);
  set("ACCOUNT_DIR", settings.place.dir);
  set("ACCOUNT_NODE", settings.node_name);
  set("ACCOUNT_MODEL", settings.model);
  set("ACCOUNT_POLICIES", joined(settings.policies));
  set("ACCOUNT_AUTHORITY", settings.authority);
  set("ACCOUNT_DEVELOPER", settings.developer);
  if (settings.locks) set("ACCOUNT_SETTING", "lock");
  if (settings.lease) set("ACCOUNT_LEASE", "required");
  if (settings.require) set("ACCOUNT_REQUIRE", "count");
  set("ACCOUNT_EXCHANGE", settings.exchange);
  set("ACCOUNT_METRICS", settings.metrics);
  set("ACCOUNT_RESUME", settings.resume);
  set("ACCOUNT_PARENTS", joined(settings.parents));
  set("ACCOUNT_BIN", absolute_path("/proc/self/exe"));
  if (settings.quiet) set("ACCOUNT_QUIET", "1");
}

sigset_t watched_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kForwarded) sigaddset(&signals, signal);
  sigaddset(&signals, SIGCHLD);
  return signals;
}

class Command {
 public:
  // Blocks the watched signals; call before any thread exists, so that all inherit the mask.
  Command() : watched_(watched_signals()) {
    sigprocmask(SIG_BLOCK, &watched_, &before_);
    signals_ = signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);  // a closed stderr must not end the account
    signal(SIGXFSZ, SIG_IGN);  // a file size limit is a disk that is full
  }
  ~Command() { close(signals_); }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // 0, or the errno.
  int start(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t ignored;
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    sigaddset(&ignored, SIGXFSZ);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    posix_spawnattr_setsigmask(&attributes, &before_);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int error =
        posix_spawnp(&pid_, arguments[0], nullptr, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    return error;
  }

  // SIGTERM, once: a launcher that is cleaning up is not asked again.
  void ask_to_end() {
    if (!std::exchange(asked_, true)) send(SIGTERM);
  }
  void send(int signal) const {
    if (pid_ > 0 && !exit_.has_value()) kill(pid_, signal);
  }

  // Sleeps for one turn, or until a signal; forwards it. The exit code once the command is over.
  std::optional<int> wait_a_turn() {
    pollfd wait{signals_, POLLIN, 0};
    constexpr int kTurnMilliseconds = keeper::Keeper::kTurnNs / 1'000'000;
    poll(&wait, 1, kTurnMilliseconds);
    signalfd_siginfo signal;
    while (read(signals_, &signal, sizeof(signal)) == sizeof(signal)) forward(signal);
    int state = 0;
    if (exit_.has_value() || waitpid(pid_, &state, WNOHANG) != pid_) return exit_;
    exit_ = WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
    return exit_;
  }

 private:
  void forward(const signalfd_siginfo& signal) const {
    // The terminal sent its own to the whole process group already.
    const bool from_terminal = signal.ssi_code == SI_KERNEL;
    if (signal.ssi_signo == SIGCHLD || from_terminal || exit_.has_value()) return;
    kill(pid_, static_cast<int>(signal.ssi_signo));
  }

  sigset_t watched_, before_{};
  int signals_ = -1;
  pid_t pid_ = -1;
  bool asked_ = false;
  std::optional<int> exit_;
};

int not_started(const std::string& command, int error) {
  say("account: run: the command '" + command + "' cannot be started: " + std::strerror(error) +
      "; check its path");
  return error == ENOENT ? kNotFound : kNotStarted;
}

// ACCOUNT=off: as if this program were not there.
int become(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  return not_started(words[0], errno);
}

// A launcher may wait for nodes that it has lost long after its own ranks were stopped: the machine
// is not to be held for that.
void end_what_is_left(Command& command, const keeper::Keeper& keeper) {
  constexpr int64_t kTermAfterNs = keeper::Brake::kEndAfterNs;
  constexpr int64_t kKillAfterNs = kTermAfterNs + 10'000'000'000;
  const int64_t idle = keeper.idle_under_stop_ns();
  if (idle >= kKillAfterNs) return command.send(SIGKILL);
  if (idle >= kTermAfterNs) command.ask_to_end();
}

// Turns the keeper until the command has ended.
int accompany(Command& command, keeper::Keeper* keeper, Requeue& requeue) {
  std::optional<int> code;
  while (!code.has_value()) {
    if (keeper != nullptr) {
      keeper->turn();
      end_what_is_left(command, *keeper);
      requeue.turn(*keeper);
    }
    code = command.wait_a_turn();
  }
  return *code;
}

void finish(keeper::Keeper& keeper, int exit_code) {
  keeper.host_ended(exit_code);
  constexpr useconds_t kShortTurn = 20'000;  // somebody waits for this
  while (keeper.turn()) usleep(kShortTurn);
}

// None where another one of this node serves the run. One that was just ending may have been in the
// way and be gone by the time that it is looked for: then the place is free.
Result<std::unique_ptr<keeper::Keeper>> open_keeper(const keeper::KeeperOptions& options,
                                                    const keeper::Surroundings& surroundings) {
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    auto opened = keeper::Keeper::open(options, surroundings);
    if (opened.ok() || opened.status().code() != Code::unavailable) return opened;
    if (keeper::keeper_lives(surroundings.files, options.place)) {
      return std::unique_ptr<keeper::Keeper>();
    }
    if (attempt == kAttempts) return opened;
  }
}

int run(const HostWords& words, const std::vector<std::string>& words_of_command) {
  if (words_of_command.empty()) {
    return fail("run", {Code::invalid_argument, "there is no command",
                        "give one after '--', as in `account run -- torchrun train.py`"});
  }
  const auto environment = configured_environment();
  if (!environment.ok()) return fail("run", environment.status());
  const auto settings = settings_from(words, *environment);
  if (!settings.ok()) return fail("run", settings.status());
  if (settings->off) return become(words_of_command);
  if (!command_exists(words_of_command[0])) return not_started(words_of_command[0], ENOENT);
  auto options = keeper_options(*settings, *environment);
  if (!options.ok()) return fail("run", options.status());
  if (const Status known = add_origins(*settings, *options); !known.ok()) return fail("run", known);
  options->hosted = true;
  options->job.command = command_digest(words_of_command);

  Command command;
  const keeper::Surroundings surroundings = real_surroundings();
  auto opened = open_keeper(*options, surroundings);
  if (!opened.ok()) return fail("run", opened.status());
  const std::unique_ptr<keeper::Keeper> keeper = std::move(opened).value();
  Requeue requeue(*environment, surroundings.clock);
  set_environment(*settings);
  const int error = command.start(words_of_command);
  const int code = error != 0 ? not_started(words_of_command[0], error)
                              : accompany(command, keeper.get(), requeue);
  if (keeper == nullptr) return code;
  requeue.finish(*keeper);
  finish(*keeper, code);
  const Status stopped = keeper->stopped();
  return stopped.ok() ? code : exit_code(stopped);
}

}  // namespace

void add_run(const Verb& program, const std::vector<std::string>& command) {
  const Verb verb = program.verb("run", "Counts what a command trains, and seals it");
  auto words = std::make_shared<HostWords>();
  add_host_options(verb, *words);
  verb.footer(
      "The command stands after '--'; account exits with its exit code. Once a node under a\n"
      "scheduler: srun account run -- torchrun ... ACCOUNT=off runs the command alone.\n\n"
      "Example:\n"
      "  account run --model acme/chat-7b -- torchrun --nproc-per-node 2 train.py");
  verb.does([words, command] { return run(*words, command); });
}

}  // namespace account::cli
