// `account sign`: the developer endorses a run afterwards.
#include <fmt/format.h>

#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

struct SignWords {
  std::string run, key;
  bool json = false;
};

int sign_run(const SignWords& words) {
  const auto path = find_run(words.run);
  if (!path.ok()) return fail(words.run, path.status());
  const auto key = read_secret_key(words.key);
  if (!key.ok()) return fail("sign --key", key.status());
  const auto written =
      ledger::endorse(FileSystem::real(), Clock::real(), *path, *key, count::recount);
  if (!written.ok()) return fail(*path, written.status());
  if (words.json) {
    put_json(Json::object({{"endorsement", *written}, {"key", key->key.public_key().id()}}));
  } else {
    put_line(fmt::format("endorsed by '{}', key {}", key->name, key->key.public_key().id()));
    put_line(*written);
  }
  return kYes;
}

}  // namespace

void add_sign(const Verb& program) {
  const Verb verb = program.verb("sign", "Endorses a verified run with your key");
  auto words = std::make_shared<SignWords>();
  verb.needs("RUN", words->run, "A run's folder or id");
  verb.needs("--key", words->key, "Your .key file");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Verifies first; a run that does not verify is not signed (exit code 2).\n\n"
      "Example:\n"
      "  account sign account/my-run --key alice.key");
  verb.does([words] { return sign_run(*words); });
}

}  // namespace account::cli
