// `account prove`: what a run and those before it took, or what a record says of them, verified
// first, held against a policy or a plain number.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/files.h"
#include "cli/archive.h"
#include "cli/cost.h"
#include "cli/evidence.h"
#include "cli/output.h"
#include "cli/proof.h"
#include "cli/record_text.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "policy/policy.h"
#include "record/make.h"

namespace account::cli {
namespace {

struct ProveWords {
  EvidenceWords evidence;
  std::optional<std::string> policy, below;
  std::optional<std::string> statement, full, sign;  // files to write, and by whose key
  FactWords facts;
  PriceWords prices;
  bool json = false;
};

// What the run's totals are held against.
struct Question {
  std::optional<policy::Policy> policy;
  policy::Facts facts;
  std::optional<OpCount> below;
};

Result<Question> parse_question(const ProveWords& words) {
  Question question;
  if (words.sign && !words.statement && !words.full) {
    return Status(Code::invalid_argument, "--sign is for a file",
                  "give --statement FILE or --full DIR");
  }
  if (!words.policy && !words.below) {
    return Status(Code::invalid_argument, "there is nothing to prove",
                  "give --policy ID (`account policy list`) or --below N");
  }
  if (words.policy) {
    ACCOUNT_ASSIGN_OR_RETURN(question.policy, policy::load(*words.policy));
  }
  if (words.below) {
    ACCOUNT_ASSIGN_OR_RETURN(question.below, parse_operations("--below", *words.below));
  }
  ACCOUNT_ASSIGN_OR_RETURN(question.facts, parse_facts(words.facts));
  if (words.facts.cost && words.prices.prices) {
    return Status(Code::invalid_argument, "--cost and --prices both say what it cost",
                  "give one of them");
  }
  return question;
}

// A plain number: below it, at or above it, or which of both depends on the gaps.
policy::Verdict verdict_below(const record::Bounds& sum, OpCount limit) {
  if (sum.low >= limit) return policy::Verdict::reached;
  return sum.high >= limit ? policy::Verdict::unknown : policy::Verdict::below;
}

OpCount distance(OpCount a, OpCount b) {
  return OpCount::from_raw(a > b ? a.raw() - b.raw() : b.raw() - a.raw());
}

std::string plain(policy::Verdict verdict) {
  std::string word(policy::name(verdict));
  std::replace(word.begin(), word.end(), '_', ' ');
  return word;
}

std::string statement(policy::Verdict verdict, const Evidence& evidence) {
  const std::string word = plain(verdict);
  const std::string what = verdict == policy::Verdict::below || verdict == policy::Verdict::reached
                               ? "counted " + word
                               : word;
  return fmt::format("{}, at level {}, for the runs listed: {}", what, level_text(evidence.level),
                     fmt::join(evidence.runs(), ", "));
}

constexpr std::string_view kNoAdvice =
    "This is a count held against a rule; it is not legal advice.";

struct Answer {
  std::optional<policy::Judgement> judgement;
  std::optional<policy::Verdict> below;

  // The graver of the two.
  policy::Verdict verdict() const {
    if (!judgement) return *below;
    return below ? std::max(judgement->verdict, *below) : judgement->verdict;
  }
};

std::vector<std::string> gaps_of(const Evidence& evidence) {
  std::vector<std::string> gaps;
  for (const ledger::Report& report : evidence.reports) {
    gaps.insert(gaps.end(), report.gaps.begin(), report.gaps.end());
  }
  if (!evidence.reports.empty()) return gaps;
  for (const record::Part& part : evidence.record.parts) {
    for (const auto& [kind, times] : part.gaps) {
      gaps.push_back(fmt::format("{}: {} of kind {}", part.run, times, kind));
    }
  }
  return gaps;
}

Json runs_json(const Evidence& evidence) {
  Json runs = Json::array();
  for (const ledger::Report& report : evidence.reports) {
    for (const auto& node : report.nodes) {
      runs.push(Json::object({{"run", report.run},
                              {"node", node.node},
                              {"lines", node.lines},
                              {"root", node.root_hex},
                              {"closed", node.closed}}));
    }
  }
  if (!evidence.reports.empty()) return runs;
  for (const record::Part& part : evidence.record.parts) {
    for (const ledger::Head& head : part.heads) {
      runs.push(Json::object(
          {{"run", part.run}, {"node", head.node}, {"lines", head.size}, {"root", head.root}}));
    }
  }
  return runs;
}

Json claims_json(const record::Record& record) {
  Json claims = Json::array();
  for (const record::Claim& claim : record.claims) {
    claims.push(Json::object({{"category", name(claim.category)},
                              {"grade", record::name(claim.grade)},
                              {"low", claim.low},
                              {"high", claim.high},
                              {"basis", claim.basis}}));
  }
  return claims;
}

Json to_json(const Question& question, const Answer& answer, const Evidence& evidence) {
  Json json = answer.judgement ? policy::to_json(*answer.judgement) : Json::object();
  json.set("verdict", policy::name(answer.verdict()));
  if (answer.judgement) json.set("policy_verdict", policy::name(answer.judgement->verdict));
  if (question.below) {
    json.set("below", Json::object({{"limit", *question.below},
                                    {"verdict", policy::name(*answer.below)},
                                    {"margin", distance(*question.below, evidence.sum().low)}}));
  }
  json.set("operations", evidence.sum().low);
  json.set("upper", evidence.sum().high);
  json.set("sums", cli::to_json(record::sum_up(evidence.record)));
  json.set("level", evidence.level);
  json.set("trusted", evidence.trusted);
  json.set("runs", runs_json(evidence));
  json.set("declared", claims_json(evidence.record));
  json.set("gaps", Json::strings(gaps_of(evidence)));
  json.set("evidence_remarks", Json::strings(evidence.remarks));
  json.set("statement", statement(answer.verdict(), evidence));
  json.set("legal_advice", false);
  return json;
}

void put_answer(const Question& question, const Answer& answer, const Evidence& evidence) {
  const record::Bounds sum = evidence.sum();
  if (answer.judgement) {
    for (const std::string& line : policy::to_lines(*answer.judgement)) put_line(line);
  }
  if (question.below) {
    put_line(fmt::format(
        "below {}: {}; {} operations {}", policy::exact_text(*question.below), plain(*answer.below),
        distance(*question.below, sum.low).to_decimal(),
        sum.low < *question.below ? "until it is reached" : "beyond where it is reached"));
  }
  put_line(fmt::format("operations {} ({}), at most {} with all gaps", sum.low.to_decimal(),
                       sum.low.to_short(), sum.high.to_decimal()));
  for (const record::Claim& claim : evidence.record.claims) {
    put_line(fmt::format("  of these {} ({}): {}; {}", record::name(claim.grade),
                         name(claim.category), claim.low.to_decimal(), claim.basis));
  }
  const std::vector<std::string> gaps = gaps_of(evidence);
  put_line(gaps.empty() ? "gaps: none" : "gaps:");
  for (const std::string& gap : gaps) put_line("  " + gap);
  for (const ledger::Report& report : evidence.reports) {
    for (const auto& node : report.nodes) {
      put_line(fmt::format("run {} node {}: {} lines, {}, root {}", report.run, node.node,
                           node.lines, node.closed ? "closed" : "not closed", node.root_hex));
    }
  }
  for (const std::string& remark : evidence.remarks) put_line("note: " + remark);
  put_line(statement(answer.verdict(), evidence));
  put_line(kNoAdvice);
}

// How many gaps of each kind: their details may name places.
Json gap_kinds(const Evidence& evidence) {
  Json runs = Json::object();
  for (const record::Part& part : evidence.record.parts) {
    Json kinds = Json::object();
    for (const auto& [kind, times] : part.gaps) kinds.set(kind, times);
    if (!part.gaps.empty()) runs.set(part.run, std::move(kinds));
  }
  return runs;
}

Status write_files(const ProveWords& words, Json proof, const Evidence& evidence) {
  ACCOUNT_ASSIGN_OR_RETURN(const SigningKey key, read_signing_key(words.sign));
  Json shown = Json::object();
  for (const auto& [member, value] : proof.members()) {
    if (member == "trusted" || member == "evidence_remarks") continue;
    shown.set(member, member == "gaps" ? gap_kinds(evidence) : value);
  }
  const std::string bytes = write_proof(shown, key);
  constexpr int kFileMode = 0644;
  if (words.statement) {
    ACCOUNT_RETURN_IF_ERROR(
        FileSystem::real().write_atomically(*words.statement, bytes, kFileMode));
  }
  if (!words.full) return {};
  ArchiveWords archive;
  for (const ledger::Report& report : evidence.reports) archive.runs.push_back(report.folder);
  archive.records = evidence.records;
  if (words.policy && policy::built_in_bytes(*words.policy).empty()) {
    archive.policies = {*words.policy};
  }
  archive.out = *words.full;
  archive.more = {{"proof.json", bytes}};
  return make_archive(archive).status();
}

int prove(const ProveWords& words) {
  auto question = parse_question(words);
  if (!question.ok()) return fail("prove", question.status());
  const auto evidence = read_evidence(words.evidence);
  if (!evidence.ok()) return fail(words.evidence.path, evidence.status(), words.json);
  const auto cost = cost_of(evidence->reports, words.prices);
  if (!cost.ok()) return fail("prove", cost.status(), words.json);
  if (*cost) question->facts.cost_usd = (*cost)->usd;
  const policy::Facts facts =
      with_stated(record::facts_of(evidence->record, evidence->line_verified), question->facts);
  Answer answer;
  if (question->policy) answer.judgement = policy::judge(*question->policy, facts);
  if (question->below) answer.below = verdict_below(evidence->sum(), *question->below);
  Json json = to_json(*question, answer, *evidence);
  if (*cost) json.set("cost", cli::to_json(**cost));
  if (words.statement || words.full) {
    const Status written = write_files(words, json, *evidence);
    if (!written.ok()) return fail(words.full.value_or(words.statement.value_or("")), written);
  }
  if (words.json) {
    put_json(json);
  } else {
    put_answer(*question, answer, *evidence);
    if (*cost) {
      for (const std::string& line : to_lines(**cost)) put_line(line);
    }
  }
  return policy::exit_code(answer.verdict());
}

}  // namespace

void add_prove(const Verb& program) {
  const Verb verb = program.verb("prove", "Verifies a run or a record and judges its totals");
  auto words = std::make_shared<ProveWords>();
  verb.needs("RUN", words->evidence.path,
             "A run's folder or id; or weights with their record, or a record");
  verb.takes("--policy", words->policy, "Id or file; `account policy list`");
  verb.takes("--below", words->below, "A plain number to stay below, e.g. 3e25");
  verb.takes("--key", words->evidence.trust.key,
             "The developer's .pub; a foreign signer is exit code 2");
  verb.takes_many("--witness", words->evidence.trust.witnesses,
                  "Of a run: a witness's .pub; level L2 is what it anchored and --key endorsed");
  verb.takes_many("--parent", words->evidence.parents,
                  "What the run began from: a record, weights that have one, or 'unknown'");
  verb.takes_many("--runs", words->evidence.folders,
                  "Folder of the runs that this one went on from");
  verb.takes("--statement", words->statement, "Write the verdict as a signed file");
  verb.takes("--full", words->full,
             "Write an archive with the runs and the signed verdict, from which it is recomputed");
  verb.takes("--sign", words->sign, "Your .key file, for these");
  add_fact_options(verb, words->facts);
  add_price_options(verb, words->prices);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Exit code 0 below, approaching or not applicable, 2 the run does not verify, 3 reached,\n"
      "5 unknown.\n\n"
      "Example:\n"
      "  account prove account/my-run --policy us-ca-sb1047-enrolled --cost 1200");
  verb.does([words] { return prove(*words); });
}

}  // namespace account::cli
