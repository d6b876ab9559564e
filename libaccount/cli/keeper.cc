// `account keeper`: the keeper of ranks that no `account run` hosts. Run::start() starts it.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "cli/host.h"
#include "cli/output.h"
#include "cli/requeue.h"
#include "cli/verbs.h"
#include "run/configuration.h"

namespace account::cli {
namespace {

// Leaves the starter: its child returns at once (with the exit code that is returned here, nothing
// in the keeper itself), and no descriptor of it stays open but the standard three. Called before
// there is any thread.
std::optional<int> detach() {
  const pid_t child = fork();
  if (child < 0) return 1;
  if (child > 0) return 0;
  close_range(STDERR_FILENO + 1, ~0u, 0);
  return std::nullopt;
}

struct KeeperWords {
  HostWords host;
  bool foreground = false;
};

Result<keeper::KeeperOptions> options_from(const KeeperWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const Environment environment, configured_environment());
  // The words decide: they are what the rank that waits for this keeper has computed.
  const auto settings =
      settings_from(words.host, [&](const char* name) -> std::optional<std::string> {
        const std::string_view asked = name;
        if (asked == "ACCOUNT_KEEPER" || asked == "ACCOUNT") return std::nullopt;
        return environment(name);
      });
  if (!settings.ok()) return settings.status();
  ACCOUNT_ASSIGN_OR_RETURN(keeper::KeeperOptions options, keeper_options(*settings, environment));
  // The rank has judged them. To a keeper that comes later they may be gone, rotated away: the
  // ledger remembers then.
  (void)add_origins(*settings, options).ok();
  return options;
}

// SIGTERM says that the machine goes down: what was counted is sealed at once, and the keeper stays
// for as long as its ranks do.
int block_sigterm() {
  signal(SIGHUP, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is a disk that is full
  sigset_t term;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, nullptr);
  return signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK);
}

// A process that was to be the keeper and cannot.
int give_up(const keeper::Surroundings& surroundings, const keeper::Place& place,
            const Status& why) {
  const bool served =
      why.code() == Code::unavailable && keeper::keeper_lives(surroundings.files, place);
  if (served) return kYes;
  // A rank that waits reports the reason itself; without one, it is said here.
  const int told = keeper::refuse_waiting_pages(surroundings.files, place, why);
  return told > 0 ? exit_code(why) : fail("keeper", why);
}

int keep(const KeeperWords& words) {
  if (!words.foreground) {
    if (const auto code = detach()) return *code;
  }
  const int signals = block_sigterm();
  const auto options = options_from(words);
  if (!options.ok()) return fail("keeper", options.status());
  const keeper::Surroundings surroundings = real_surroundings();
  auto keeper = keeper::Keeper::open(*options, surroundings);
  if (!keeper.ok()) return give_up(surroundings, options->place, keeper.status());
  Requeue requeue(process_environment(), surroundings.clock);
  while ((*keeper)->turn()) {
    requeue.turn(**keeper);
    pollfd wait{signals, POLLIN, 0};
    constexpr int kTurnMilliseconds = keeper::Keeper::kTurnNs / 1'000'000;
    signalfd_siginfo signal;
    if (poll(&wait, 1, kTurnMilliseconds) == 1 && read(signals, &signal, sizeof(signal)) > 0) {
      (*keeper)->seal_now();
    }
  }
  return kYes;
}

}  // namespace

void add_keeper(const Verb& program) {
  const Verb verb = program.verb("keeper", "Keeps the account of ranks that run already");
  verb.hide();  // for libraries, not for people
  auto words = std::make_shared<KeeperWords>();
  add_host_options(verb, words->host);
  verb.flag("--foreground", words->foreground, "Stays a child of its starter");
  verb.footer("Example:\n  account keeper --dir account --run 20261124-1f00 --foreground");
  verb.does([words] { return keep(*words); });
}

}  // namespace account::cli
