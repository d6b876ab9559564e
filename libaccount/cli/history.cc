// `account history`: how runs, checkpoints and records follow from each other, and two totals: what
// led to the model, and everything that was run.
#include "record/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/verbs.h"
#include "count/transcript.h"

namespace account::cli {
namespace {

struct Words {
  std::vector<std::string> folders;
  bool json = false;
};

using record::History;
using record::HistoryRun;
using record::Lineage;

bool is_in(const Lineage& lineage, const HistoryRun& run) {
  const auto& in = lineage.identities;
  return std::find(in.begin(), in.end(), run.part.identity) != in.end();
}

bool is_in_any(const History& history, const HistoryRun& run) {
  return std::any_of(history.lineages.begin(), history.lineages.end(),
                     [&](const Lineage& lineage) { return is_in(lineage, run); });
}

std::string state_of(const History& history, const HistoryRun& run) {
  if (!run.fault.empty()) return "DOES NOT VERIFY: " + run.fault;
  std::string state = run.closed ? "closed" : "not closed";
  if (!is_in_any(history, run)) state += ", led to none of these";
  return state;
}

// Runs below those that they went on from; one that went on from several stands below the first.
class Tree {
 public:
  explicit Tree(const History& history) : history_(history) {}

  void put() {
    for (const HistoryRun& run : history_.runs) {
      if (run.from.empty() || history_.run(run.from[0].run) == nullptr) put(run, 0);
    }
  }

 private:
  void put(const HistoryRun& run, size_t depth) {
    if (!put_.insert(&run).second) return;
    const std::string where =
        run.from.empty()
            ? ""
            : fmt::format(", from {} step {}", run.from[0].cut.name, run.from[0].cut.step);
    put_line(fmt::format("{}{}: {} operations, {} steps{}; {}", std::string(2 * depth, ' '),
                         run.part.run, run.part.executed.to_decimal(), run.part.steps, where,
                         state_of(history_, run)));
    for (const HistoryRun& other : history_.runs) {
      if (!other.from.empty() && other.from[0].run == run.part.run) put(other, depth + 1);
    }
  }

  const History& history_;
  std::set<const HistoryRun*> put_;
};

std::string text_of(const record::Bounds& bounds) {
  return fmt::format("{} ({}), at most {}", bounds.low.to_decimal(), bounds.low.to_short(),
                     bounds.high.to_short());
}

void put_history(const History& history) {
  Tree(history).put();
  for (const record::HistoryRecord& found : history.records) {
    const record::Record& made = found.record.record;
    std::vector<std::string> parents;
    for (const record::Parent& parent : made.parents) {
      parents.push_back(parent.record.empty() ? "unknown"
                                              : std::string(record::short_id(parent.record)));
    }
    put_line(fmt::format("record {} {}: {}{}{}", record::short_id(found.record.id),
                         record::name(made.kind), made.model.empty() ? found.place : made.model,
                         parents.empty() ? "" : ", from ", fmt::join(parents, " and ")));
  }
  for (const Lineage& lineage : history.lineages) {
    put_line(fmt::format("led to {}: {} since the base; base {}", lineage.name,
                         text_of(lineage.sums.derived),
                         lineage.sums.unknown ? "unknown" : text_of(lineage.sums.base)));
  }
  put_line(fmt::format("everything that was run: {}, in {} runs", text_of(history.everything),
                       history.runs.size()));
  for (const std::string& remark : history.remarks) put_line("note: " + remark);
}

Json run_json(const History& history, const HistoryRun& run) {
  Json from = Json::array();
  for (const record::Sidecar& sidecar : run.from) {
    from.push(Json::object(
        {{"run", sidecar.run}, {"checkpoint", sidecar.cut.name}, {"step", sidecar.cut.step}}));
  }
  return Json::object({{"run", run.part.run},
                       {"path", run.path},
                       {"executed", run.part.executed},
                       {"upper", run.part.upper},
                       {"steps", run.part.steps},
                       {"closed", run.closed},
                       {"fault", run.fault},
                       {"in_lineage", is_in_any(history, run)},
                       {"from", std::move(from)}});
}

Json history_json(const History& history) {
  Json runs = Json::array(), records = Json::array(), lineages = Json::array();
  for (const HistoryRun& run : history.runs) runs.push(run_json(history, run));
  for (const record::HistoryRecord& found : history.records) {
    Json parents = Json::array();
    for (const record::Parent& parent : found.record.record.parents) parents.push(parent.record);
    records.push(Json::object({{"record", found.record.id},
                               {"place", found.place},
                               {"model", found.record.record.model},
                               {"kind", record::name(found.record.record.kind)},
                               {"parents", std::move(parents)}}));
  }
  for (const Lineage& lineage : history.lineages) {
    lineages.push(Json::object({{"of", lineage.name}, {"sums", to_json(lineage.sums)}}));
  }
  return Json::object({{"runs", std::move(runs)},
                       {"records", std::move(records)},
                       {"lineages", std::move(lineages)},
                       {"everything", Json::object({{"low", history.everything.low},
                                                    {"high", history.everything.high}})},
                       {"remarks", Json::strings(history.remarks)}});
}

int show(const Words& words) {
  if (words.folders.empty()) {
    return fail("history", {Code::invalid_argument, "there is no folder",
                            "give those that hold runs, checkpoints and weights"});
  }
  const auto history = record::read_history(FileSystem::real(), words.folders, count::recount);
  if (!history.ok()) return fail("history", history.status());
  if (words.json) {
    put_json(history_json(*history));
  } else {
    put_history(*history);
  }
  const bool sound = std::all_of(history->runs.begin(), history->runs.end(),
                                 [](const HistoryRun& run) { return run.fault.empty(); });
  return sound ? kYes : kUnverified;
}

}  // namespace

void add_history(const Verb& program) {
  const Verb verb = program.verb("history", "What led to a model, and everything that was run");
  auto words = std::make_shared<Words>();
  verb.takes_words("DIR", words->folders, "Folders that hold runs, checkpoints and weights");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Runs follow from each other by the sidecars of checkpoints, models by their records; what\n"
      "several share counts once. Exit code 2 where a run does not verify: it is in no sum.\n\n"
      "Example:\n"
      "  account history account/ checkpoints/");
  verb.does([words] { return show(*words); });
}

}  // namespace account::cli
