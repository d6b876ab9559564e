// What `account doctor` looks at, and what it finds. Each check says one thing of the surroundings
// that the words and the environment describe; none starts a run, delivers an order or leaves a
// file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "cli/host.h"
#include "run/configuration.h"

namespace account::cli {

enum class Condition { ok, remark, fault };

struct Finding {
  std::string about;  // the check's name
  Condition condition = Condition::ok;
  std::string says;
  std::string fix;  // what to do; empty where all is well
};

class Findings {
 public:
  void ok(std::string about, std::string says);
  void remark(std::string about, std::string says, std::string fix);
  void fault(std::string about, std::string says, std::string fix);
  // What a status that is not ok says, with its next step, else `fix`.
  void fault(std::string about, const Status& status, std::string fix);

  const std::vector<Finding>& all() const { return all_; }
  size_t faults() const;

 private:
  std::vector<Finding> all_;
};

struct DoctorWords {
  HostWords host;
  std::string python;
  bool json = false;
  bool footprint = false;
  bool build = false;
};

// The files that were read.
struct Files {
  Configuration project, node;
};
Environment environment_of(const Files& files);

// One value that a job would get: where it comes from ("--dir", "ACCOUNT_DIR", a file's path,
// "default"; several where they add up).
struct Setting {
  std::string name, value, origin;
};
// doctor_settings.cc
std::vector<Setting> settings_with_origins(const HostWords& words, const Files& files);

// A job that could start with these words.
struct Job {
  Settings settings;
  Environment environment;
};

// doctor_job.cc: variables, settings, folders, clock, policies, origins, the newest run. Nothing,
// where no job could start with these settings at all.
std::optional<Job> examine_job(const HostWords& words, const Files& files, Findings& findings);
// doctor_orders.cc: the authorities, what stands, and when a stop was rehearsed last.
void examine_orders(const Job& job, const std::vector<std::string>& command, Findings& findings);
// doctor_python.cc: what bindings/python/libaccount/_doctor.py finds in the job's Python.
void examine_python(const DoctorWords& words, const std::vector<std::string>& command,
                    Findings& findings);
// Builds the adapter for the torch of that Python (bindings/python/libaccount/_build.py), as JSON
// `torch`, `adapter`, `seconds`.
Result<Json> build_adapter(const DoctorWords& words, const std::vector<std::string>& command);
// What a job of that Python would have of this library in its process, as JSON.
Result<Json> footprint(const DoctorWords& words, const std::vector<std::string>& command);

}  // namespace account::cli
