// Options and environment become settings.
#include "run/settings.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/process.h"
#include "base/random.h"
#include "sign/sign.h"

namespace account {
namespace {

constexpr const char* kDefaultDir = "account";

// The first of these variables that holds a whole number of at least 0.
int first_number(const Environment& environment, std::initializer_list<const char*> names,
                 int otherwise) {
  for (const char* name : names) {
    const auto text = environment(name);
    if (!text.has_value()) continue;
    int value = -1;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc() && end == text->data() + text->size() && value >= 0) return value;
  }
  return otherwise;
}

// Slurm's variables are those of the step that srun started: inside an allocation, a program that
// was started without srun is a process alone.
int world_size(const Environment& environment) {
  return first_number(environment, {"WORLD_SIZE", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"},
                      1);
}

// The entry of this node in "2(x3),1": two tasks on each of three nodes, then one. -1: no such.
int slurm_tasks_here(const Environment& environment) {
  const std::string text = environment("SLURM_STEP_TASKS_PER_NODE").value_or("");
  int nodes_before = first_number(environment, {"SLURM_NODEID"}, -1);
  if (nodes_before < 0) return -1;
  for (const std::string& part : split_list(text)) {
    int tasks = 0, times = 1;
    const char* end = part.data() + part.size();
    const auto [rest, error] = std::from_chars(part.data(), end, tasks);
    if (error != std::errc()) return -1;
    if (end - rest > 2) std::from_chars(rest + 2, end, times);  // behind "(x"
    if (nodes_before < times) return tasks;
    nodes_before -= times;
  }
  return -1;
}

// -1 where nobody says it.
int local_world_size(const Environment& environment) {
  const int said =
      first_number(environment, {"LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"}, -1);
  if (said > 0) return said;
  if (world_size(environment) == 1) return 1;
  return slurm_tasks_here(environment);
}

// Ranks without a launcher that tells: on one node, if they meet there.
bool spans_nodes(const Environment& environment) {
  const int local = local_world_size(environment);
  if (local > 0) return local < world_size(environment);
  const std::string master = environment("MASTER_ADDR").value_or("localhost");
  return master != "localhost" && !master.starts_with("127.") && master != "::1";
}

// Lightning's launcher numbers the ranks of a node, and nothing else; on the first they are the
// job's.
int rank_of(const Environment& environment) {
  const int rank = first_number(environment, {"RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK"}, -1);
  if (rank >= 0) return rank;
  const bool first_node = first_number(environment, {"NODE_RANK", "GROUP_RANK"}, 0) == 0;
  const bool one_of_many = world_size(environment) > 1 && first_node;
  return one_of_many ? first_number(environment, {"LOCAL_RANK"}, 0) : 0;
}

tally::Identity identify(const Environment& environment) {
  tally::Identity identity;
  identity.rank = rank_of(environment);
  identity.world_size = world_size(environment);
  identity.local_rank = first_number(
      environment, {"LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK"}, identity.rank);
  identity.local_world_size = local_world_size(environment);
  identity.restart_count =
      static_cast<uint32_t>(first_number(environment, {"TORCHELASTIC_RESTART_COUNT"}, 0));
  return identity;
}

std::string today() {
  std::string date = to_iso_date(Clock::real().unix_ns());
  std::erase(date, '-');
  return date;
}

Result<std::string> declaration(const Settings& settings) {
  Json policies = Json::array();
  for (const std::string& id : settings.policies) policies.push(id);
  Json json = Json::object({{"model", settings.model}, {"framework", settings.framework}});
  if (!settings.policies.empty()) json.set("policies", policies);
  std::string text = json.dump();
  if (text.size() > static_cast<size_t>(tally::kDeclarationBytes)) {
    return Status(Code::invalid_argument,
                  "the names of model, framework and policies are longer " +
                      std::to_string(tally::kDeclarationBytes) + " bytes together",
                  "shorten them");
  }
  return text;
}

std::string first_of(const std::string& option, const std::optional<std::string>& variable,
                     bool variable_decides) {
  if (variable.has_value() && (variable_decides || option.empty())) return *variable;
  return option;
}

std::string first_set(const Environment& environment, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (auto text = environment(name)) return *text;
  }
  return "";
}

// The stricter of the two holds: neither a script nor the environment loosens the other.
Status take_setting(const RunOptions& options, const Environment& environment, Settings& settings) {
  bool obeys = false;
  for (const std::string& word :
       {options.setting, environment("ACCOUNT_SETTING").value_or("count")}) {
    if (word == "lock") settings.locks = true;
    if (word == "lock" || word == "stop") obeys = true;
    if (word.empty() || word == "count" || word == "stop" || word == "lock") continue;
    return {Code::invalid_argument, "'" + word + "' is no setting", "say count, stop or lock"};
  }
  if (obeys && settings.authority.empty()) {
    return {Code::invalid_argument,
            std::string("setting '") + (settings.locks ? "lock" : "stop") +
                "' needs an authority to obey",
            "give one: start(authority=...), --authority or ACCOUNT_AUTHORITY"};
  }
  return {};
}

// Whoever asks for a lease has one asked for; nobody takes that back.
Status take_lease(const RunOptions& options, const Environment& environment, Settings& settings) {
  const std::string variable = environment("ACCOUNT_LEASE").value_or("");
  for (const std::string& word : {options.lease, variable}) {
    if (word == "required") settings.lease = true;
    if (word.empty() || word == "required") continue;
    return {Code::invalid_argument, "'" + word + "' says nothing of a lease",
            "say required, or nothing"};
  }
  if (!settings.lease) return {};
  if (settings.authority.empty()) {
    return {Code::invalid_argument, "a lease needs an authority that renews it",
            "give one: start(authority=...), --authority or ACCOUNT_AUTHORITY"};
  }
  const bool hosted = environment("ACCOUNT_KEEPER").has_value();
  if (hosted && variable.empty()) {
    // Closed on permission, as with an authority that the keeper does not obey.
    return {Code::invalid_argument, "the keeper of `account run` was asked for no lease",
            "give it --lease"};
  }
  return {};
}

// `require = "count"`: whoever starts a job that would not be counted is refused.
Status take_requirement(const Environment& environment, Settings& settings) {
  const std::string word = environment("ACCOUNT_REQUIRE").value_or("");
  if (!word.empty() && word != "count") {
    return {Code::invalid_argument, "'" + word + "' is nothing that can be required",
            "say count, or nothing"};
  }
  settings.require = !word.empty();
  return {};
}

}  // namespace

Environment process_environment() {
  return [](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
  };
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

std::string join_lists(std::string one, std::string_view other) {
  const std::vector<std::string> known = split_list(one);
  for (const std::string& part : split_list(other)) {
    if (std::find(known.begin(), known.end(), part) != known.end()) continue;
    one += (one.empty() ? "" : ",") + part;
  }
  return one;
}

Result<std::string> choose_run_id(const Environment& environment) {
  if (const auto id = environment("ACCOUNT_RUN")) return *id;
  if (const auto id = environment("TORCHELASTIC_RUN_ID"); id && *id != "none") return *id;
  for (const auto& [variable, scheduler] :
       std::initializer_list<std::pair<const char*, const char*>>{{"SLURM_JOB_ID", "slurm-"},
                                                                  {"PBS_JOBID", "pbs-"},
                                                                  {"LSB_JOBID", "lsf-"},
                                                                  {"JOB_ID", "sge-"},
                                                                  {"RAY_JOB_ID", "ray-"}}) {
    if (const auto id = environment(variable)) return scheduler + *id;
  }
  if (world_size(environment) <= 1) return today() + "-" + to_hex(random_bytes(2));
  if (spans_nodes(environment)) {
    return Status(Code::invalid_argument,
                  "the ranks of a job on several nodes need a run id that they share",
                  "set ACCOUNT_RUN on every node, or give torchrun --rdzv-id");
  }
  // Ranks of one launcher on one node: its process names them, after a restart as well.
  const pid_t launcher = getppid();
  const std::string name = "account-launcher\n" + std::to_string(launcher) + "\n" +
                           std::to_string(process_start_ticks(launcher));
  return today() + "-" + sign::to_hex(sign::sha256(name)).substr(0, 4);
}

Result<Settings> make_settings(const RunOptions& options, const Environment& environment) {
  Settings settings;
  settings.off = environment("ACCOUNT").value_or("") == "off";
  if (settings.off) return settings;
  const bool hosted = environment("ACCOUNT_KEEPER").has_value();
  settings.quiet = environment("ACCOUNT_QUIET").value_or("0") != "0";
  settings.authority = first_of(options.authority, environment("ACCOUNT_AUTHORITY"), hosted);
  // The keeper may obey more: those of the node's file, say.
  const std::string obeyed = environment("ACCOUNT_AUTHORITY").value_or("");
  if (hosted && join_lists(obeyed, options.authority) != obeyed) {
    // Closed on permission: a job that asks to be stoppable must not run as if it were.
    return Status(
        Code::invalid_argument,
        "the authority '" + options.authority + "' is not the one that `account run` obeys",
        "give it to `account run` with --authority");
  }
  settings.authority =
      join_lists(settings.authority, environment(kConfiguredAuthority).value_or(""));
  ACCOUNT_RETURN_IF_ERROR(take_setting(options, environment, settings));
  ACCOUNT_RETURN_IF_ERROR(take_lease(options, environment, settings));
  ACCOUNT_RETURN_IF_ERROR(take_requirement(environment, settings));
  settings.model = first_of(options.model, environment("ACCOUNT_MODEL"), false);
  settings.framework = options.framework;
  settings.developer = first_of(options.developer, environment("ACCOUNT_DEVELOPER"), false);
  settings.customer = environment("ACCOUNT_CUSTOMER").value_or("");
  settings.cluster = first_set(environment, {"ACCOUNT_CLUSTER", "SLURM_CLUSTER_NAME"});
  settings.scheduler_id = first_set(environment, {"ACCOUNT_SCHEDULER_ID", "SLURM_JOB_ID"});
  settings.scheduler_name = first_set(environment, {"ACCOUNT_SCHEDULER_NAME", "SLURM_JOB_NAME"});
  settings.policies = options.policies;
  if (settings.policies.empty()) {
    settings.policies = split_list(environment("ACCOUNT_POLICIES").value_or(""));
  }
  settings.resume = first_of(options.resume, environment("ACCOUNT_RESUME"), false);
  settings.parents = options.parents;
  if (settings.parents.empty()) {
    settings.parents = split_list(environment("ACCOUNT_PARENTS").value_or(""));
  }
  // A job may change its directory before it starts.
  if (!settings.resume.empty()) settings.resume = absolute_path(settings.resume);
  for (std::string& parent : settings.parents) parent = absolute_path(parent);
  if (const auto folder = environment("ACCOUNT_EXCHANGE")) {
    settings.exchange = absolute_path(*folder);
  }
  if (const auto folder = environment("ACCOUNT_METRICS")) {
    settings.metrics = absolute_path(*folder);
  }
  settings.binary = environment("ACCOUNT_BIN").value_or("");
  settings.node_name = environment("ACCOUNT_NODE").value_or("");
  std::string run = first_of(options.run, environment("ACCOUNT_RUN"), hosted);
  if (run.empty()) {
    ACCOUNT_ASSIGN_OR_RETURN(run, choose_run_id(environment));
  }
  std::string dir = first_of(options.dir, environment("ACCOUNT_DIR"), hosted);
  if (dir.empty()) dir = kDefaultDir;
  ACCOUNT_ASSIGN_OR_RETURN(settings.place, keeper::make_place(dir, run, settings.node_name));
  settings.identity = identify(environment);
  ACCOUNT_ASSIGN_OR_RETURN(settings.identity.declaration, declaration(settings));
  return settings;
}

}  // namespace account
