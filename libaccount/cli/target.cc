#include "cli/target.h"

#include <fmt/format.h>

#include "base/files.h"
#include "base/json.h"
#include "cli/words.h"
#include "keeper/live_status.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

constexpr std::string_view kTargets =
    "name a run by its id or folder, or say job:ID, slurm:ID, k8s:NAMESPACE/JOB, model:NAME, "
    "developer:NAME, customer:NAME, cluster:NAME or all";

Target make_target(order::Scope::Kind kind, const std::string& value,
                   const std::string& run_folder = {}) {
  Target target;
  target.scope.kind = kind;
  target.scope.value = value;
  target.run_folder = run_folder;
  return target;
}

std::string live_folder(const std::string& run) {
  for (const keeper::LiveStatus& live : keeper::live_runs(FileSystem::real())) {
    if (live.run == run) return live.run_folder;
  }
  return "";
}

Result<Target> run_target(const std::string& word) {
  const auto found = find_run(word);
  if (found.ok() && is_run_folder(*found)) {
    const std::string folder = absolute_path(*found);
    return make_target(order::Scope::Kind::job, base_name(folder), folder);
  }
  if (word.find('/') != std::string::npos) {
    return Status(Code::not_found, fmt::format("'{}' is no run's folder", word),
                  std::string(kTargets));
  }
  // A job of another machine is stopped by its id.
  ACCOUNT_RETURN_IF_ERROR(ledger::check_run_id(word));
  return make_target(order::Scope::Kind::job, word, live_folder(word));
}

}  // namespace

Result<Target> parse_target(const std::string& word) {
  if (word == "all") return make_target(order::Scope::Kind::all, "");
  const size_t colon = word.find(':');
  if (colon == std::string::npos) return run_target(word);
  const std::string kind = word.substr(0, colon), value = word.substr(colon + 1);
  if (!value.empty() && kind == "job") {
    return make_target(order::Scope::Kind::job, value, live_folder(value));
  }
  // The scheduler's id is one of the names that a job goes by; the run's is made from it.
  if (!value.empty() && kind == "slurm") {
    return make_target(order::Scope::Kind::job, value, live_folder("slurm-" + value));
  }
  if (kind == "k8s" && value.find('/') != std::string::npos) {
    return make_target(order::Scope::Kind::job, value);
  }
  // Whatever else a scope may be about goes by its own name.
  const auto scope = order::scope_from_json(Json::object({{kind, value}}));
  if (scope.ok() && kind != "all") return Target{*scope, ""};
  return Status(Code::invalid_argument, fmt::format("'{}' is nothing that can be stopped", word),
                std::string(kTargets));
}

}  // namespace account::cli
