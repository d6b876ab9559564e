// Which jobs an officer means: the words of a scope, and a run that is known on this machine.
#pragma once

#include <string>

#include "account/status.h"
#include "order/traits.h"

namespace account::cli {

inline constexpr const char* kTargetHelp =
    "A run's id or folder, job:ID, slurm:ID, k8s:NAMESPACE/JOB, model:NAME, developer:NAME, "
    "customer:NAME, cluster:NAME, or all";

struct Target {
  order::Scope scope;
  std::string run_folder;  // where the run is known on this machine; else empty
};

// Takes what kTargetHelp lists. invalid_argument, not_found: nothing of the kind.
Result<Target> parse_target(const std::string& word);

}  // namespace account::cli
