// `account anchor`: a witness cosigns what a run has counted so far.
#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

struct AnchorWords {
  std::string run, key;
  std::optional<std::string> name, keep, every;
  bool json = false;
};

Result<std::chrono::seconds> parse_seconds(const std::string& text) {
  int64_t seconds = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (fault == std::errc() && end == text.data() + text.size() && seconds > 0) {
    return std::chrono::seconds(seconds);
  }
  return Status(Code::invalid_argument, fmt::format("--every: '{}' is no time", text),
                "give whole seconds, such as 600");
}

int anchor_run(const AnchorWords& words) {
  const auto path = find_run(words.run);
  if (!path.ok()) return fail(words.run, path.status());
  const auto key = read_secret_key(words.key);
  if (!key.ok()) return fail("anchor --key", key.status());
  const std::string name = words.name.value_or(key->name);
  if (!sign::check_signer_name(name).ok()) {
    return fail("anchor", {Code::invalid_argument,
                           fmt::format("'{}' cannot be a witness's name in a note", name),
                           "give --name with letters, digits and dots, such as "
                           "witness.example.org"});
  }
  std::optional<std::chrono::seconds> every;
  if (words.every) {
    const auto seconds = parse_seconds(*words.every);
    if (!seconds.ok()) return fail("anchor", seconds.status());
    every = *seconds;
  }
  const ledger::AnchorOptions options{*key, name, words.keep.value_or("")};
  std::vector<std::string> all;
  while (true) {
    const auto anchored =
        ledger::anchor(FileSystem::real(), Clock::real(), *path, options, count::recount);
    if (!anchored.ok()) return fail(*path, anchored.status());
    all.insert(all.end(), anchored->files.begin(), anchored->files.end());
    if (!every || anchored->over) break;
    for (const std::string& file : anchored->files) say("anchored: " + file);
    std::this_thread::sleep_for(*every);
  }
  if (words.json) {
    put_json(Json::object({{"anchors", Json::strings(all)}, {"key", key->key.public_key().id()}}));
    return kYes;
  }
  put_line(all.empty() ? "every head was anchored by this key already"
                       : fmt::format("anchored by '{}', key {}", name, key->key.public_key().id()));
  for (const std::string& file : all) put_line(file);
  return kYes;
}

}  // namespace

void add_anchor(const Verb& program) {
  const Verb verb = program.verb("anchor", "Cosigns a run's ledgers as a witness, while it runs");
  auto words = std::make_shared<AnchorWords>();
  verb.needs("RUN", words->run, "A run's folder or id, or a copy of it");
  verb.needs("--key", words->key, "The witness's .key file; not the developer's");
  verb.takes("--name", words->name, "The witness's name in the notes (default: the key's)");
  verb.takes("--keep", words->keep,
             "Folder of the witness's own copies: the run is held against them first");
  verb.takes("--every", words->every, "Seconds: go on until the run has ended");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Verifies first; a run that is not the one anchored before is refused (exit code 2). The\n"
      "cosignatures lie in RUN/anchors/ beside the witness's public key, and hold what was\n"
      "anchored against whoever has the run's keys.\n\n"
      "Example:\n"
      "  account anchor account/my-run --key customer.key --keep anchors-of-my-run --every 3600\n"
      "  account verify account/my-run --key developer.pub --witness customer.pub");
  verb.does([words] { return anchor_run(*words); });
}

}  // namespace account::cli
