// Each value that a job would get, and whose word it is.
#include <fmt/format.h>

#include <algorithm>

#include "cli/doctor.h"
#include "policy/policy.h"

namespace account::cli {
namespace {

struct Row {
  std::string name, word;
  const char* option;  // null: there is none
  const char* variable;
  std::string otherwise;
};

struct Source {
  std::string origin, value;
  bool is_file = false;
};

// Those that say something, in the order in which one goes before another.
std::vector<Source> sources_of(const Row& row, const Files& files) {
  std::vector<Source> all;
  if (!row.word.empty()) all.push_back({row.option, row.word});
  if (const auto value = process_environment()(row.variable)) all.push_back({row.variable, *value});
  for (const Configuration* file : {&files.project, &files.node}) {
    const auto entry = file->values.find(row.variable);
    if (entry != file->values.end()) all.push_back({file->path, entry->second, true});
  }
  return all;
}

// run/configuration.h: what only ever adds, and what the strictest decides.
Setting settle(const Row& row, const std::vector<Source>& sources) {
  if (sources.empty()) return {row.name, row.otherwise, "default"};
  const Source* chosen = &sources.front();
  const std::string_view variable = row.variable;
  if (variable == "ACCOUNT_AUTHORITY") {
    Setting all{row.name, "", ""};
    for (const Source& source : sources) {
      if (!source.is_file && &source != &sources.front()) continue;  // an option in its place
      all.value = join_lists(all.value, source.value);
      all.origin += (all.origin.empty() ? "" : " and ") + source.origin;
    }
    return all;
  }
  for (const Source& source : sources) {
    const bool stricter =
        variable == "ACCOUNT_SETTING" && strictness(source.value) > strictness(chosen->value);
    const bool stays = variable == "ACCOUNT_LEASE" || variable == "ACCOUNT_REQUIRE";
    if (stricter || (stays && source.is_file && source.value != chosen->value)) chosen = &source;
  }
  return {row.name, chosen->value, chosen->origin};
}

std::string joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, ","));
}

}  // namespace

Environment environment_of(const Files& files) {
  return configured(configured(process_environment(), files.project), files.node);
}

std::vector<Setting> settings_with_origins(const HostWords& words, const Files& files) {
  const Row rows[] = {
      {"dir", words.dir, "--dir", "ACCOUNT_DIR", "account"},
      {"run", words.run, "--run", "ACCOUNT_RUN", "by launcher, scheduler or date"},
      {"model", words.model, "--model", "ACCOUNT_MODEL", "unnamed"},
      {"policies", joined(words.policies), "--policy", "ACCOUNT_POLICIES",
       joined(policy::default_ids())},
      {"authority", words.authority, "--authority", "ACCOUNT_AUTHORITY", "nobody"},
      {"setting", words.setting, "--setting", "ACCOUNT_SETTING", "count"},
      {"lease", words.lease ? "required" : "", "--lease", "ACCOUNT_LEASE", "none"},
      {"require", "", nullptr, "ACCOUNT_REQUIRE", "nothing"},
      {"exchange", words.exchange, "--exchange", "ACCOUNT_EXCHANGE", "the job's c10d store"},
      {"metrics", words.metrics, "--metrics", "ACCOUNT_METRICS", "none"},
      {"resume", words.resume, "--resume", "ACCOUNT_RESUME", "nothing"},
      {"parents", joined(words.parents), "--parent", "ACCOUNT_PARENTS", "none"},
      {"developer", words.developer, "--developer", "ACCOUNT_DEVELOPER", "not said"},
      {"customer", "", nullptr, "ACCOUNT_CUSTOMER", "not said"},
      {"cluster", "", nullptr, "ACCOUNT_CLUSTER", "the scheduler's"},
      {"node", words.node, "--node", "ACCOUNT_NODE", "this machine"},
      {"quiet", words.quiet ? "1" : "", "--quiet", "ACCOUNT_QUIET", "0"},
      {"seal_seconds", "", nullptr, "ACCOUNT_SEAL_SECONDS", "60 in the first hour, then 600"},
  };
  std::vector<Setting> settings;
  for (const Row& row : rows) settings.push_back(settle(row, sources_of(row, files)));
  return settings;
}

}  // namespace account::cli
