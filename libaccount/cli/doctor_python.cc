// The job's Python, asked by itself: bindings/python/libaccount/_doctor.py.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "account/version.h"
#include "base/files.h"
#include "cli/doctor.h"
#include "cli/python.h"

namespace account::cli {
namespace {

constexpr uint64_t kCapBytes = uint64_t{4} << 20;

// The command's own where it begins with one.
std::string python_of(const DoctorWords& words, const std::vector<std::string>& command) {
  if (!words.python.empty()) return words.python;
  if (!command.empty() && base_name(command.front()).starts_with("python")) return command.front();
  return find_python();
}

Condition condition_of(const std::string& word) {
  if (word == "fault") return Condition::fault;
  return word == "remark" ? Condition::remark : Condition::ok;
}

Status take(const Json& found, Findings& findings) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string about, found.get_string("about"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string condition, found.get_string("condition"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string says, found.get_string("says"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string fix, found.get_string("fix"));
  switch (condition_of(condition)) {
    case Condition::ok:
      findings.ok(about, says);
      break;
    case Condition::remark:
      findings.remark(about, says, fix);
      break;
    case Condition::fault:
      findings.fault(about, says, fix);
      break;
  }
  return {};
}

// Of a module of it that prints JSON.
Result<Json> ask(const std::string& python, const char* module, std::vector<std::string> words) {
  words.insert(words.begin(), {python, "-m", module});
  ACCOUNT_ASSIGN_OR_RETURN(const std::string output, output_of(words));
  // What torch or a plugin prints at its import comes before the last line.
  const size_t end = output.find_last_not_of('\n');
  const size_t begin = output.rfind('\n', end == std::string::npos ? 0 : end);
  auto json = Json::parse(output.substr(begin == std::string::npos ? 0 : begin + 1), kCapBytes);
  if (json.ok()) return json;
  return Status(Code::unavailable, python + " has no libaccount that works",
                python + " -m pip install libaccount, or name the job's Python with --python");
}

}  // namespace

void examine_python(const DoctorWords& words, const std::vector<std::string>& command,
                    Findings& findings) {
  const std::string python = python_of(words, command);
  const auto answer =
      ask(python, "libaccount._doctor", {ACCOUNT_VERSION, absolute_path("/proc/self/exe")});
  const auto found = answer.ok() ? answer->get_array("findings") : answer.status();
  if (!found.ok()) {
    findings.fault("python", found.status(), "name the job's Python with --python");
    return;
  }
  for (const Json& item : (*found)->items()) (void)take(item, findings).ok();
}

Result<Json> build_adapter(const DoctorWords& words, const std::vector<std::string>& command) {
  auto built = ask(python_of(words, command), "libaccount._build", {});
  if (!built.ok()) return built;
  const auto fault = built->get_string("fault"), fix = built->get_string("fix");
  if (!fault.ok() || !fix.ok()) return built;
  return Status(Code::unavailable, *fault, *fix);
}

Result<Json> footprint(const DoctorWords& words, const std::vector<std::string>& command) {
  setenv("ACCOUNT", "on", 0);  // as under `account run`, unless it is off
  return ask(python_of(words, command), "libaccount_autoload", {});
}

}  // namespace account::cli
