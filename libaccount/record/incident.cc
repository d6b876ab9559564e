// Writing, reading and drafting of incidents.
#include "record/incident.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/json.h"
#include "ledger/format.h"
#include "record/record.h"
#include "sign/self_signed.h"

namespace account::record {
namespace {

constexpr sign::StatementKind kKind = {"application/vnd.account.incident.v1+json",
                                       "account-incident/1", uint64_t{64} << 10};
constexpr int64_t kNsAnHour = int64_t{3600} * 1'000'000'000;

std::string file_name(std::string_view id) {
  return std::string(short_id(id)).append(kIncidentSuffix);
}

Json deadline_json(const IncidentDeadline& deadline) {
  return Json::object({{"policy", deadline.policy},
                       {"policy_sha256", deadline.policy_sha256},
                       {"duty", deadline.duty},
                       {"hours", deadline.hours},
                       {"due_unix_ns", ledger::time_json(deadline.due_unix_ns)}});
}

Result<IncidentDeadline> parse_deadline(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"policy", "policy_sha256", "duty", "hours", "due_unix_ns"}));
  IncidentDeadline deadline;
  ACCOUNT_ASSIGN_OR_RETURN(deadline.policy, json.get_string("policy"));
  ACCOUNT_ASSIGN_OR_RETURN(deadline.policy_sha256, json.get_string("policy_sha256"));
  ACCOUNT_ASSIGN_OR_RETURN(deadline.duty, json.get_string("duty"));
  ACCOUNT_ASSIGN_OR_RETURN(deadline.hours, json.get_integer("hours"));
  ACCOUNT_ASSIGN_OR_RETURN(deadline.due_unix_ns, ledger::get_time(json, "due_unix_ns"));
  return deadline;
}

Result<FiledIncident> parse(std::string_view bytes, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(sign::SelfSigned statement, sign::parse_self_signed(bytes, kKind));
  const Json& json = statement.json;
  if (file_name(statement.id) != name) {
    return Status(Code::corrupt, "the file is not named by its payload");
  }
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "what", "run", "line", "draft", "believed", "learned_unix_ns",
                         "deadlines", "made_unix_ns", "signer", "public"}));
  Incident incident;
  ACCOUNT_ASSIGN_OR_RETURN(incident.what, json.get_string("what"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.run, json.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.line, json.get_string("line"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.draft, json.get_bool("draft"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.believed, json.get_bool("believed"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.learned_unix_ns, ledger::get_time(json, "learned_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.made_unix_ns, ledger::get_time(json, "made_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(incident.signer, json.get_string("signer"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* deadlines, json.get_array("deadlines"));
  for (const Json& item : deadlines->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(IncidentDeadline deadline, parse_deadline(item));
    incident.deadlines.push_back(std::move(deadline));
  }
  return FiledIncident{"", std::move(incident), std::move(statement.key)};
}

bool in_force(const policy::Policy& policy, const std::string& date) {
  return policy.status == "in_force" && policy.effective_from <= date &&
         (policy.effective_to.empty() || date <= policy.effective_to);
}

std::string text_of(const Json& event, std::string_view member) {
  const auto text = event.get_string(member);
  return text.ok() ? *text : "";
}

// What the line says that may have to be reported; empty for all others.
std::string what_of(const Json& event) {
  const std::string type = text_of(event, "type"), kind = text_of(event, "kind");
  const std::string detail = text_of(event, "detail");
  if (type == "note" && kind == "export_refused") {
    return "an export of weights was tried and refused" + (detail.empty() ? "" : ": " + detail);
  }
  if (type == "quiet" && text_of(event, "how") == "deadline") {
    return "a stop was not obeyed until its deadline, and the job's processes were ended";
  }
  if (type == "order_refused") {
    return fmt::format("an order did not verify ({})", text_of(event, "place"));
  }
  if (type == "authority_unreadable") return "an authority's orders could not be read";
  if (type == "start_refused") return "a start was tried while a stop stood, and refused";
  if (type == "lease_ended") return "a lease ended, and the job with it";
  return "";
}

int64_t next_due(const Incident& incident) {
  return incident.deadlines.empty() ? INT64_MAX : incident.deadlines.front().due_unix_ns;
}

}  // namespace

std::vector<IncidentDeadline> deadlines_from(const std::vector<policy::Policy>& policies,
                                             int64_t learned_unix_ns) {
  std::vector<IncidentDeadline> deadlines;
  const std::string date = to_iso_date(learned_unix_ns);
  for (const policy::Policy& policy : policies) {
    if (!in_force(policy, date)) continue;
    for (const policy::Deadline& deadline : policy.deadlines) {
      if (!deadline.after_incident) continue;
      deadlines.push_back({policy.id, policy.sha256, deadline.duty, deadline.hours,
                           learned_unix_ns + deadline.hours * kNsAnHour});
    }
  }
  std::stable_sort(deadlines.begin(), deadlines.end(),
                   [](const IncidentDeadline& a, const IncidentDeadline& b) {
                     return a.due_unix_ns < b.due_unix_ns;
                   });
  return deadlines;
}

std::vector<Incident> drafts_from(const ledger::Report& report) {
  std::vector<Incident> drafts;
  for (const ledger::NodeReport& node : report.nodes) {
    for (const Json& event : node.events) {
      const std::string what = what_of(event);
      if (what.empty()) continue;
      Incident draft;
      draft.what = what;
      draft.run = report.run;
      draft.draft = true;
      const auto time = ledger::get_time(event, "time_unix_ns");
      draft.learned_unix_ns = time.ok() ? *time : 0;
      draft.line = fmt::format("node-{}, {}", node.node, to_iso8601(draft.learned_unix_ns));
      drafts.push_back(std::move(draft));
    }
  }
  return drafts;
}

Result<std::string> write_incident(FileSystem& files, const std::string& folder,
                                   const Incident& incident, const sign::SecretKey& key) {
  Json deadlines = Json::array();
  for (const IncidentDeadline& deadline : incident.deadlines) {
    deadlines.push(deadline_json(deadline));
  }
  const Json said = Json::object({{"what", incident.what},
                                  {"run", incident.run},
                                  {"line", incident.line},
                                  {"draft", incident.draft},
                                  {"believed", incident.believed},
                                  {"learned_unix_ns", ledger::time_json(incident.learned_unix_ns)},
                                  {"deadlines", std::move(deadlines)},
                                  {"made_unix_ns", ledger::time_json(incident.made_unix_ns)},
                                  {"signer", incident.signer}});
  const auto [bytes, id] = sign::write_self_signed(said, kKind, key);
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  const std::string path = join_path(folder, file_name(id));
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder, kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files.write_atomically(path, bytes, kFileMode));
  return path;
}

Result<std::vector<FiledIncident>> read_incidents(FileSystem& files, const std::string& folder) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  std::vector<FiledIncident> filed;
  for (const std::string& name : names) {
    if (!name.ends_with(kIncidentSuffix)) continue;
    const std::string path = join_path(folder, name);
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files.read(path, kKind.cap_bytes));
    auto parsed = parse(bytes, name);
    if (!parsed.ok()) return parsed.status().with_context(path);
    parsed->path = path;
    filed.push_back(std::move(parsed).value());
  }
  std::stable_sort(filed.begin(), filed.end(), [](const FiledIncident& a, const FiledIncident& b) {
    return next_due(a.incident) < next_due(b.incident);
  });
  return filed;
}

}  // namespace account::record
