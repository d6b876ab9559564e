#include "cli/record_text.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "count/transcript.h"
#include "ledger/format.h"
#include "record/make.h"

namespace account::cli {
namespace {

std::string both(OpCount low, OpCount high) {
  if (low == high) return fmt::format("{} ({})", low.to_decimal(), low.to_short());
  return fmt::format("{} ({}), at most {} ({})", low.to_decimal(), low.to_short(),
                     high.to_decimal(), high.to_short());
}

// Whether any of the reader's keys signed the record.
Status check_signer(const std::vector<std::string>& keys, CheckedRecord& checked) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey signer,
                           sign::PublicKey::from_bytes(checked.record().public_key));
  checked.signer_id = signer.id();
  std::set<std::string> known;
  for (const std::string& path : keys) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key, read_public_key(path));
    known.insert(key.id());
    checked.trusted = checked.trusted || key == signer;
  }
  if (keys.empty()) return Status();
  if (!checked.trusted) {
    return {Code::unverified,
            fmt::format("the record is signed by '{}', key {}, and not by a key that was given",
                        checked.record().signer, record::short_id(signer.id())),
            "ask its maker for a public key, by another way than this file came"};
  }
  for (const record::SignedRecord* parent : checked.line.parents) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key,
                             sign::PublicKey::from_bytes(parent->record.public_key));
    if (known.contains(key.id())) continue;
    checked.remarks.push_back(fmt::format(
        "parent {} is signed by '{}', key {}, which was not given: --key again trusts it",
        record::short_id(parent->id), parent->record.signer, record::short_id(key.id())));
  }
  return Status();
}

Status check_weights(const RecordWords& words, CheckedRecord& checked) {
  if (!checked.found.from_weights && !words.weights) {
    checked.remarks.push_back("the weights were not given: --weights PATH says if they are these");
    return Status();
  }
  record::Weights weights = checked.found.weights;
  if (words.weights) {
    ACCOUNT_ASSIGN_OR_RETURN(weights, record::find_weights(*words.weights));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const auto subjects, record::digest_weights(weights, show_progress()));
  ACCOUNT_RETURN_IF_ERROR(
      record::check_subjects(checked.record(), subjects).with_context(checked.found.place));
  checked.weights_checked = true;
  return Status();
}

// A run's ledgers, up to the heads that the record names, against the figures that it states.
Status check_ledger(const std::string& path, const record::Part& part) {
  ledger::VerifyOptions options;
  options.heads = part.heads;
  ACCOUNT_ASSIGN_OR_RETURN(
      const ledger::Report report,
      ledger::verify(FileSystem::real(), path, std::nullopt, count::recount, options));
  if (!report.ok()) return first_problem(report).with_context("run " + part.run);
  record::Part again = record::part_of(report, part.whole);
  if (part.counters.empty()) again.counters.clear();
  again.identity = part.identity;  // nodes that came later belong to another identity
  if (again == part) return Status();
  return {Code::unverified,
          fmt::format("the ledgers of run '{}' hold {} operations, and the record says {}",
                      part.run, again.executed.to_decimal(), part.executed.to_decimal()),
          "ask its maker for a record that was made from these ledgers"};
}

Status check_ledgers(const std::vector<std::string>& folders, const record::Record& record) {
  for (const record::Part& part : record.parts) {
    Status checked(Code::not_found,
                   fmt::format("run '{}' is not in {}", part.run, fmt::join(folders, ", ")),
                   "give --runs with the folder that holds it");
    for (const std::string& path : record::places_of(FileSystem::real(), part.run, folders)) {
      checked = check_ledger(path, part);
      if (checked.ok()) break;
    }
    ACCOUNT_RETURN_IF_ERROR(checked);
  }
  return Status();
}

Json part_json(const record::Part& part) {
  return Json::object({{"run", part.run},
                       {"whole", part.whole},
                       {"executed", part.executed},
                       {"upper", part.upper},
                       {"steps", part.steps}});
}

void put_part(const record::Part& part) {
  put_line(fmt::format("  run {}{}: {} operations, at most {}; {} steps", part.run,
                       part.whole ? "" : " up to a save", part.executed.to_decimal(),
                       part.upper.to_short(), part.steps));
}

void put_claim(const record::Claim& claim) {
  put_line(fmt::format("  {} ({}): {}; {}", record::name(claim.grade), name(claim.category),
                       both(claim.low, claim.high), claim.basis));
}

}  // namespace

bool names_record(const std::string& path) {
  FileSystem& files = FileSystem::real();
  if (path.empty() || !files.exists(path)) return false;
  const auto names = files.list(path);
  if (!names.ok()) return true;  // a file
  return std::none_of(names->begin(), names->end(), [](const std::string& name) {
    return name == ledger::kRunFile || name.starts_with(ledger::kNodePrefix);
  });
}

record::Progress show_progress() {
  if (isatty(STDERR_FILENO) == 0) return nullptr;
  return [](uint64_t done, uint64_t total) {
    constexpr double kGiga = 1e9;
    fmt::print(stderr, "\rhashing {:.1f} of {:.1f} GB{}", static_cast<double>(done) / kGiga,
               static_cast<double>(total) / kGiga, done == total ? "\n" : "");
    std::fflush(stderr);
  };
}

Result<record::SignedRecord> sign_record(record::Record& record, const SigningKey& key,
                                         const record::Weights& weights) {
  ACCOUNT_ASSIGN_OR_RETURN(record.subjects, record::digest_weights(weights, show_progress()));
  record.signer = key.key.name;
  record.made_unix_ns = Clock::real().unix_ns();
  // Read again: what a reader would refuse is not written.
  return record::parse_record(record::write_record(record, key.key.key));
}

Result<CheckedRecord> check_record(const RecordWords& words) {
  FileSystem& files = FileSystem::real();
  ACCOUNT_ASSIGN_OR_RETURN(record::Found found, record::find_record(files, words.path));
  CheckedRecord checked{std::move(found), {}, {}, false, false, "", {}};
  ACCOUNT_RETURN_IF_ERROR(
      checked.shelf.take_folder(files, join_path(checked.found.folder, record::kParentsFolder)));
  for (const std::string& path : words.parents) {
    ACCOUNT_RETURN_IF_ERROR(files.list(path).ok() ? checked.shelf.take_folder(files, path)
                                                  : checked.shelf.take(files, path).status());
  }
  ACCOUNT_ASSIGN_OR_RETURN(checked.line, record::check_line(checked.found.record, checked.shelf));
  ACCOUNT_RETURN_IF_ERROR(check_signer(words.keys, checked).with_context(checked.found.place));
  ACCOUNT_RETURN_IF_ERROR(check_weights(words, checked));
  if (!words.runs.empty()) {
    ACCOUNT_RETURN_IF_ERROR(check_ledgers(words.runs, checked.record()));
  }
  for (const std::string& id : checked.line.missing) {
    checked.remarks.push_back(
        fmt::format("the record of parent {} is not there: shares of it cannot be judged",
                    record::short_id(id)));
  }
  return checked;
}

std::string level_of(const CheckedRecord& checked) { return checked.trusted ? "L1" : "L0"; }

Json to_json(const record::Sums& sums) {
  const auto bounds = [](const record::Bounds& b) {
    return Json::object({{"low", b.low}, {"high", b.high}});
  };
  return Json::object({{"own", bounds(sums.own)},
                       {"derived", bounds(sums.derived)},
                       {"base", bounds(sums.base)},
                       {"complete", !sums.unknown}});
}

Json to_json(const CheckedRecord& checked) {
  const record::Record& record = checked.record();
  Json runs = Json::array(), lineage = Json::array();
  for (const record::Part& part : record.parts) runs.push(part_json(part));
  for (const record::Ancestor& ancestor : record.lineage) {
    Json parts = Json::array();
    for (const record::Part& part : ancestor.parts) parts.push(part_json(part));
    lineage.push(Json::object({{"record", ancestor.record},
                               {"model", ancestor.model},
                               {"kind", record::name(ancestor.kind)},
                               {"base", ancestor.base},
                               {"runs", std::move(parts)}}));
  }
  return Json::object({{"ok", true},
                       {"record", checked.found.place},
                       {"id", checked.found.record.id},
                       {"model", record.model},
                       {"kind", record::name(record.kind)},
                       {"signer", record.signer},
                       {"key", checked.signer_id},
                       {"trusted", checked.trusted},
                       {"level", level_of(checked)},
                       {"weights_checked", checked.weights_checked},
                       {"sums", to_json(record::sum_up(record))},
                       {"runs", std::move(runs)},
                       {"lineage", std::move(lineage)},
                       {"missing_parents", Json::strings(checked.line.missing)},
                       {"remarks", Json::strings(checked.remarks)}});
}

void put_record(const CheckedRecord& checked) {
  const record::Record& record = checked.record();
  const record::Sums sums = record::sum_up(record);
  put_line(fmt::format("{}: {}, {}", checked.found.place,
                       record.model.empty() ? "a model without a name" : record.model,
                       record::name(record.kind)));
  put_line(fmt::format("  signed by '{}', key {}{}, on {}", record.signer,
                       record::short_id(checked.signer_id), checked.trusted ? " (given)" : "",
                       to_iso_date(record.made_unix_ns)));
  put_line(checked.weights_checked ? "  the weights are those that it is about"
                                   : "  the weights were not compared");
  for (const record::Part& part : record.parts) put_part(part);
  for (const record::Claim& claim : record.claims) put_claim(claim);
  for (const record::Ancestor& ancestor : record.lineage) {
    put_line(fmt::format(
        "  {} {}{}, record {}", ancestor.base ? "base" : "before", record::name(ancestor.kind),
        ancestor.model.empty() ? "" : " " + ancestor.model, record::short_id(ancestor.record)));
    for (const record::Part& part : ancestor.parts) put_part(part);
    for (const record::Claim& claim : ancestor.claims) put_claim(claim);
  }
  put_line("own        " + both(sums.own.low, sums.own.high));
  put_line("derived    " + both(sums.derived.low, sums.derived.high) + ", since the base");
  put_line("base       " + (sums.unknown ? "unknown" : both(sums.base.low, sums.base.high)));
  for (const std::string& remark : checked.remarks) put_line("note: " + remark);
}

policy::Facts with_stated(policy::Facts facts, const policy::Facts& stated) {
  facts.date = stated.date;
  facts.applies = stated.applies;
  facts.projected = stated.projected;
  if (stated.cost_usd) facts.cost_usd = stated.cost_usd;
  if (stated.parent_operations || stated.parent_unknown) {
    facts.parent_operations = stated.parent_operations;
    facts.parent_unknown = stated.parent_unknown;
    facts.parent_sum = facts.parent_sum_upper = std::nullopt;
  }
  return facts;
}

Result<Budget> judge_all(const std::vector<std::string>& policies, const policy::Facts& facts) {
  Budget budget;
  for (const std::string& id : policies.empty() ? policy::default_ids() : policies) {
    ACCOUNT_ASSIGN_OR_RETURN(const policy::Policy policy, policy::load(id));
    budget.push_back(policy::judge(policy, facts));
  }
  return budget;
}

int exit_code(const Budget& budget) {
  policy::Verdict gravest = policy::Verdict::not_applicable;
  for (const policy::Judgement& judgement : budget) gravest = std::max(gravest, judgement.verdict);
  return policy::exit_code(gravest);
}

Result<Budget> budget_of(const record::Record& record, bool line_verified,
                         const std::vector<std::string>& policies, const FactWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const policy::Facts stated, parse_facts(words));
  return judge_all(policies, with_stated(record::facts_of(record, line_verified), stated));
}

Json to_json(const Budget& budget) {
  Json json = Json::array();
  for (const policy::Judgement& judgement : budget) json.push(policy::to_json(judgement));
  return json;
}

void put_budget(const Budget& budget) {
  for (const policy::Judgement& judgement : budget) {
    put_line(fmt::format("{} ({}), as of {}: {}", judgement.policy, judgement.status,
                         judgement.date, policy::name(judgement.verdict)));
    for (const policy::RuleJudgement& rule : judgement.rules) {
      put_line(fmt::format("  {:<12} {} of {}: {} operations ({}) {}", rule.rule,
                           rule.counted.to_short(), policy::exact_text(rule.threshold),
                           rule.margin.to_decimal(), rule.margin.to_short(),
                           rule.over ? "beyond" : "left"));
    }
  }
}

}  // namespace account::cli
