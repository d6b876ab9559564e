// Turning Slurm's requeueing off.
#include "cli/requeue.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "cli/output.h"

extern char** environ;

namespace account::cli {
namespace {

constexpr useconds_t kPause = 20'000;

// 0, or the errno. Signals as a program expects them; what scontrol says of a failure is the job's.
int spawn_scontrol(const std::string& job, pid_t& pid) {
  const std::string id = "JobId=" + job;
  std::string words[] = {"scontrol", "update", id, "Requeue=0"};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  const int error = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

Requeue::Requeue(const Environment& environment, const Clock& clock) : clock_(clock) {
  const std::string job = environment("SLURM_JOB_ID").value_or("");
  const bool is_number =
      std::ranges::all_of(job, [](unsigned char sign) { return std::isdigit(sign) != 0; });
  if (is_number && environment("SLURM_NODEID").value_or("0") == "0") job_ = job;
}

Requeue::~Requeue() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Requeue::turn(keeper::Keeper& keeper) {
  if (job_.empty()) return;
  if (pid_ != 0) return look(keeper);
  if (keeper.is_ended_by_order()) start(keeper);
}

void Requeue::finish(keeper::Keeper& keeper) {
  while (pid_ != 0) {
    look(keeper);
    usleep(kPause);
  }
}

void Requeue::start(keeper::Keeper& keeper) {
  began_ns_ = clock_.monotonic_ns();
  const int error = spawn_scontrol(job_, pid_);
  if (error == 0) return;
  pid_ = 0;
  failed(keeper, std::string("scontrol cannot be started: ") + std::strerror(error));
}

void Requeue::look(keeper::Keeper& keeper) {
  int state = 0;
  const pid_t ended = waitpid(pid_, &state, WNOHANG);
  if (ended == 0 && clock_.monotonic_ns() - began_ns_ < kPatienceNs) return;
  if (ended == 0) {
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_ = 0;
  if (ended == 0) return failed(keeper, "scontrol has not ended within 10 s");
  if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) return failed(keeper, "scontrol has failed");
  keeper.note("requeue_off", "Slurm job " + job_);
  job_.clear();
}

void Requeue::failed(keeper::Keeper& keeper, const std::string& why) {
  keeper.note("requeue_not_off", "Slurm job " + job_ + ": " + why);
  say("account: Slurm may requeue the stopped job: " + why +
      "; a start is refused all the same until the stop is lifted");
  job_.clear();
}

}  // namespace account::cli
