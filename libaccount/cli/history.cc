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

bool is_in_any(const std::vector<Lineage>& ends, const HistoryRun& run) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](const Lineage& lineage) { return is_in(lineage, run); });
}

std::string state_of(const HistoryRun& run, const std::vector<Lineage>& ends) {
  if (!run.fault.empty()) return "DOES NOT VERIFY: " + run.fault;
  std::string state = run.closed ? "closed" : "not closed";
  if (!is_in_any(ends, run)) state += ", led to none of these";
  return state;
}

// Runs below those that they went on from; one that went on from several stands below the first.
class Tree {
 public:
  Tree(const History& history, const std::vector<Lineage>& ends) : history_(history), ends_(ends) {}

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
                         state_of(run, ends_)));
    for (const HistoryRun& other : history_.runs) {
      if (!other.from.empty() && other.from[0].run == run.part.run) put(other, depth + 1);
    }
  }

  const History& history_;
  const std::vector<Lineage>& ends_;
  std::set<const HistoryRun*> put_;
};

std::string text_of(const record::Bounds& bounds) {
  return fmt::format("{} ({}), at most {}", bounds.low.to_decimal(), bounds.low.to_short(),
                     bounds.high.to_short());
}

void put_history(const History& history, const std::vector<Lineage>& ends) {
  Tree(history, ends).put();
  for (const record::HistoryRecord& found : history.records) {
    const record::Record& made = found.record.record;
    std::vector<std::string> parents;
    for (const record::Parent& parent : made.parents) {
      parents.push_back(parent.record.empty() ? "unknown" : parent.record.substr(0, 16));
    }
    put_line(fmt::format("record {} {}: {}{}{}", found.record.id.substr(0, 16),
                         record::name(made.kind), made.model.empty() ? found.place : made.model,
                         parents.empty() ? "" : ", from ", fmt::join(parents, " and ")));
  }
  for (const Lineage& lineage : ends) {
    put_line(fmt::format("led to {}: {} since the base; base {}", lineage.name,
                         text_of(lineage.sums.derived),
                         lineage.sums.unknown ? "unknown" : text_of(lineage.sums.base)));
  }
  put_line(fmt::format("everything that was run: {}, in {} runs", text_of(history.everything),
                       history.runs.size()));
  for (const std::string& remark : history.remarks) put_line("note: " + remark);
}

Json run_json(const HistoryRun& run, const std::vector<Lineage>& ends) {
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
                       {"in_lineage", is_in_any(ends, run)},
                       {"from", std::move(from)}});
}

Json history_json(const History& history, const std::vector<Lineage>& ends) {
  Json runs = Json::array(), records = Json::array(), lineages = Json::array(),
       remarks = Json::array();
  for (const HistoryRun& run : history.runs) runs.push(run_json(run, ends));
  for (const record::HistoryRecord& found : history.records) {
    Json parents = Json::array();
    for (const record::Parent& parent : found.record.record.parents) parents.push(parent.record);
    records.push(Json::object({{"record", found.record.id},
                               {"place", found.place},
                               {"model", found.record.record.model},
                               {"kind", record::name(found.record.record.kind)},
                               {"parents", std::move(parents)}}));
  }
  for (const Lineage& lineage : ends) {
    lineages.push(Json::object({{"of", lineage.name}, {"sums", to_json(lineage.sums)}}));
  }
  for (const std::string& remark : history.remarks) remarks.push(remark);
  return Json::object({{"runs", std::move(runs)},
                       {"records", std::move(records)},
                       {"lineages", std::move(lineages)},
                       {"everything", Json::object({{"low", history.everything.low},
                                                    {"high", history.everything.high}})},
                       {"remarks", std::move(remarks)}});
}

int show(const Words& words) {
  if (words.folders.empty()) {
    return fail("history", {Code::invalid_argument, "there is no folder",
                            "give those that hold runs, checkpoints and weights"});
  }
  FileSystem& files = FileSystem::real();
  auto history = record::read_history(files, words.folders, count::recount);
  if (!history.ok()) return fail("history", history.status());
  const auto ends = record::lineages(files, *history, count::recount);
  if (!ends.ok()) return fail("history", ends.status());
  if (words.json) {
    put_json(history_json(*history, *ends));
  } else {
    put_history(*history, *ends);
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
