// `account verify`: recomputes a run's ledger, offline.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

struct VerifyWords {
  std::string path;
  std::optional<std::string> key;
  bool json = false;
};

std::string trust_line(const ledger::Report& report) {
  const std::string level = level_text(report.level);
  if (report.trusted)
    return fmt::format("trusted: endorsed by {}; level {}", report.endorsed_by, level);
  return fmt::format("integrity only: --key PUB says whether its developer endorsed it; level {}",
                     level);
}

int verify(const VerifyWords& words) {
  const auto report = verify_run(words.path, words.key);
  if (!report.ok()) {
    if (words.json) {
      put_json(Json::object({{"ok", false}, {"error", report.status().to_string()}}));
    }
    return fail(words.path, report.status());
  }
  if (words.json) {
    put_json(to_json(*report));
  } else {
    put_report(*report);
  }
  if (!report->ok()) return fail(words.path, first_problem(*report));
  if (!words.json) {
    put_line(trust_line(*report));
    put_line("verified: every line, total and transcript recomputes");
  }
  return kYes;
}

}  // namespace

void add_verify(const Verb& program) {
  const Verb verb = program.verb("verify", "Recomputes a run's ledger, offline");
  auto words = std::make_shared<VerifyWords>();
  verb.needs("PATH", words->path, "A run's or node's folder, or a run's id");
  verb.takes("--key", words->key, "The developer's .pub; a foreign signer is exit code 2");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Without --key it proves integrity only. Exit code 2 where anything does not recompute.\n\n"
      "Example:\n"
      "  account verify account/my-run --key alice.pub");
  verb.does([words] { return verify(*words); });
}

}  // namespace account::cli
