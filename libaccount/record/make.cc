// Runs as parts of records.
#include "record/make.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "record/declaration.h"
#include "sign/sign.h"

namespace account::record {
namespace {

bool has_kind(const Json& event, std::string_view kind) {
  const auto found = event.get_string("kind");
  return found.ok() && *found == kind;
}

// The same run under one id: by its nodes' run.json, which hold when it began.
std::string identity_of(const ledger::Report& report) {
  std::vector<std::string> digests;
  for (const ledger::NodeReport& node : report.nodes) digests.push_back(node.run_file_sha256);
  std::sort(digests.begin(), digests.end());
  std::string all;
  for (const std::string& digest : digests) all += digest;
  return sign::to_hex(sign::sha256(all));
}

class Collector {
 public:
  Collector(FileSystem& files, RunReader& reader, const std::vector<std::string>& folders)
      : files_(files), reader_(reader), folders_(folders) {}

  Status take(const std::string& path, const std::optional<ledger::Cut>& cut) {
    ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report* report, reader_.read(path, cut));
    for (const Sidecar& from : resumed_from(*report)) {
      // Two checkpoints of one run: the later one's part of it holds the earlier one's.
      uint64_t& known = sizes_[{from.run, from.cut.node}];
      if (known >= from.cut.size) continue;
      known = from.cut.size;
      ACCOUNT_RETURN_IF_ERROR(take_earlier(report->run, from));
    }
    for (std::string& id : parents_named(*report)) parents_.insert(std::move(id));
    keep(*report, !cut);
    return Status();
  }

  Chain finish() && {
    chain_.parents.assign(parents_.begin(), parents_.end());
    return std::move(chain_);
  }

 private:
  // Another run of the same name does not have the checkpoint's head.
  Status take_earlier(const std::string& run, const Sidecar& from) {
    Status taken(Code::not_found,
                 fmt::format("run '{}' went on from run '{}', whose ledger is not in {}", run,
                             from.run, fmt::join(folders_, ", ")),
                 "give --runs with the folder that holds it: without it the sum is too small");
    for (const std::string& path : places_of(files_, from.run, folders_)) {
      taken = take(path, from.cut);
      if (taken.ok()) break;
    }
    return taken;
  }

  void keep(const ledger::Report& report, bool whole) {
    Part part = part_of(report, whole);
    const auto known =
        std::find_if(chain_.parts.begin(), chain_.parts.end(),
                     [&](const Part& other) { return other.identity == part.identity; });
    if (whole && !report.incarnations.empty()) chain_.model = report.incarnations[0].line.model;
    if (known == chain_.parts.end()) {
      chain_.parts.push_back(std::move(part));
      chain_.reports.push_back(report);
    } else if (known->executed < part.executed) {
      chain_.reports[static_cast<size_t>(known - chain_.parts.begin())] = report;
      *known = std::move(part);
    }
  }

  FileSystem& files_;
  RunReader& reader_;
  const std::vector<std::string>& folders_;
  std::map<std::pair<std::string, std::string>, uint64_t> sizes_;  // by run and node
  std::set<std::string> parents_;
  Chain chain_;
};

// Adds parents to a draft, each once.
class Parents {
 public:
  Parents(FileSystem& files, Draft& draft) : files_(files), draft_(draft) {}

  // What somebody gave.
  Status take(const std::string& word, bool teacher) {
    if (word == kUnknownParent) {
      put({"", "", teacher});
      return Status();
    }
    ACCOUNT_ASSIGN_OR_RETURN(const SignedRecord* found, draft_.shelf.take(files_, word));
    put({found->id, found->record.model, teacher});
    return Status();
  }

  // What a run's ledger names.
  void take_named(const std::string& id) {
    if (knows(id)) return;
    if (const SignedRecord* found = draft_.shelf.find(id)) {
      put({id, found->record.model, false});
      return;
    }
    put({"", "", false});
    draft_.remarks.push_back(fmt::format(
        "the run began from the model of record {}, which is not there: its operations are unknown",
        short_id(id)));
  }

 private:
  bool knows(const std::string& id) const {
    return std::any_of(draft_.record.parents.begin(), draft_.record.parents.end(),
                       [&](const Parent& parent) { return parent.record == id; });
  }
  void put(Parent parent) {
    if (parent.record.empty() || !knows(parent.record)) {
      draft_.record.parents.push_back(std::move(parent));
    }
  }

  FileSystem& files_;
  Draft& draft_;
};

// Whether all records that stand behind the parents are there, and say what is carried forward.
Status check_lines(Draft& draft) {
  for (const Parent& parent : draft.record.parents) {
    if (parent.teacher || parent.record.empty()) continue;
    const SignedRecord* found = draft.shelf.find(parent.record);
    ACCOUNT_ASSIGN_OR_RETURN(const Line line, check_line(*found, draft.shelf));
    draft.line_verified = draft.line_verified && line.verified();
  }
  return Status();
}

}  // namespace

Part part_of(const ledger::Report& report, bool whole) {
  Part part;
  part.run = report.run;
  part.identity = identity_of(report);
  part.whole = whole;
  part.heads = ledger::heads_of(report);
  part.executed = report.totals.executed;
  part.model = report.totals.model;
  part.lower = report.totals.lower;
  part.upper = report.totals.upper;
  part.steps = report.totals.steps;
  for (const ledger::Incarnation& incarnation : report.incarnations) {
    for (const ledger::CountRow& row : incarnation.rows) {
      OpCount& sum = part.counters[{row.category, row.phase}];
      sum = saturating_add(sum, row.figures.executed);
    }
  }
  std::erase_if(part.counters, [](const auto& entry) { return entry.second == OpCount(); });
  for (const ledger::NodeReport& node : report.nodes) {
    for (const Json& gap : node.gaps) {
      if (const auto kind = gap.get_string("kind"); kind.ok()) ++part.gaps[*kind];
    }
  }
  return part;
}

std::vector<Sidecar> resumed_from(const ledger::Report& report) {
  std::vector<Sidecar> found;
  for (const ledger::NodeReport& node : report.nodes) {
    for (const Json& event : node.events) {
      if (!has_kind(event, "resumed")) continue;
      auto sidecar = sidecar_from_json(event);
      if (!sidecar.ok() || sidecar->run == report.run) continue;
      const bool known = std::any_of(found.begin(), found.end(), [&](const Sidecar& other) {
        return other.run == sidecar->run && other.cut.root == sidecar->cut.root;
      });
      if (!known) found.push_back(std::move(sidecar).value());
    }
  }
  return found;
}

std::vector<std::string> parents_named(const ledger::Report& report) {
  std::set<std::string> found;
  for (const ledger::NodeReport& node : report.nodes) {
    for (const Json& event : node.events) {
      if (!has_kind(event, "parent")) continue;
      if (auto id = event.get_string("record"); id.ok()) found.insert(std::move(id).value());
    }
  }
  return {found.begin(), found.end()};
}

Result<const ledger::Report*> RunReader::read(const std::string& path,
                                              const std::optional<ledger::Cut>& cut) {
  const std::pair<std::string, std::string> name = {path, cut ? cut->root : ""};
  const auto known = reports_.find(name);
  if (known != reports_.end()) return &known->second;
  std::string level = "L0";
  if (cut && trust_.developer) {
    ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report* whole, read(path, std::nullopt));
    level = whole->level;
  }
  ACCOUNT_ASSIGN_OR_RETURN(
      ledger::Report report,
      ledger::verify(files_, path, trust_.developer, recount_,
                     {.cut = cut, .keep_steps = keep_steps_, .witnesses = trust_.witnesses}));
  if (!report.ok()) {
    const ledger::Problem& problem = report.problems.front();
    return Status(
        Code::unverified,
        fmt::format("run '{}' does not verify: {}: {}", report.run, problem.place, problem.fault),
        "'account verify' lists all that is wrong");
  }
  if (cut) report.level = level;
  return &reports_.emplace(name, std::move(report)).first->second;
}

std::vector<std::string> places_of(FileSystem& files, const std::string& run,
                                   const std::vector<std::string>& folders) {
  std::vector<std::string> places;
  for (const std::string& folder : folders) {
    const std::string path = join_path(folder, run);
    if (files.exists(path)) places.push_back(path);
  }
  return places;
}

Result<Chain> collect_chain(FileSystem& files, RunReader& reader, const std::string& path,
                            const std::vector<std::string>& folders) {
  Collector collector(files, reader, folders);
  ACCOUNT_RETURN_IF_ERROR(collector.take(path, std::nullopt));
  return std::move(collector).finish();
}

Result<Draft> draft(FileSystem& files, const Sources& sources, ledger::Recount recount) {
  Draft draft;
  if (!sources.run.empty()) {
    std::vector<std::string> folders = {folder_of(absolute_path(sources.run))};
    folders.insert(folders.end(), sources.folders.begin(), sources.folders.end());
    RunReader reader(files, recount, sources.trust, sources.keep_steps);
    ACCOUNT_ASSIGN_OR_RETURN(draft.chain, collect_chain(files, reader, sources.run, folders));
  }
  Record& record = draft.record;
  record.model = draft.chain.model;
  record.parts = draft.chain.parts;
  for (size_t i = 0; i < record.parts.size(); ++i) {
    const std::string& folder = draft.chain.reports[i].folder;
    ACCOUNT_ASSIGN_OR_RETURN(const std::vector<Declaration> declared,
                             read_declarations(files, folder, record.parts[i].run));
    for (const Declaration& one : declared) record.claims.push_back(one.claim);
    ACCOUNT_RETURN_IF_ERROR(draft.shelf.take_folder(files, join_path(folder, kParentsFolder)));
  }
  Parents parents(files, draft);
  for (const std::string& word : sources.parents) {
    ACCOUNT_RETURN_IF_ERROR(parents.take(word, false));
  }
  for (const std::string& word : sources.teachers) {
    ACCOUNT_RETURN_IF_ERROR(parents.take(word, true));
  }
  for (const std::string& id : draft.chain.parents) parents.take_named(id);
  std::vector<SignedRecord> there;
  for (const auto& [id, kept] : draft.shelf.all()) there.push_back(kept);
  record.lineage = lineage_from(there, record.parents);
  ACCOUNT_RETURN_IF_ERROR(check_lines(draft));
  return draft;
}

Verdict verdict_of(const policy::Judgement& judgement) {
  Verdict verdict;
  verdict.policy = judgement.policy;
  verdict.policy_sha256 = judgement.policy_sha256;
  verdict.date = judgement.date;
  verdict.verdict = judgement.verdict;
  if (judgement.rules.empty()) return verdict;
  const policy::RuleJudgement& rule = judgement.rules[judgement.deciding_rule];
  verdict.rule = rule.rule;
  verdict.counted = rule.counted;
  verdict.threshold = rule.threshold;
  verdict.margin = rule.margin;
  verdict.over = rule.over;
  return verdict;
}

}  // namespace account::record
