// What a job knows of itself, and which jobs an order is about. Pure data; order_format.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "account/status.h"
#include "base/json.h"

namespace account::order {

// Frozen where a stop is latched, so that a later start that shares any one of these is known
// again under another name. An empty member is unknown and is shared with nobody.
struct Traits {
  std::string run;             // run id
  std::string directory;       // absolute path of the run's folder
  std::string model;           // e.g. "acme/chat-7b"
  std::string scheduler_id;    // the scheduler's job id
  std::string scheduler_name;  // and the job's name there
  std::string command;         // hex digest of the command line with the user's name
  // Where its weights come from: run ids of the checkpoints and records that it began from. A start
  // from a stopped run's weights is known by this; two starts from the same base share nothing.
  std::vector<std::string> origins;
  // Whose it is, for scopes; shared with nobody.
  std::vector<std::string> lineage;  // names of the models that it was made from
  std::string developer, customer, cluster;
};

Json to_json(const Traits& traits);                 // empty members are left out
Result<Traits> traits_from_json(const Json& json);  // further members are ignored

// Why `job` is known again: what both have ("model acme/chat-7b"), or the stopped run that its
// weights come from. Nothing: it is another job.
std::optional<std::string> shared_trait(const Traits& frozen, const Traits& job);

struct Scope {
  enum class Kind { job, model, developer, customer, cluster, all };
  Kind kind = Kind::all;
  std::string value;  // of job: a run id or the scheduler's job id; else the name
};

Json to_json(const Scope& scope);
// Exactly one of {"job": text}, {"model": text}, ... and {"all": true}.
Result<Scope> scope_from_json(const Json& json);
std::string to_string(const Scope& scope);  // "job 4711", "model acme/chat-7b", "all jobs"
// A model's scope covers what is made from it too, as far as the job knows of its lineage.
bool covers(const Scope& scope, const Traits& job);

}  // namespace account::order
