// `account doctor`: what would keep a job from being counted, kept or stopped here, and what to do.
#include "cli/doctor.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "cli/output.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

std::string_view name(Condition condition) {
  switch (condition) {
    case Condition::ok:
      return "ok";
    case Condition::remark:
      return "remark";
    case Condition::fault:
      return "fault";
  }
  return "";
}

Json to_json(const Finding& finding) {
  return Json::object({{"about", finding.about},
                       {"condition", std::string(name(finding.condition))},
                       {"says", finding.says},
                       {"fix", finding.fix}});
}

void put(const std::vector<Setting>& settings, const Findings& findings) {
  for (const Setting& setting : settings) {
    put_line(fmt::format("{:<12} {}  ({})", setting.name, setting.value, setting.origin));
  }
  put_line("");
  for (const Finding& finding : findings.all()) {
    put_line(fmt::format("{:<7} {}: {}", name(finding.condition), finding.about, finding.says));
    if (!finding.fix.empty()) put_line("        " + finding.fix);
  }
}

Json as_json(const std::vector<Setting>& settings, const Findings& findings) {
  Json values = Json::object(std::initializer_list<Json::Member>{}), found = Json::array();
  for (const Setting& setting : settings) {
    values.set(setting.name, Json::object({{"value", setting.value}, {"origin", setting.origin}}));
  }
  for (const Finding& finding : findings.all()) found.push(to_json(finding));
  return Json::object({{"ok", findings.faults() == 0},
                       {"settings", std::move(values)},
                       {"findings", std::move(found)}});
}

int tell_footprint(const DoctorWords& words, const std::vector<std::string>& command) {
  const auto found = footprint(words, command);
  if (!found.ok()) return fail("doctor", found.status(), words.json);
  if (words.json) {
    put_json(*found);
    return kYes;
  }
  for (const auto& [kind, items] : found->members()) {
    put_line(kind + (items.items().empty() ? ": none" : ":"));
    for (const Json& item : items.items()) put_line("  " + item.as_string());
  }
  return kYes;
}

int build(const DoctorWords& words, const std::vector<std::string>& command) {
  const auto built = build_adapter(words, command);
  if (!built.ok()) return fail("doctor", built.status(), words.json);
  if (words.json) {
    put_json(*built);
    return kYes;
  }
  for (const auto& [name, value] : built->members()) {
    put_line(fmt::format("{:<8} {}", name, value.as_string()));
  }
  return kYes;
}

Configuration take(Result<Configuration> read, const std::string& about, const std::string& says,
                   Findings& findings) {
  if (!read.ok()) {
    findings.fault(about, read.status(), "mend the file, or take it away");
    return {};
  }
  if (!read->path.empty()) findings.ok(about, read->path + says);
  return std::move(read).value();
}

int doctor(const DoctorWords& words, const std::vector<std::string>& command) {
  if (words.footprint) return tell_footprint(words, command);
  if (words.build) return build(words, command);
  Findings findings;
  const Files files = {
      take(read_configuration(process_environment()), "account.toml", " says what it can",
           findings),
      take(read_node_configuration(), "node's account.toml",
           " is the node's: what it says of authority, setting, lease and require holds for all",
           findings)};
  const auto job = examine_job(words.host, files, findings);
  if (job) examine_orders(*job, command, findings);
  examine_python(words, command, findings);
  const auto values = settings_with_origins(words.host, files);
  words.json ? put_json(as_json(values, findings)) : put(values, findings);
  if (findings.faults() == 0) return kYes;
  say(fmt::format("account: doctor: {} fault{}; each line says what to do", findings.faults(),
                  findings.faults() == 1 ? "" : "s"));
  return kUsage;
}

}  // namespace

void Findings::ok(std::string about, std::string says) {
  all_.push_back({std::move(about), Condition::ok, std::move(says), ""});
}

void Findings::remark(std::string about, std::string says, std::string fix) {
  all_.push_back({std::move(about), Condition::remark, std::move(says), std::move(fix)});
}

void Findings::fault(std::string about, std::string says, std::string fix) {
  all_.push_back({std::move(about), Condition::fault, std::move(says), std::move(fix)});
}

void Findings::fault(std::string about, const Status& status, std::string fix) {
  const std::string next(status.next_step());
  fault(std::move(about), std::string(status.fault()), next.empty() ? std::move(fix) : next);
}

size_t Findings::faults() const {
  return static_cast<size_t>(std::count_if(all_.begin(), all_.end(), [](const Finding& finding) {
    return finding.condition == Condition::fault;
  }));
}

void add_doctor(const Verb& program, const std::vector<std::string>& command) {
  const Verb verb = program.verb(
      "doctor", "What would keep a job from being counted or stopped here, and what to do");
  auto words = std::make_shared<DoctorWords>();
  add_host_options(verb, words->host);
  verb.takes(
      "--python", words->python,
      "The job's Python (default: the command's, else python3 beside `account`, else PATH's)");
  verb.flag("--footprint", words->footprint,
            "Instead: every patch, thread, descriptor, shared file, signal and variable of a job");
  verb.flag("--build", words->build,
            "Instead: compiles the adapter for that Python's torch, where the package has none");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "The words are those of `account run`. Starts no run and changes nothing (but --build). Exit "
      "codes: 0 no\n"
      "fault, 1 faults.\n\n"
      "Example:\n"
      "  account doctor --policy us-ca-sb1047-enrolled -- torchrun --nproc-per-node 8 train.py");
  verb.does([words, command] { return doctor(*words, command); });
}

}  // namespace account::cli
