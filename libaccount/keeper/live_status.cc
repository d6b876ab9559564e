// The status file: written, parsed, found.
#include "keeper/live_status.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/process.h"
#include "keeper/place.h"
#include "ledger/format.h"
#include "tally/tally.h"

namespace account::keeper {
namespace {

Json to_json(const LiveRank& rank) {
  return Json::object({{"rank", rank.rank},
                       {"local_rank", rank.local_rank},
                       {"pid", static_cast<int64_t>(rank.pid)},
                       {"steps", rank.steps},
                       {"operations", rank.operations}});
}

Result<LiveRank> parse_rank(const Json& json) {
  LiveRank rank;
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t number, json.get_integer("rank"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t local, json.get_integer("local_rank"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t pid, json.get_integer("pid"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t steps, json.get_integer("steps"));
  ACCOUNT_ASSIGN_OR_RETURN(rank.operations, json.get_op_count("operations"));
  rank.rank = static_cast<int>(number);
  rank.local_rank = static_cast<int>(local);
  rank.pid = static_cast<uint32_t>(pid);
  rank.steps = static_cast<uint64_t>(steps);
  return rank;
}

// Wall-clock nanoseconds are beyond 2^53 and travel as text.
Result<int64_t> get_nanoseconds(const Json& json, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount value, json.get_op_count(member));
  return static_cast<int64_t>(value.low());
}

Status parse_lists(const Json& json, LiveStatus& status) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* ranks, json.get_array("ranks"));
  for (const Json& item : ranks->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(const LiveRank rank, parse_rank(item));
    status.ranks.push_back(rank);
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* nodes, json.get_array("nodes_seen"));
  for (const Json& node : nodes->items()) status.nodes_seen.push_back(node.as_string());
  ACCOUNT_ASSIGN_OR_RETURN(const Json* authorities, json.get_array("authorities"));
  for (const Json& one : authorities->items()) status.authorities.push_back(one.as_string());
  ACCOUNT_ASSIGN_OR_RETURN(const Json* silent, json.get_array("silent_ranks"));
  for (const Json& rank : silent->items()) {
    status.silent_ranks.push_back(static_cast<int>(rank.as_integer()));
  }
  return Status();
}

}  // namespace

Json to_json(const LiveStatus& status) {
  Json ranks = Json::array(), nodes = Json::array(), silent = Json::array();
  Json authorities = Json::array();
  for (const LiveRank& rank : status.ranks) ranks.push(to_json(rank));
  for (const std::string& node : status.nodes_seen) nodes.push(node);
  for (const int rank : status.silent_ranks) silent.push(rank);
  for (const std::string& authority : status.authorities) authorities.push(authority);
  Json json =
      Json::object({{"run", status.run},
                    {"run_folder", status.run_folder},
                    {"node", status.node},
                    {"model", status.model},
                    {"keeper_pid", static_cast<int64_t>(status.keeper_pid)},
                    {"keeper_start_ticks", status.keeper_start_ticks},
                    {"updated_unix_ns", OpCount(static_cast<uint64_t>(status.updated_unix_ns))},
                    {"world_size", status.world_size},
                    {"steps", status.steps},
                    {"ranks", ranks},
                    {"node_operations", status.node_operations},
                    {"job_operations", status.job_operations},
                    {"operations_per_second", status.operations_per_second},
                    {"mfu_percent", status.mfu_percent},
                    {"nodes_seen", nodes},
                    {"silent_ranks", silent},
                    {"authorities", authorities},
                    {"policy", status.policy},
                    {"rule", status.rule},
                    {"verdict", status.verdict},
                    {"share_percent", status.share_percent},
                    {"counted", status.counted},
                    {"threshold", status.threshold},
                    {"margin", status.margin},
                    {"lease", status.lease},
                    {"waits", status.waits},
                    {"trouble", status.trouble}});
  ledger::set_processed(json, status.job_processed);
  if (status.job_processed.tokens > 0) {
    json.set("tokens_per_second", OpCount(status.tokens_per_second));
  }
  return json;
}

Result<LiveStatus> parse_live_status(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kStatusCapBytes));
  LiveStatus status;
  ACCOUNT_ASSIGN_OR_RETURN(status.run, json.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(status.run_folder, json.get_string("run_folder"));
  ACCOUNT_ASSIGN_OR_RETURN(status.node, json.get_string("node"));
  ACCOUNT_ASSIGN_OR_RETURN(status.model, json.get_string("model"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t pid, json.get_integer("keeper_pid"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t ticks, json.get_integer("keeper_start_ticks"));
  ACCOUNT_ASSIGN_OR_RETURN(status.updated_unix_ns, get_nanoseconds(json, "updated_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t world, json.get_integer("world_size"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t steps, json.get_integer("steps"));
  ACCOUNT_ASSIGN_OR_RETURN(status.node_operations, json.get_op_count("node_operations"));
  ACCOUNT_ASSIGN_OR_RETURN(status.job_operations, json.get_op_count("job_operations"));
  ACCOUNT_ASSIGN_OR_RETURN(status.operations_per_second,
                           json.get_op_count("operations_per_second"));
  ACCOUNT_ASSIGN_OR_RETURN(status.job_processed, ledger::get_processed(json));
  if (json.find("tokens_per_second") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount rate, json.get_op_count("tokens_per_second"));
    status.tokens_per_second = rate.low();
  }
  ACCOUNT_ASSIGN_OR_RETURN(status.mfu_percent, json.get_string("mfu_percent"));
  ACCOUNT_ASSIGN_OR_RETURN(status.policy, json.get_string("policy"));
  ACCOUNT_ASSIGN_OR_RETURN(status.rule, json.get_string("rule"));
  ACCOUNT_ASSIGN_OR_RETURN(status.verdict, json.get_string("verdict"));
  ACCOUNT_ASSIGN_OR_RETURN(status.share_percent, json.get_string("share_percent"));
  ACCOUNT_ASSIGN_OR_RETURN(status.counted, json.get_op_count("counted"));
  ACCOUNT_ASSIGN_OR_RETURN(status.threshold, json.get_op_count("threshold"));
  ACCOUNT_ASSIGN_OR_RETURN(status.margin, json.get_op_count("margin"));
  ACCOUNT_ASSIGN_OR_RETURN(status.lease, json.get_string("lease"));
  ACCOUNT_ASSIGN_OR_RETURN(status.waits, json.get_string("waits"));
  ACCOUNT_ASSIGN_OR_RETURN(status.trouble, json.get_string("trouble"));
  status.keeper_pid = static_cast<uint32_t>(pid);
  status.keeper_start_ticks = static_cast<uint64_t>(ticks);
  status.world_size = static_cast<int>(world);
  status.steps = static_cast<uint64_t>(steps);
  ACCOUNT_RETURN_IF_ERROR(parse_lists(json, status));
  return status;
}

void write_live_status(FileSystem& files, const std::string& folder, const LiveStatus& status) {
  const std::string path = join_path(folder, kStatusName);
  // A full /dev/shm must not disturb anybody; the next second tries again.
  (void)files.write_atomically(path, to_json(status).dump_pretty() + "\n", 0600).ok();
}

std::vector<LiveStatus> live_runs(FileSystem& files) {
  std::vector<LiveStatus> runs;
  std::set<std::string> roots;
  for (const std::string& folder : tally::page_folders("/", "any", "00000000")) {
    roots.insert(folder.substr(0, folder.rfind('/')));
  }
  for (const std::string& root : roots) {
    const auto names = files.list(root);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const auto bytes = files.read(join_path(join_path(root, name), kStatusName), kStatusCapBytes);
      if (!bytes.ok()) continue;
      auto status = parse_live_status(*bytes);
      if (status.ok() &&
          process_alive(static_cast<pid_t>(status->keeper_pid), status->keeper_start_ticks)) {
        runs.push_back(std::move(status).value());
      }
    }
  }
  std::sort(runs.begin(), runs.end(),
            [](const LiveStatus& a, const LiveStatus& b) { return a.run < b.run; });
  return runs;
}

std::string projection(const LiveStatus& status) {
  constexpr double kMinute = 60, kHour = 3600, kDay = 86'400, kYear = 365.25 * kDay;
  if (status.policy.empty() || status.counted >= status.threshold) return "";
  const double rate = status.operations_per_second.to_double();
  const double seconds = rate > 0 ? status.margin.to_double() / rate : 10 * kYear;
  const auto in = [](double count, std::string_view unit) {
    return fmt::format("in {:.{}f} {} at this rate", count, count < 10 ? 1 : 0, unit);
  };
  if (seconds >= 10 * kYear) return "";
  if (seconds >= kYear) return in(seconds / kYear, "years");
  if (seconds >= 2 * kDay) return in(seconds / kDay, "days");
  if (seconds >= 2 * kHour) return in(seconds / kHour, "hours");
  if (seconds >= 2 * kMinute) return in(seconds / kMinute, "minutes");
  return in(seconds, "seconds");
}

std::string intake(const LiveStatus& status) {
  const std::string words = ledger::processed_text(status.job_processed);
  if (status.job_processed.tokens == 0) return words;
  return fmt::format("{}, {} tokens a second", words, status.tokens_per_second);
}

std::string rate(const LiveStatus& status) {
  return fmt::format("{} a second{}", status.operations_per_second.to_short(),
                     status.mfu_percent.empty() ? "" : ", MFU " + status.mfu_percent + " %");
}

std::string percent(double share) {
  const double value = share * 100;
  if (!(value > 0)) return "0";
  const int digits = std::max(0, 2 - static_cast<int>(std::floor(std::log10(value))));
  return fmt::format("{:.{}f}", value, std::min(digits, 30));
}

}  // namespace account::keeper
