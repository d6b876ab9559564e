// `account incident`: what has to be reported, since when it is known, and by when.
#include "record/incident.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"

namespace account::cli {
namespace {

constexpr int64_t kNsASecond = 1'000'000'000;
constexpr int64_t kSecondsAnHour = 3600;

struct IncidentWords {
  std::string what, run;
  std::string folder = "incidents";
  std::optional<std::string> learned, believed, about, key;
  std::vector<std::string> policies;
  bool json = false;
};

Result<int64_t> parse_time(std::string_view option, const std::string& text) {
  const auto time = unix_ns_from_iso8601(text);
  if (!time.ok()) return time.status().with_context(option);
  return time;
}

// Those asked for, or all that are built in.
Result<std::vector<policy::Policy>> policies_of(const IncidentWords& words) {
  std::vector<policy::Policy> policies;
  for (const std::string& id : words.policies.empty() ? policy::built_in_ids() : words.policies) {
    ACCOUNT_ASSIGN_OR_RETURN(policy::Policy policy, policy::load(id));
    policies.push_back(std::move(policy));
  }
  return policies;
}

std::string until(int64_t due_unix_ns) {
  const int64_t seconds = (due_unix_ns - Clock::real().unix_ns()) / kNsASecond;
  const int64_t hours = std::abs(seconds) / kSecondsAnHour;
  return seconds < 0 ? fmt::format("{} h OVERDUE", hours) : fmt::format("in {} h", hours);
}

Json to_json(const record::Incident& incident, const std::string& path) {
  Json deadlines = Json::array();
  for (const record::IncidentDeadline& deadline : incident.deadlines) {
    deadlines.push(Json::object({{"policy", deadline.policy},
                                 {"duty", deadline.duty},
                                 {"hours", deadline.hours},
                                 {"due", to_iso8601(deadline.due_unix_ns)},
                                 {"overdue", deadline.due_unix_ns < Clock::real().unix_ns()}}));
  }
  return Json::object({{"path", path},
                       {"what", incident.what},
                       {"run", incident.run},
                       {"line", incident.line},
                       {"draft", incident.draft},
                       {"from", incident.believed ? "reasonable belief" : "learning of it"},
                       {"known_since", to_iso8601(incident.learned_unix_ns)},
                       {"deadlines", std::move(deadlines)}});
}

void put_incident(const record::Incident& incident, const std::string& path) {
  put_line(fmt::format("{}{}{}", incident.draft ? "draft: " : "", incident.what,
                       incident.run.empty() ? "" : ", run " + incident.run));
  put_line(fmt::format("  {} {}{}", incident.believed ? "believed since" : "known since",
                       to_iso8601(incident.learned_unix_ns),
                       incident.line.empty() ? "" : ", from " + incident.line));
  for (const record::IncidentDeadline& deadline : incident.deadlines) {
    put_line(fmt::format("  {} ({}): {}, {}", to_iso8601(deadline.due_unix_ns),
                         until(deadline.due_unix_ns), deadline.policy, deadline.duty));
  }
  if (incident.deadlines.empty()) put_line("  no policy in force then has a deadline for it");
  if (!path.empty()) put_line("  " + path);
}

void answer(const IncidentWords& words,
            const std::vector<std::pair<std::string, record::Incident>>& incidents) {
  if (!words.json) {
    for (const auto& [path, incident] : incidents) put_incident(incident, path);
    if (incidents.empty()) put_line("no incident");
    return;
  }
  Json json = Json::array();
  for (const auto& [path, incident] : incidents) json.push(to_json(incident, path));
  put_json(Json::object({{"incidents", std::move(json)}}));
}

// Completes, signs and writes it.
Result<std::string> file_incident(const IncidentWords& words, record::Incident& incident) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<policy::Policy> policies, policies_of(words));
  ACCOUNT_ASSIGN_OR_RETURN(const SigningKey key, read_signing_key(words.key));
  incident.deadlines = record::deadlines_from(policies, incident.learned_unix_ns);
  // A draft of one line is the same file whenever it is made.
  incident.made_unix_ns = incident.draft ? incident.learned_unix_ns : Clock::real().unix_ns();
  incident.signer = key.key.name;
  return record::write_incident(FileSystem::real(), words.folder, incident, key.key.key);
}

int new_incident(const IncidentWords& words) {
  if (words.learned && words.believed) {
    return fail("incident", {Code::invalid_argument, "--learned and --believed are two times",
                             "give the one from which the time runs"});
  }
  if (words.what.empty()) {
    return fail("incident", {Code::invalid_argument, "what happened is not said", "give --what"});
  }
  record::Incident incident;
  incident.what = words.what;
  incident.run = words.about.value_or("");
  incident.believed = words.believed.has_value();
  incident.learned_unix_ns = Clock::real().unix_ns();
  if (words.learned || words.believed) {
    const auto time = words.learned ? parse_time("--learned", *words.learned)
                                    : parse_time("--believed", *words.believed);
    if (!time.ok()) return fail("incident", time.status());
    incident.learned_unix_ns = *time;
  }
  const auto path = file_incident(words, incident);
  if (!path.ok()) return fail("incident", path.status());
  answer(words, {{*path, incident}});
  return kYes;
}

int draft_incidents(const IncidentWords& words) {
  const auto report = verify_run(words.run, {});
  if (!report.ok()) return fail(words.run, report.status());
  if (!report->ok()) return fail(words.run, first_problem(*report));
  std::vector<std::pair<std::string, record::Incident>> drafts;
  for (record::Incident& draft : record::drafts_from(*report)) {
    const auto path = file_incident(words, draft);
    if (!path.ok()) return fail("incident", path.status());
    drafts.emplace_back(*path, std::move(draft));
  }
  answer(words, drafts);
  return kYes;
}

int list_incidents(const IncidentWords& words) {
  const auto filed = record::read_incidents(FileSystem::real(), words.folder);
  if (!filed.ok()) return fail("incident", filed.status());
  std::vector<std::pair<std::string, record::Incident>> incidents;
  for (const record::FiledIncident& one : *filed) incidents.emplace_back(one.path, one.incident);
  answer(words, incidents);
  return kYes;
}

void add_common(const Verb& verb, const std::shared_ptr<IncidentWords>& words) {
  verb.takes("--dir", words->folder, "Folder of the incidents (default: incidents)");
  verb.flag("--json", words->json, "As JSON");
}

}  // namespace

void add_incident(const Verb& program) {
  const Verb group = program.verb("incident", "What has to be reported, and by when");
  group.footer("Example:\n  account incident list");

  const Verb filed = group.verb("new", "Files an incident, with the deadline of each regime");
  auto words = std::make_shared<IncidentWords>();
  filed.needs("--what", words->what, "What happened, in a sentence");
  filed.takes("--learned", words->learned, "When it was learned of, UTC (default: now)");
  filed.takes("--believed", words->believed,
              "When there was reason to believe it, in place of --learned");
  filed.takes("--run", words->about, "The run that it concerns");
  filed.takes("--key", words->key, "Your .key file");
  filed.takes_many("--policy", words->policies, "Id or file (default: all that are built in)");
  add_common(filed, words);
  filed.footer(
      "Deadlines are of policies that are in force on that day. Nothing is sent to anybody.\n\n"
      "Example:\n"
      "  account incident new --what 'weights were copied' --learned 2026-11-27T10:00:00Z");
  filed.does([words] { return new_incident(*words); });

  const Verb draft = group.verb("draft", "Drafts incidents from what a run's ledgers hold");
  auto drafted = std::make_shared<IncidentWords>();
  draft.needs("RUN", drafted->run, "A run's folder or id");
  draft.takes("--key", drafted->key, "Your .key file");
  draft.takes_many("--policy", drafted->policies, "Id or file (default: all that are built in)");
  add_common(draft, drafted);
  draft.footer(
      "Refused exports of weights, stops that were not obeyed in time, orders that did not "
      "verify.\n"
      "Whether one is an incident in the sense of a law is for people to say.\n\n"
      "Example:\n"
      "  account incident draft account/my-run");
  draft.does([drafted] { return draft_incidents(*drafted); });

  const Verb list = group.verb("list", "The incidents of a folder, the most urgent first");
  auto listed = std::make_shared<IncidentWords>();
  add_common(list, listed);
  list.footer("Example:\n  account incident list --dir incidents");
  list.does([listed] { return list_incidents(*listed); });
}

}  // namespace account::cli
