// `account policy acknowledge`: somebody answers for a run's going on beyond a limit of its own.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "keeper/limits.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

struct AcknowledgeWords {
  std::string run, by, reason;
  std::vector<std::string> limits;
  bool json = false;
};

// Those asked for, or all that wait.
Result<std::vector<std::string>> choose(const std::map<std::string, std::string>& pending,
                                        const AcknowledgeWords& words) {
  if (pending.empty()) {
    return Status(Code::not_found, fmt::format("{}: no limit waits to be acknowledged", words.run),
                  "nobody can answer for what has not happened; `account status` shows what has");
  }
  std::vector<std::string> all;
  for (const auto& [spec, reason] : pending) all.push_back(spec);
  for (const std::string& asked : words.limits) {
    if (!pending.contains(asked)) {
      return Status(Code::not_found, fmt::format("{}: '{}' does not wait", words.run, asked),
                    fmt::format("what waits: {}", fmt::join(all, ", ")));
    }
  }
  return words.limits.empty() ? all : words.limits;
}

int acknowledge(const AcknowledgeWords& words) {
  const auto failed = [&](const Status& status) {
    return fail("policy acknowledge", status, words.json);
  };
  const auto reports = verify_runs({words.run}, {});
  if (!reports.ok()) return failed(reports.status());
  const ledger::Report& report = reports->front();
  const auto pending = keeper::pending_limits(ledger::events_of(report));
  const auto limits = choose(pending, words);
  if (!limits.ok()) return failed(limits.status());
  const keeper::Acknowledgement said{*limits, words.by, words.reason, Clock::real().unix_ns()};
  const auto path = keeper::write_acknowledgement(FileSystem::real(), report.folder, said);
  if (!path.ok()) return failed(path.status());
  if (words.json) {
    Json json = keeper::to_json(said);
    json.set("file", *path);
    put_json(json);
    return kYes;
  }
  for (const std::string& spec : *limits) {
    put_line(fmt::format("acknowledged: {} ({})", spec, pending.at(spec)));
  }
  put_line(fmt::format("{}; a job that waits goes on, one that has stopped may start", *path));
  return kYes;
}

}  // namespace

void add_acknowledge(const Verb& group) {
  const Verb verb = group.verb("acknowledge", "Lets a run go on that a limit of its own holds");
  auto words = std::make_shared<AcknowledgeWords>();
  verb.needs("RUN", words->run, "A run's folder or id");
  verb.needs("--by", words->by, "Who answers for it");
  verb.needs("--reason", words->reason, "Why it goes on");
  verb.takes_many("--limit", words->limits,
                  "Only this limit, as the run names it (ID:stop); may be repeated");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Limits are set at the start: account run --policy us-ca-sb1047-enrolled:pause@0.95. The\n"
      "acknowledgement goes into the run's ledgers. It lifts no order.\n\n"
      "Example:\n"
      "  account policy acknowledge account/chat-7b --by 'A. Officer' --reason 'board, 12 May'");
  verb.does([words] { return acknowledge(*words); });
}

}  // namespace account::cli
