// `account may-start`: what `account run` would say of a start, without starting anything. For
// prologs of schedulers and for admission steps.
#include <memory>

#include "cli/host.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

int may_start(const HostWords& words, const std::vector<std::string>& command) {
  const auto settings = settings_from(words, process_environment());
  if (!settings.ok()) return fail("may-start", settings.status());
  auto options = keeper_options(*settings, process_environment());
  if (!options.ok()) return fail("may-start", options.status());
  if (!command.empty()) options->job.command = command_digest(command);
  if (settings->off) return kYes;
  const keeper::Surroundings real = real_surroundings();
  const Status may = keeper::may_start(real.files, real.clock, *options);
  if (may.ok()) return kYes;
  const int code = fail("may-start", may);
  const bool stands = may.code() == Code::shutdown_ordered || may.code() == Code::threshold_reached;
  // What cannot be judged is no permission, whatever hinders it.
  return stands ? code : kUnverified;
}

}  // namespace

void add_may_start(const Verb& program, const std::vector<std::string>& command) {
  const Verb verb =
      program.verb("may-start", "Whether a stop or a limit stands against a job; starts nothing");
  auto words = std::make_shared<HostWords>();
  add_host_options(verb, *words);
  verb.footer(
      "The words are those of `account run`, for the same judgement. Exit codes: 0 it may start,\n"
      "86 a stop stands, 3 the run has crossed a limit of its own that nobody has acknowledged, 2\n"
      "that cannot be judged (an authority that cannot be read).\n\n"
      "Example:\n"
      "  account may-start --authority /srv/acme --model acme/chat-7b -- torchrun train.py");
  verb.does([words, command] { return may_start(*words, command); });
}

}  // namespace account::cli
