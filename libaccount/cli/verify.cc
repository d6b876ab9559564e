// `account verify`: recomputes a run's ledger, or checks a compute record, offline.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "cli/output.h"
#include "cli/proof.h"
#include "cli/record_text.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"

namespace account::cli {
namespace {

struct VerifyWords {
  std::string path;
  std::vector<std::string> keys;
  TrustWords trust;    // but its key
  RecordWords record;  // where the path names one
  std::vector<std::string> policies;
  FactWords facts;
  bool json = false;

  // Something that only a record can answer: ignored, it would seem to have been checked.
  bool asks_of_a_record() const {
    return keys.size() > 1 || record.weights || !record.parents.empty() || !record.runs.empty() ||
           !policies.empty() || facts.cost || facts.date || facts.applies || facts.projected ||
           facts.parent_operations;
  }
};

std::string trust_line(const ledger::Report& report) {
  const std::string level = level_text(report.level);
  if (report.trusted)
    return fmt::format("trusted: endorsed by {}; level {}", report.endorsed_by, level);
  return fmt::format("integrity only: --key PUB says whether its developer endorsed it; level {}",
                     level);
}

int verify_record(const VerifyWords& words) {
  if (!words.trust.witnesses.empty() || !words.trust.anchors.empty()) {
    return fail("verify", {Code::invalid_argument, "a record has no anchors; its runs have",
                           "leave --witness and --anchors out, or name a run"});
  }
  RecordWords asked = words.record;
  asked.path = words.path;
  asked.keys = words.keys;
  const auto checked = check_record(asked);
  if (!checked.ok()) return fail(words.path, checked.status(), words.json);
  const auto budget =
      budget_of(checked->record(), checked->line.verified(), words.policies, words.facts);
  if (!budget.ok()) return fail(words.path, budget.status());
  if (words.json) {
    Json json = to_json(*checked);
    json.set("budget", to_json(*budget));
    put_json(json);
    return kYes;
  }
  put_record(*checked);
  put_budget(*budget);
  put_line(checked->trusted
               ? "trusted: signed by a key that was given; level " + level_text(level_of(*checked))
               : "integrity only: --key PUB says whether its maker signed it; level " +
                     level_text(level_of(*checked)));
  return kYes;
}

int verify_proof(const VerifyWords& words) {
  const auto checked = check_proof(words.path, words.keys);
  if (!checked.ok()) return fail(words.path, checked.status(), words.json);
  if (words.json) {
    Json json = Json::object({{"ok", true},
                              {"trusted", checked->trusted},
                              {"signer", checked->signer},
                              {"key", checked->key_id}});
    json.set("proof", checked->proof);
    put_json(json);
    return kYes;
  }
  const auto sentence = checked->proof.get_string("statement");
  put_line(fmt::format("a statement signed by '{}', key {}", checked->signer, checked->key_id));
  if (sentence.ok()) put_line("  " + *sentence);
  put_line(checked->trusted ? "trusted: signed by a key that was given; its sum was not recomputed"
                            : "integrity only: --key PUB says whether its maker signed it");
  return kYes;
}

int verify(const VerifyWords& words) {
  if (is_proof(words.path)) return verify_proof(words);
  if (names_record(words.path)) return verify_record(words);
  if (words.asks_of_a_record()) {
    return fail("verify", {Code::invalid_argument,
                           "a run has one --key, and no weights, parents, runs, policies or facts",
                           "leave them out, or name weights with a record"});
  }
  TrustWords trust = words.trust;
  if (!words.keys.empty()) trust.key = words.keys[0];
  const auto report = verify_run(words.path, trust);
  if (!report.ok()) return fail(words.path, report.status(), words.json);
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
  const Verb verb = program.verb("verify", "Recomputes a run's ledger or a record, offline");
  auto words = std::make_shared<VerifyWords>();
  verb.needs(
      "PATH", words->path,
      "A run's or node's folder, a run's id; weights with their record, a record; or a proof");
  verb.takes_many("--key", words->keys,
                  "The developer's .pub; a foreign signer is exit code 2. For a record it may be "
                  "repeated, for the parents' makers");
  verb.takes_many("--witness", words->trust.witnesses,
                  "Of a run: a witness's .pub; level L2 is what it anchored and --key endorsed");
  verb.takes_many("--anchors", words->trust.anchors,
                  "Of a run: the witness's own copies of the anchors, a folder or files");
  verb.takes("--weights", words->record.weights, "Of a record: the weights it should be about");
  verb.takes_many("--parents", words->record.parents, "Of a record: where its parents' lie");
  verb.takes_many("--runs", words->record.runs, "Of a record: compare it with the ledgers there");
  verb.takes_many("--policy", words->policies, "Of a record: show the room left under it");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Without --key it proves integrity only. Exit code 2 where anything does not recompute.\n\n"
      "Example:\n"
      "  account verify account/my-run --key alice.pub\n"
      "  account verify out/ --key alice.pub     (weights with a record: the room that is left)");
  verb.does([words] { return verify(*words); });
}

}  // namespace account::cli
