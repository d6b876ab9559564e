// `account record`: what a run's ledgers hold, as a signed record that travels with the weights.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "account/version.h"
#include "cli/cost.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "record/disclose.h"
#include "record/make.h"
#include "record/safetensors.h"
#include "report/report.h"

namespace account::cli {
namespace {

struct Words {
  std::optional<std::string> run, kind, key, model, operator_name, output, disclose;
  std::string weights;
  std::vector<std::string> parents, teachers, folders, policies;
  FactWords facts;
  PriceWords prices;
  bool embed = false, card = false, json = false;
};

std::string all_kinds() { return fmt::format("{}", fmt::join(record::kind_names(), ", ")); }

// Made without training, so that a record without a run says what it is.
bool needs_no_run(record::Kind kind) {
  using record::Kind;
  return kind == Kind::copy || kind == Kind::merge || kind == Kind::combination ||
         kind == Kind::quantisation;
}

Result<record::Kind> kind_of(const Words& words, const record::Record& draft) {
  using record::Kind;
  if (words.kind) {
    const auto kind = record::kind_from_name(*words.kind);
    if (!kind || *kind == Kind::declared) {
      return Status(Code::invalid_argument,
                    fmt::format("--kind: '{}' is no kind of derivation", *words.kind),
                    "say one of " + all_kinds());
    }
    const bool from_nothing = *kind == Kind::pretraining || *kind == Kind::distillation;
    if (draft.parents.empty() && !from_nothing) {
      return Status(Code::invalid_argument, fmt::format("a {} needs a parent", *words.kind),
                    "give --parent FILE, or --parent unknown");
    }
    return *kind;
  }
  if (!draft.parents.empty()) return Kind::fine_tune;
  return Status(Code::invalid_argument, "it is not said what the weights were made from",
                "give --parent FILE, --parent unknown, or --kind pretraining (from nothing)");
}

Result<record::Draft> make_draft(const Words& words) {
  record::Sources sources;
  if (words.run) {
    ACCOUNT_ASSIGN_OR_RETURN(sources.run, find_run(*words.run));
  }
  sources.folders = words.folders;
  sources.parents = words.parents;
  sources.teachers = words.teachers;
  sources.keep_steps = words.disclose == "steps" || words.disclose == "shapes";
  ACCOUNT_ASSIGN_OR_RETURN(record::Draft draft,
                           record::draft(FileSystem::real(), sources, count::recount));
  ACCOUNT_ASSIGN_OR_RETURN(draft.record.kind, kind_of(words, draft.record));
  if (!words.run && !needs_no_run(draft.record.kind)) {
    return Status(Code::invalid_argument,
                  fmt::format("a {} needs the run that made it", record::name(draft.record.kind)),
                  "name the run, as in `account record RUN --weights ...`");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const record::Disclosure disclosure,
                           record::disclosure_from_name(words.disclose.value_or("categories")));
  ACCOUNT_RETURN_IF_ERROR(record::disclose(FileSystem::real(), disclosure, draft));
  return draft;
}

Result<Budget> judge(const Words& words, record::Draft& draft) {
  if (words.facts.cost && words.prices.prices) {
    return Status(Code::invalid_argument, "--cost and --prices both say what it cost",
                  "give one of them");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::optional<Cost> cost,
                           cost_of(draft.chain.reports, words.prices));
  if (cost) draft.record.cost_usd = cost->usd;
  if (words.facts.cost) {
    ACCOUNT_ASSIGN_OR_RETURN(draft.record.cost_usd, parse_usd(*words.facts.cost));
  }
  ACCOUNT_ASSIGN_OR_RETURN(
      Budget budget, budget_of(draft.record, draft.line_verified, words.policies, words.facts));
  for (const policy::Judgement& judgement : budget) {
    draft.record.verdicts.push_back(record::verdict_of(judgement));
  }
  return budget;
}

// The model card beside the weights says the same, for people.
Status write_card(const record::Weights& weights, const record::Draft& draft, Budget budget) {
  report::Page page;
  page.library = fmt::format("account {}", version());
  page.record = draft.record;
  page.reports = draft.chain.reports;
  page.level = level_text(draft.record.level);
  page.judgements = std::move(budget);
  FileSystem& files = FileSystem::real();
  const std::string path = join_path(weights.path, "README.md");
  constexpr uint64_t kCapBytes = 4 * 1024 * 1024;
  constexpr int kFileMode = 0644;
  std::string card;
  if (files.exists(path)) {
    ACCOUNT_ASSIGN_OR_RETURN(card, files.read(path, kCapBytes));
  }
  return files.write_atomically(path, report::to_card(page, card), kFileMode);
}

// The record, its parents' records, and, where asked for, the same record in the weights.
Status write_all(const Words& words, const record::Weights& weights, const record::Draft& draft,
                 const std::string& bytes, const std::string& path) {
  FileSystem& files = FileSystem::real();
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  if (words.embed) {
    const std::string text = bytes.substr(0, bytes.size() - 1);  // without the line feed
    for (const std::string& file : weights.safetensors) {
      ACCOUNT_RETURN_IF_ERROR(record::set_metadata(file, record::kMetadataName, text));
    }
  }
  const std::string folder = folder_of(path);
  for (const auto& [id, parent] : draft.shelf.all()) {
    ACCOUNT_RETURN_IF_ERROR(
        files.make_directories(join_path(folder, record::kParentsFolder), kFolderMode));
    ACCOUNT_RETURN_IF_ERROR(
        files.write_atomically(record::parent_path(folder, parent), parent.bytes, kFileMode));
  }
  return files.write_atomically(path, bytes, kFileMode);
}

void put_made(const record::Draft& draft, const record::SignedRecord& made,
              const std::string& path) {
  const record::Record& record = made.record;
  const record::Sums sums = record::sum_up(record);
  put_line(path);
  put_line(
      fmt::format("record {} ({}, level {})", made.id, record::name(record.kind), record.level));
  put_line(fmt::format("own {}, derived since the base {}, base {}", sums.own.low.to_decimal(),
                       sums.derived.low.to_decimal(),
                       sums.unknown ? "unknown" : sums.base.low.to_decimal()));
  for (const record::Verdict& verdict : record.verdicts) {
    put_line(fmt::format("{}: {}; {} operations {}", verdict.policy, policy::name(verdict.verdict),
                         verdict.margin.to_decimal(), verdict.over ? "beyond" : "left"));
  }
  for (const std::string& remark : draft.remarks) put_line("note: " + remark);
}

Json made_json(const record::Draft& draft, const record::SignedRecord& made,
               const std::string& path) {
  const record::Record& record = made.record;
  Json verdicts = Json::array();
  for (const record::Verdict& verdict : record.verdicts) {
    verdicts.push(Json::object({{"policy", verdict.policy},
                                {"verdict", policy::name(verdict.verdict)},
                                {"margin", verdict.margin},
                                {"over", verdict.over}}));
  }
  return Json::object({{"record", path},
                       {"id", made.id},
                       {"kind", record::name(record.kind)},
                       {"level", record.level},
                       {"sums", to_json(record::sum_up(record))},
                       {"verdicts", std::move(verdicts)},
                       {"remarks", Json::strings(draft.remarks)}});
}

Status make(const Words& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const SigningKey key, read_signing_key(words.key));
  ACCOUNT_ASSIGN_OR_RETURN(record::Weights weights, record::find_weights(words.weights));
  if (words.embed && weights.safetensors.empty()) {
    return {Code::invalid_argument, "--embed: only safetensors have metadata to hold a record",
            "leave it out: the record lies beside the weights"};
  }
  if (words.card && !weights.is_folder) {
    return {Code::invalid_argument,
            "--card: a model card lies in a folder, and these weights are one file",
            "name their folder, or leave it out"};
  }
  ACCOUNT_ASSIGN_OR_RETURN(record::Draft draft, make_draft(words));
  record::Record& record = draft.record;
  ACCOUNT_ASSIGN_OR_RETURN(Budget budget, judge(words, draft));
  if (words.model) record.model = *words.model;
  record.operator_name = words.operator_name.value_or("");
  record.level = key.named ? "L1" : "L0";
  record.method = fmt::format("shapes of the kernels that ran; libaccount {}", version());
  const std::string path = words.output.value_or(record::record_path(weights));
  ACCOUNT_ASSIGN_OR_RETURN(const record::SignedRecord made, sign_record(record, key, weights));
  ACCOUNT_RETURN_IF_ERROR(write_all(words, weights, draft, made.bytes, path));
  if (words.card) ACCOUNT_RETURN_IF_ERROR(write_card(weights, draft, std::move(budget)));
  if (words.json) {
    put_json(made_json(draft, made, path));
  } else {
    put_made(draft, made, path);
  }
  return Status();
}

}  // namespace

void add_record(const Verb& program) {
  const Verb verb =
      program.verb("record", "Makes the compute record that travels with the weights");
  auto words = std::make_shared<Words>();
  verb.takes("RUN", words->run, "The run that made them: folder or id (none: a merge or a copy)");
  verb.needs("--weights", words->weights, "Their file or folder");
  verb.takes_many("--parent", words->parents,
                  "What they were made from: a record, weights that have one, or 'unknown'; may be "
                  "repeated");
  verb.takes_many("--teacher", words->teachers, "The same, for a model that they learned from");
  verb.takes("--kind", words->kind, "One of " + all_kinds());
  verb.takes("--key", words->key, "Your .key file; without one the record is level L0");
  verb.takes("--model", words->model, "The model's name (default: the run's)");
  verb.takes("--operator", words->operator_name, "Who ran the machines, for people");
  verb.takes_many("--runs", words->folders, "Folder of the runs that this one went on from");
  verb.takes_many("--policy", words->policies, "Policy to judge by; may be repeated");
  verb.takes("--disclose", words->disclose, "totals, categories (default), steps or shapes");
  verb.flag("--embed", words->embed, "Write it into the metadata of safetensors as well");
  verb.flag("--card", words->card, "Put what it says into the folder's model card, README.md");
  verb.takes("--output", words->output, "Where to write it (default: beside the weights)");
  add_fact_options(verb, words->facts);
  add_price_options(verb, words->prices);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "The runs that the run went on from (start(resume=...)) are added up, each once; the "
      "records\n"
      "of parents are copied beside the record. Verifies everything first: exit code 2 "
      "otherwise.\n\n"
      "Example:\n"
      "  account record account/my-run --weights out/ --parent base/ --key alice.key");
  verb.does([words] { return end_with("record", make(*words)); });
}

}  // namespace account::cli
