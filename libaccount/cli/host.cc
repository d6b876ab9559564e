// Hosting a keeper in this process.
#include "cli/host.h"

#include <unistd.h>

#include <cmath>
#include <cstdlib>

#include "cli/output.h"
#include "run/origins.h"
#include "sign/sign.h"

namespace account::cli {

void add_host_options(const Verb& verb, HostWords& words) {
  verb.takes("--dir", words.dir, "Where runs are kept (ACCOUNT_DIR; default account)");
  verb.takes("--run", words.run, "Run id; an existing one resumes (ACCOUNT_RUN)");
  verb.takes("--model", words.model, "Name of the model, for people (ACCOUNT_MODEL)");
  verb.takes_many("--policy", words.policies,
                  "Policy to judge by while running, as ID, ID:stop, ID:pause@0.95; may be "
                  "repeated (ACCOUNT_POLICIES)");
  verb.takes(
      "--authority", words.authority,
      "PATH[#SHA-256 of its first root] of a directory whose stop orders are obeyed; several "
      "with commas (ACCOUNT_AUTHORITY)");
  verb.takes("--exchange", words.exchange,
             "Folder that all nodes share, for live totals and stops of a job without a c10d store "
             "(ACCOUNT_EXCHANGE)");
  verb.takes("--setting", words.setting,
             "count, stop (there must be an authority) or lock (a stopped process can write "
             "nothing any more) (ACCOUNT_SETTING)");
  verb.flag("--lease", words.lease,
            "Trains only while the authority leases it, and stops at a lease's end "
            "(ACCOUNT_LEASE=required)");
  verb.takes("--resume", words.resume,
             "Checkpoint of an earlier run that training goes on from, with its sidecar "
             "(ACCOUNT_RESUME)");
  verb.takes_many("--parent", words.parents,
                  "Compute record of a model that training begins from, or its weights with one; "
                  "may be repeated (ACCOUNT_PARENTS)");
  verb.takes("--developer", words.developer,
             "Whose model it is, for orders about a developer (ACCOUNT_DEVELOPER)");
  verb.takes("--metrics", words.metrics,
             "Folder of node_exporter's textfile collector, for Prometheus (ACCOUNT_METRICS)");
  verb.takes("--node", words.node, "Name of this node (ACCOUNT_NODE; default the machine's)");
  verb.flag("--quiet", words.quiet, "No lines on stderr but faults (ACCOUNT_QUIET=1)");
}

Result<Settings> settings_from(const HostWords& words, const Environment& environment) {
  RunOptions options;
  options.dir = words.dir;
  options.run = words.run;
  options.model = words.model;
  options.policies = words.policies;
  options.authority = words.authority;
  options.resume = words.resume;
  options.parents = words.parents;
  options.developer = words.developer;
  options.setting = words.setting;
  options.lease = words.lease ? "required" : "";
  ACCOUNT_ASSIGN_OR_RETURN(
      Settings settings, make_settings(options, [&](const char* name) {
        if (std::string_view(name) == "ACCOUNT_NODE" && !words.node.empty()) {
          return std::optional<std::string>(words.node);
        }
        if (std::string_view(name) == "ACCOUNT_EXCHANGE" && !words.exchange.empty()) {
          return std::optional<std::string>(words.exchange);
        }
        if (std::string_view(name) == "ACCOUNT_METRICS" && !words.metrics.empty()) {
          return std::optional<std::string>(words.metrics);
        }
        return environment(name);
      }));
  settings.quiet = settings.quiet || words.quiet;
  return settings;
}

Result<keeper::KeeperOptions> keeper_options(const Settings& settings,
                                             const Environment& environment) {
  keeper::KeeperOptions options;
  options.place = settings.place;
  options.model = settings.model;
  options.policies = settings.policies;
  options.quiet = settings.quiet;
  options.exchange_folder = settings.exchange;
  options.metrics_folder = settings.metrics;
  options.authorities = split_list(settings.authority);
  options.lease = settings.lease;
  options.job.scheduler_id = settings.scheduler_id;
  options.job.scheduler_name = settings.scheduler_name;
  options.job.developer = settings.developer;
  options.job.customer = settings.customer;
  options.job.cluster = settings.cluster;
  if (const auto text = environment("ACCOUNT_SEAL_SECONDS")) {
    char* end = nullptr;
    const double seconds = std::strtod(text->c_str(), &end);
    if (*end != '\0' || !std::isfinite(seconds) || seconds < 0.1 || seconds > 3600) {
      return Status(Code::invalid_argument,
                    "ACCOUNT_SEAL_SECONDS is '" + *text + "', which is no time",
                    "give 0.1 to 3600 seconds, or unset it");
    }
    options.seal_ns = static_cast<int64_t>(seconds * 1e9);
  }
  return options;
}

Status add_origins(const Settings& settings, keeper::KeeperOptions& options) {
  ACCOUNT_ASSIGN_OR_RETURN(const Origins origins, read_origins(settings.resume, settings.parents));
  options.job.origins = origins.runs;
  options.job.lineage = origins.models;
  return {};
}

std::string command_digest(const std::vector<std::string>& words) {
  std::string text = std::to_string(geteuid());
  for (const std::string& word : words) text += '\0' + word;
  return sign::to_hex(sign::sha256(text));
}

keeper::Surroundings real_surroundings() {
  return {FileSystem::real(), Clock::real(), &say, nullptr};
}

}  // namespace account::cli
