// Parsing with CLI11, whose own messages are replaced by ours: one line, with the way to help.
#include "cli/parse.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <numeric>
#include <span>

#include "account/version.h"
#include "base/words.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

using Words = std::vector<std::string>;

constexpr std::string_view kAbout =
    "Counts a training job's operations, keeps them as signed evidence, judges them by law.";
constexpr std::string_view kFooter =
    "Exit codes: 0 yes (below, approaching, not applicable), 1 usage, 2 unverified or corrupt,\n"
    "3 threshold reached, 5 unknown, 86 a shutdown order stands.\n\n"
    "Example:\n"
    "  account run -- torchrun --nproc-per-node 2 train.py\n"
    "  account verify account/RUN && account prove account/RUN --policy us-ca-sb1047-enrolled";

void add_verbs(const Verb& program, const Words& command) {
  add_run(program, command);
  add_may_start(program, command);
  add_status(program);
  add_doctor(program, command);
  add_stop(program);
  add_pause(program);
  add_rehearse(program);
  add_lift(program);
  add_resume(program);
  add_lease(program);
  add_verify(program);
  add_prove(program);
  add_sign(program);
  add_anchor(program);
  add_report(program);
  add_incident(program);
  add_archive(program);
  add_ceiling(program);
  add_cost(program);
  add_estimate(program);
  add_record(program);
  add_history(program);
  add_parent(program);
  add_declare(program);
  add_key(program);
  add_policy(program);
  add_order(program);
  add_root(program);
  add_keeper(program);
}

Words verbs_of(const CLI::App& group) {
  Words names;
  for (const CLI::App* verb : group.get_subcommands([](const CLI::App*) { return true; })) {
    if (!verb->get_group().empty()) names.push_back(verb->get_name());
  }
  return names;
}

CLI::App* find_verb(CLI::App& group, const std::string& word) {
  for (CLI::App* verb : group.get_subcommands([](CLI::App*) { return true; })) {
    if (verb->get_name() == word) return verb;
  }
  return nullptr;
}

Status no_such_verb(const CLI::App& group, const std::string& path, const std::string& word) {
  std::string next_step = fmt::format("`{} --help` lists all", path);
  if (const auto meant = nearest_word(word, verbs_of(group))) {
    next_step = fmt::format("did you mean '{} {}'? {}", path, *meant, next_step);
  }
  return {Code::invalid_argument, fmt::format("there is no verb '{}'", word), next_step};
}

// How far the words name verbs: the path that was said, and what is wrong with the next word.
struct Named {
  std::string path = "account";
  Status fault;
};

Named name_verbs(CLI::App& program, std::span<const std::string> words) {
  Named named;
  CLI::App* at = &program;
  for (const std::string& word : words) {
    if (verbs_of(*at).empty()) return named;
    if (word == "-h" || word == "--help" || word == "--version") return named;
    if (word.starts_with('-')) {
      named.fault = {Code::invalid_argument, fmt::format("there is no option '{}'", word),
                     fmt::format("see `{} --help`", named.path)};
      return named;
    }
    CLI::App* verb = find_verb(*at, word);
    if (verb == nullptr) {
      named.fault = no_such_verb(*at, named.path, word);
      return named;
    }
    named.path += " " + word;
    at = verb;
  }
  if (const Words names = verbs_of(*at); !names.empty()) {
    named.fault = {Code::invalid_argument, "a verb is missing",
                   fmt::format("give one of {}; `{} --help` explains them", fmt::join(names, ", "),
                               named.path)};
  }
  return named;
}

std::string place_of(const std::string& path) {
  return path == "account" ? "usage" : path.substr(std::string_view("account ").size());
}

// CLI11's words begin with a capital and end without a point; ours begin small.
Status usage_fault(const CLI::ParseError& error, const std::string& path) {
  std::string fault = error.what();
  if (const size_t at = fault.find(": At Most 1 required"); at != std::string::npos) {
    fault = fault.substr(0, at) + " was given more than once";
  }
  if (fault.size() > 1 && fault[0] >= 'A' && fault[0] <= 'Z' && fault[1] >= 'a') {
    fault[0] = static_cast<char>(fault[0] - 'A' + 'a');
  }
  return {Code::invalid_argument, fault, fmt::format("see `{} --help`", path)};
}

// What stands behind the first "--" of these verbs is another program's and not ours to parse.
Words cut_command(Words& words) {
  const Words verbs = {"run", "may-start", "doctor"};
  if (words.empty() || std::find(verbs.begin(), verbs.end(), words[0]) == verbs.end()) return {};
  const auto mark = std::find(words.begin(), words.end(), "--");
  if (mark == words.end()) return {};
  Words command(mark + 1, words.end());
  words.erase(mark, words.end());
  return command;
}

int parse_and_act(Words words) {
  CLI::App program{std::string(kAbout), "account"};
  Act act;
  const Words command = cut_command(words);
  add_verbs(Verb(program, act), command);
  program.require_subcommand(1);
  program.footer(std::string(kFooter));
  program.set_version_flag("--version", fmt::format("account {} ({})", version(), build_id()));
  const Named named = name_verbs(program, words);
  if (!named.fault.ok()) return fail(place_of(named.path), named.fault);
  try {
    std::reverse(words.begin(), words.end());  // as CLI11 takes them
    program.parse(words);
  } catch (const CLI::Success& answer) {  // help or version: printed on stdout
    return program.exit(answer) == 0 && std::fflush(stdout) == 0 ? kYes : kUsage;
  } catch (const CLI::ParseError& error) {
    const bool extra = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
    if (extra && named.path == "account run" && command.empty()) {
      return fail("run", {Code::invalid_argument, "the command has no -- before it",
                          "write `account run [OPTIONS] -- COMMAND`"});
    }
    return fail(place_of(named.path), usage_fault(error, named.path));
  }
  return act();
}

}  // namespace

int main_program(int argc, char** argv) {
  const int code = parse_and_act(Words(argv + 1, argv + std::max(argc, 1)));
  if (!flush_data()) return fail("stdout", {Code::io, "not all of the answer could be written"});
  return code;
}

}  // namespace account::cli
