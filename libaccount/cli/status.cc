// `account status`: the jobs that run on this node now, and the runs that lie in a folder.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "keeper/live_status.h"
#include "keeper/place.h"
#include "ledger/format.h"

namespace account::cli {
namespace {

struct StatusWords {
  std::string where;
  bool json = false;
  bool watch = false;
};

void put_live(const keeper::LiveStatus& live) {
  put_line(fmt::format("{}  running  {} of {} ranks here, step {}, {} operations ({}), {}",
                       live.run, live.ranks.size(), live.world_size, live.steps,
                       live.job_operations.to_decimal(), live.job_operations.to_short(),
                       keeper::rate(live)));
  if (const std::string words = keeper::intake(live); !words.empty()) put_line("  " + words);
  put_line(fmt::format("  {}, node {}, keeper {}", live.run_folder, live.node, live.keeper_pid));
  for (const keeper::LiveRank& rank : live.ranks) {
    put_line(fmt::format("  rank {}: pid {}, step {}, {} operations", rank.rank, rank.pid,
                         rank.steps, rank.operations.to_decimal()));
  }
  if (!live.policy.empty()) {
    const std::string when = keeper::projection(live);
    put_line(fmt::format("  nearest: {} rule {}: {}, {} % of {}, {} operations {}{}", live.policy,
                         live.rule, live.verdict, live.share_percent, live.threshold.to_short(),
                         live.margin.to_decimal(),
                         live.counted < live.threshold ? "until it is reached" : "beyond it",
                         when.empty() ? "" : ", " + when));
  }
  if (!live.silent_ranks.empty()) {
    put_line(fmt::format("  not heard from: ranks {}", fmt::join(live.silent_ranks, ", ")));
  }
  if (!live.lease.empty()) put_line("  lease: " + live.lease);
  if (!live.waits.empty()) put_line("  held: " + live.waits);
  if (!live.trouble.empty()) put_line("  trouble: " + live.trouble);
}

// A run that no keeper of this node serves, from its ledger.
struct Finished {
  std::string path;
  Result<ledger::Report> report;
};

bool is_closed(const ledger::Report& report) {
  return std::all_of(report.nodes.begin(), report.nodes.end(),
                     [](const ledger::NodeReport& node) { return node.closed; });
}

std::string state_of(const Finished& run) {
  if (!run.report.ok() || !run.report->ok()) return "does not verify";
  return is_closed(*run.report) ? "finished" : "not closed";
}

void put_finished(const Finished& run) {
  if (!run.report.ok()) {
    put_line(fmt::format("{}  does not verify: {}", base_name(run.path),
                         run.report.status().to_string()));
    return;
  }
  const ledger::Report& report = *run.report;
  put_line(fmt::format("{}  {}  {} ranks, {} steps, {} operations ({}), level {}", report.run,
                       state_of(run), report.ranks, report.totals.steps,
                       report.totals.executed.to_decimal(), report.totals.executed.to_short(),
                       level_text(report.level)));
  if (const std::string words = ledger::processed_text(report.totals.processed); !words.empty()) {
    put_line("  " + words);
  }
  put_line("  " + run.path);
  if (!report.ok()) put_line("  " + first_problem(report).to_string());
}

Json finished_json(const Finished& run) {
  Json json = Json::object(
      {{"run", base_name(run.path)}, {"state", state_of(run)}, {"run_folder", run.path}});
  if (!run.report.ok()) return json.set("error", run.report.status().to_string());
  json.set("ranks", run.report->ranks);
  json.set("steps", run.report->totals.steps);
  json.set("operations", run.report->totals.executed);
  ledger::set_processed(json, run.report->totals.processed);
  json.set("level", run.report->level);
  if (!run.report->ok()) json.set("error", first_problem(*run.report).to_string());
  return json;
}

// The folders that `where` means: a run, or a folder of runs. Nothing where there is none.
std::vector<std::string> run_folders(FileSystem& files, const std::string& where) {
  if (is_run_folder(where)) return {where};
  const std::string named = join_path(runs_folder(), where);
  if (!files.exists(where) && is_run_folder(named)) return {named};
  std::vector<std::string> folders;
  const auto names = files.list(where);
  if (!names.ok()) return folders;
  for (const std::string& name : *names) {
    const std::string path = join_path(where, name);
    if (is_run_folder(path)) folders.push_back(path);
  }
  return folders;
}

bool concerns(const keeper::LiveStatus& live, const StatusWords& words) {
  if (words.where.empty() || live.run == words.where) return true;
  const std::string where = absolute_path(words.where);
  return live.run_folder == where || live.run_folder.starts_with(where + "/");
}

struct Found {
  std::vector<keeper::LiveStatus> live;
  std::vector<Finished> finished;
};

Found find(const StatusWords& words) {
  FileSystem& files = FileSystem::real();
  Found found;
  for (keeper::LiveStatus& live : keeper::live_runs(files)) {
    if (concerns(live, words)) found.live.push_back(std::move(live));
  }
  const std::string where = words.where.empty() ? runs_folder() : words.where;
  for (const std::string& folder : run_folders(files, where)) {
    const std::string path = absolute_path(folder);
    const bool is_live =
        std::any_of(found.live.begin(), found.live.end(),
                    [&](const keeper::LiveStatus& live) { return live.run_folder == path; });
    if (!is_live) found.finished.push_back({folder, verify_run(folder, {})});
  }
  return found;
}

int status(const StatusWords& words) {
  const Found found = find(words);
  const bool nothing = found.live.empty() && found.finished.empty();
  if (nothing && !words.where.empty()) {
    return fail(words.where, {Code::not_found, "there is no run, running or finished",
                              "give a run's id or folder, or a folder of runs"});
  }
  if (words.json) {
    Json live = Json::array(), finished = Json::array();
    for (const auto& run : found.live) live.push(keeper::to_json(run));
    for (const auto& run : found.finished) finished.push(finished_json(run));
    put_json(Json::object({{"live", std::move(live)}, {"finished", std::move(finished)}}));
    return kYes;
  }
  for (const auto& run : found.live) put_live(run);
  for (const auto& run : found.finished) put_finished(run);
  if (nothing) {
    say(
        fmt::format("account: status: no job of yours runs on this node, and there is no run in "
                    "'{}'; start one with `account run -- CMD`",
                    runs_folder()));
  }
  return kYes;
}

// Until it is interrupted, stdout is closed, or nothing is to be seen at all.
int watch(const StatusWords& words) {
  const bool in_place = isatty(STDOUT_FILENO) == 1;
  while (true) {
    if (in_place) put_line("\x1b[H\x1b[J" + to_iso8601(Clock::real().unix_ns()));
    const int code = status(words);
    if (code != kYes || !flush_data()) return code;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

void add_status(const Verb& program) {
  const Verb verb = program.verb("status", "Running jobs of this node, and finished runs");
  auto words = std::make_shared<StatusWords>();
  verb.takes("RUN", words->where, "A run's id or folder, or a folder of runs");
  verb.flag("--json", words->json, "As JSON");
  verb.flag("--watch", words->watch,
            "Again every second: in place on a terminal, else line after line, until Ctrl-C");
  verb.footer("Example:\n  account status --watch");
  verb.does([words] { return words->watch ? watch(*words) : status(*words); });
}

}  // namespace account::cli
