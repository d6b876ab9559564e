// `account parent declare` and `account declare`: signed words for what no ledger holds.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "count/transcript.h"
#include "record/declaration.h"

namespace account::cli {
namespace {

struct ClaimWords {
  std::optional<std::string> operations, low, high, tokens, parameters, source, key;
  std::string basis;
  bool estimated = false, json = false;
};

void add_claim_options(const Verb& verb, ClaimWords& words) {
  verb.takes("--operations", words.operations, "How many, e.g. 3.8e25");
  verb.takes("--low", words.low, "Instead: at least so many");
  verb.takes("--high", words.high, "and at most so many");
  verb.takes("--tokens", words.tokens, "Instead: tokens that were processed");
  verb.takes("--parameters", words.parameters, "times the parameters of the model that did");
  verb.needs("--basis", words.basis, "Why these figures: a paper, a model card, an invoice");
  verb.takes("--source", words.source, "The document that says so; its digest is kept");
  verb.flag("--estimated", words.estimated, "You estimated them: nobody who knows has said so");
  verb.takes("--key", words.key, "Your .key file; without one nobody vouches for it");
  verb.flag("--json", words.json, "As JSON");
}

// Operations for each token and parameter: forward, and with the backward of training.
// Kaplan et al. 2020 (arXiv:2001.08361), section 2.1: C = 2N a token forward, 6N in training.
constexpr uint64_t kForward = 2, kTraining = 6;

Status set_figures(const ClaimWords& words, record::Claim& claim) {
  const int given = (words.operations ? 1 : 0) + (words.low || words.high ? 1 : 0) +
                    (words.tokens || words.parameters ? 1 : 0);
  if (given != 1 || words.low.has_value() != words.high.has_value() ||
      words.tokens.has_value() != words.parameters.has_value()) {
    return {Code::invalid_argument, "the operations are not said in one way",
            "give --operations, or --low and --high, or --tokens and --parameters"};
  }
  if (words.operations) {
    ACCOUNT_ASSIGN_OR_RETURN(claim.low, parse_operations("--operations", *words.operations));
    claim.high = claim.low;
  } else if (words.low) {
    ACCOUNT_ASSIGN_OR_RETURN(claim.low, parse_operations("--low", *words.low));
    ACCOUNT_ASSIGN_OR_RETURN(claim.high, parse_operations("--high", *words.high));
  } else {
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount tokens, parse_operations("--tokens", *words.tokens));
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount parameters,
                             parse_operations("--parameters", *words.parameters));
    const uint64_t factor = claim.category == Category::train ? kTraining : kForward;
    const auto product = checked_multiply(tokens, parameters);
    const auto all = product ? checked_multiply(*product, factor) : std::nullopt;
    if (!all) return {Code::invalid_argument, "tokens times parameters are beyond 2^128"};
    claim.low = claim.high = *all;
    claim.basis += fmt::format(" ({} x {} tokens x {} parameters)", factor, tokens.to_decimal(),
                               parameters.to_decimal());
  }
  if (claim.low <= claim.high) return Status();
  return {Code::invalid_argument, "--low is above --high", "exchange them"};
}

Status set_source(const ClaimWords& words, record::Claim& claim) {
  if (!words.source) return Status();
  constexpr uint64_t kCapBytes = uint64_t{256} << 20;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes,
                           FileSystem::real().read(*words.source, kCapBytes));
  claim.source_sha256 = sign::to_hex(sign::sha256(bytes));
  return Status();
}

Result<record::Claim> claim_from(const ClaimWords& words, Category category) {
  record::Claim claim;
  claim.category = category;
  claim.grade = words.estimated ? record::Grade::estimated : record::Grade::declared;
  claim.basis = words.basis;
  ACCOUNT_RETURN_IF_ERROR(set_figures(words, claim));
  ACCOUNT_RETURN_IF_ERROR(set_source(words, claim));
  return claim;
}

// What was written, and where.
void put_claim(const ClaimWords& words, const record::Claim& claim, const char* member,
               const std::string& path, const std::string& about) {
  if (words.json) {
    put_json(Json::object({{member, path}, {"low", claim.low}, {"high", claim.high}}));
    return;
  }
  put_line(path);
  put_line(fmt::format("{} ({}): {} to {} operations", about, record::name(claim.grade),
                       claim.low.to_decimal(), claim.high.to_decimal()));
}

// ---- a base ----------------------------------------------------------------------------------

struct ParentWords {
  ClaimWords claim;
  std::string weights;
  std::optional<std::string> model, output;
};

Status declare_parent(const ParentWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(const SigningKey key, read_signing_key(words.claim.key));
  ACCOUNT_ASSIGN_OR_RETURN(record::Claim claim, claim_from(words.claim, Category::train));
  ACCOUNT_ASSIGN_OR_RETURN(const record::Weights weights, record::find_weights(words.weights));
  record::Record record;
  record.kind = record::Kind::declared;
  record.model = words.model.value_or("");
  record.level = "L0";  // nothing was counted
  record.method = "declared";
  record.claims.push_back(std::move(claim));
  ACCOUNT_ASSIGN_OR_RETURN(const record::SignedRecord made, sign_record(record, key, weights));
  const std::string path = words.output.value_or(record::record_path(weights));
  constexpr int kFileMode = 0644;
  ACCOUNT_RETURN_IF_ERROR(FileSystem::real().write_atomically(path, made.bytes, kFileMode));
  put_claim(words.claim, record.claims[0], "record", path, "record " + made.id);
  return Status();
}

// ---- work outside ----------------------------------------------------------------------------

struct DeclareWords {
  ClaimWords claim;
  std::string run, category;
};

Status declare_outside(const DeclareWords& words) {
  const auto category = category_from_name(words.category);
  if (!category) {
    return {Code::invalid_argument, fmt::format("--category: '{}' is none", words.category),
            "say train, evaluate, generate, rollout or auxiliary"};
  }
  ACCOUNT_ASSIGN_OR_RETURN(const SigningKey key, read_signing_key(words.claim.key));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string folder, find_run(words.run));
  ACCOUNT_ASSIGN_OR_RETURN(
      const ledger::Report report,
      ledger::verify(FileSystem::real(), folder, std::nullopt, count::recount));
  ACCOUNT_ASSIGN_OR_RETURN(record::Claim claim, claim_from(words.claim, *category));
  const record::Declaration declaration{report.run, std::move(claim), Clock::real().unix_ns(),
                                        key.key.name};
  ACCOUNT_ASSIGN_OR_RETURN(const std::string path,
                           record::declare(FileSystem::real(), folder, declaration, key.key.key));
  put_claim(words.claim, declaration.claim, "declaration", path,
            fmt::format("{}, outside of run {}", words.category, report.run));
  return Status();
}

}  // namespace

void add_parent(const Verb& program) {
  const Verb group = program.verb("parent", "Models that training begins from: declare");
  group.footer("Example:\n  account parent declare --help");
  const Verb verb =
      group.verb("declare", "A base without a record: somebody's word for its making");
  auto words = std::make_shared<ParentWords>();
  verb.needs("--weights", words->weights, "The base's file or folder");
  verb.takes("--model", words->model, "The base's name");
  verb.takes("--output", words->output, "Where to write it (default: beside the weights)");
  add_claim_options(verb, words->claim);
  verb.footer(
      "Shares of the base are judged by the low figure, sums with it by both.\n\n"
      "Example:\n"
      "  account parent declare --weights base/ --model acme/base-7b --low 7e23 --high 9e23 \\\n"
      "    --basis 'model card, table 3' --source card.pdf --key alice.key");
  verb.does([words] { return end_with("parent declare", declare_parent(*words)); });
}

void add_declare(const Verb& program) {
  const Verb verb =
      program.verb("declare", "Operations of a run that no ledger holds, in your word");
  auto words = std::make_shared<DeclareWords>();
  verb.needs("RUN", words->run, "A run's folder or id");
  verb.needs("--category", words->category, "train, evaluate, generate, rollout or auxiliary");
  add_claim_options(verb, words->claim);
  verb.footer(
      "They stand on a line of their own and count like the run's. Tokens x parameters count "
      "twice,\n"
      "and six times in training (forward and backward).\n\n"
      "Example:\n"
      "  account declare account/my-run --category generate --tokens 2e9 --parameters 70e9 \\\n"
      "    --basis 'synthetic data by an API, invoice 4711' --key alice.key");
  verb.does([words] { return end_with("declare", declare_outside(*words)); });
}

}  // namespace account::cli
