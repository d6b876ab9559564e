// `account may-start`: what `account run` would say of a start, without starting anything. For
// prologs of schedulers and for admission steps.
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "base/files.h"
#include "cli/host.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "run/configuration.h"

namespace account::cli {
namespace {

constexpr int64_t kLongestWaitSeconds = 30 * 86'400;

struct MayStartWords {
  HostWords host;
  std::optional<std::string> wait;
  bool require = false;
};

bool stands(const Status& status) {
  return status.code() == Code::shutdown_ordered || status.code() == Code::threshold_reached;
}

// Whether the job will be counted: inside `account run`, by ACCOUNT=on, or by a command that begins
// with `account run` somewhere behind its launcher.
bool is_wrapped(const Environment& environment, const std::vector<std::string>& command) {
  if (environment("ACCOUNT").value_or("") == "on") return true;
  for (size_t i = 0; i + 1 < command.size(); ++i) {
    if (base_name(command[i]) == "account" && command[i + 1] == "run") return true;
  }
  return false;
}

Status required(const Settings& settings, const Environment& environment,
                const std::vector<std::string>& command) {
  if (settings.off) {
    return {Code::invalid_argument, "this job would not be counted: ACCOUNT=off",
            "unset it; here jobs have to be counted"};
  }
  if (is_wrapped(environment, command)) return {};
  return {Code::invalid_argument, "this job would not be counted: it is not under `account run`",
          "start it as account run -- COMMAND, or with ACCOUNT=on; here jobs have to be"};
}

int may_start(const MayStartWords& words, const std::vector<std::string>& command) {
  const auto environment = configured_environment();
  if (!environment.ok()) return fail("may-start", environment.status());
  const auto settings = settings_from(words.host, *environment);
  if (!settings.ok()) return fail("may-start", settings.status());
  auto options = keeper_options(*settings, *environment);
  if (!options.ok()) return fail("may-start", options.status());
  if (const Status known = add_origins(*settings, *options); !known.ok()) {
    return fail("may-start", known);
  }
  if (!command.empty()) options->job.command = command_digest(command);
  if (words.require || settings->require) {
    const Status wrapped = required(*settings, *environment, command);
    if (!wrapped.ok()) return fail("may-start", wrapped);
  }
  if (settings->off) return kYes;
  int64_t patience = 0;
  if (words.wait) {
    const auto seconds = parse_whole("--wait", *words.wait, 0, kLongestWaitSeconds);
    if (!seconds.ok()) return fail("may-start", seconds.status());
    patience = *seconds;
  }
  const keeper::Surroundings real = real_surroundings();
  for (;; --patience) {
    const Status may = keeper::may_start(real.files, real.clock, *options);
    if (may.ok()) return kYes;
    if (stands(may) && patience > 0) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      continue;
    }
    const int code = fail("may-start", may);
    // What cannot be judged is no permission, whatever hinders it.
    return stands(may) ? code : kUnverified;
  }
}

}  // namespace

void add_may_start(const Verb& program, const std::vector<std::string>& command) {
  const Verb verb =
      program.verb("may-start", "Whether a stop or a limit stands against a job; starts nothing");
  auto words = std::make_shared<MayStartWords>();
  add_host_options(verb, words->host);
  verb.takes("--wait", words->wait, "Seconds to wait for what stands to end (default 0)");
  verb.flag("--require", words->require,
            "Refuse (exit code 1) a job that is neither under `account run` nor has ACCOUNT=on");
  verb.footer(
      "The words are those of `account run`, for the same judgement. Exit codes: 0 it may start,\n"
      "86 a stop stands, 3 the run has crossed a limit of its own that nobody has acknowledged, 2\n"
      "that cannot be judged (an authority that cannot be read).\n\n"
      "Example:\n"
      "  account may-start --authority /srv/acme --model acme/chat-7b -- torchrun train.py");
  verb.does([words, command] { return may_start(*words, command); });
}

}  // namespace account::cli
