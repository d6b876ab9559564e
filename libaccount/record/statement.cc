// Records as bytes: in-toto Statement v1 in a DSSE envelope. libaccount/doc/record_format.md.
#include <fmt/format.h>

#include <algorithm>

#include "ledger/format.h"
#include "ledger/ledger.h"
#include "record/fields.h"
#include "record/record.h"

namespace account::record {
namespace {

constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
constexpr std::string_view kPredicateType = "https://libaccount.org/compute-record/v1";
constexpr std::string_view kFormat = "account-compute-record/1";
constexpr size_t kHexDigest = 64;

// SECURITY.md, in one breath: what every record says of itself.
constexpr std::string_view kLimits[] = {
    "counted below, at the level named, for the runs listed; not legal advice",
    "operations of other runs, of other jobs and of other makers are not in it",
    "its signer could have written another one; tamper-evident, not tamper-proof",
};

Status corrupt(std::string fault) { return {Code::corrupt, std::move(fault)}; }

// ---- writing -------------------------------------------------------------------------------

void set_unless_empty(Json& json, std::string_view name, const std::string& text) {
  if (!text.empty()) json.set(name, text);
}

std::string counter_name(const Counters::key_type& key) {
  return fmt::format("{}/{}", account::name(key.first), account::name(key.second));
}

Json counters_json(const Counters& counters) {
  Json json = Json::object();
  for (const auto& [key, operations] : counters) json.set(counter_name(key), operations);
  return json;
}

Json part_json(const Part& part) {
  Json heads = Json::array(), gaps = Json::object();
  for (const ledger::Head& head : part.heads) {
    heads.push(Json::object({{"node", head.node}, {"size", head.size}, {"root", head.root}}));
  }
  for (const auto& [kind, times] : part.gaps) gaps.set(kind, times);
  Json json = Json::object({{"run", part.run},
                            {"identity", part.identity},
                            {"whole", part.whole},
                            {"heads", std::move(heads)},
                            {"executed", part.executed},
                            {"model", part.model},
                            {"lower", part.lower},
                            {"upper", part.upper},
                            {"steps", part.steps}});
  if (!part.counters.empty()) json.set("counters", counters_json(part.counters));
  if (!part.gaps.empty()) json.set("gaps", std::move(gaps));
  return json;
}

}  // namespace

Json claim_json(const Claim& claim) {
  Json json = Json::object({{"grade", name(claim.grade)},
                            {"category", account::name(claim.category)},
                            {"low", claim.low},
                            {"high", claim.high},
                            {"basis", claim.basis}});
  set_unless_empty(json, "source_sha256", claim.source_sha256);
  return json;
}

namespace {

template <typename Item, typename ToJson>
Json list_json(const std::vector<Item>& items, ToJson to_json) {
  Json json = Json::array();
  for (const Item& item : items) json.push(to_json(item));
  return json;
}

Json parent_json(const Parent& parent) {
  Json json = Json::object({{"relation", parent.teacher ? "teacher" : "weights"}});
  set_unless_empty(json, "record", parent.record);
  set_unless_empty(json, "model", parent.model);
  return json;
}

Json ancestor_json(const Ancestor& ancestor) {
  Json json = Json::object({{"record", ancestor.record}});
  set_unless_empty(json, "model", ancestor.model);
  json.set("kind", name(ancestor.kind));
  json.set("base", ancestor.base);
  json.set("parents", list_json(ancestor.parents, [](const std::string& id) { return Json(id); }));
  json.set("runs", list_json(ancestor.parts, part_json));
  json.set("claims", list_json(ancestor.claims, claim_json));
  return json;
}

Json verdict_json(const Verdict& verdict) {
  return Json::object({{"policy", verdict.policy},
                       {"policy_sha256", verdict.policy_sha256},
                       {"date", verdict.date},
                       {"verdict", policy::name(verdict.verdict)},
                       {"rule", verdict.rule},
                       {"counted", verdict.counted},
                       {"threshold", verdict.threshold},
                       {"margin", verdict.margin},
                       {"over", verdict.over}});
}

Json bounds_json(const Bounds& bounds) {
  return Json::object({{"low", bounds.low}, {"high", bounds.high}});
}

// For readers that do not add up themselves; parse_record checks that it follows from the rest.
Json sums_json(const Record& record) {
  const Sums sums = sum_up(record);
  return Json::object({{"own", bounds_json(sums.own)},
                       {"derived", bounds_json(sums.derived)},
                       {"base", bounds_json(sums.base)},
                       {"complete", !sums.unknown}});
}

Json predicate_json(const Record& record) {
  Json json = Json::object({{"format", kFormat}});
  set_unless_empty(json, "model", record.model);
  json.set("kind", name(record.kind));
  json.set("made_unix_ns", ledger::time_json(record.made_unix_ns));
  json.set("signer", record.signer);
  json.set("public", to_base64(record.public_key));
  set_unless_empty(json, "operator", record.operator_name);
  json.set("level", record.level);
  json.set("method", record.method);
  json.set("sums", sums_json(record));
  json.set("runs", list_json(record.parts, part_json));
  json.set("claims", list_json(record.claims, claim_json));
  json.set("parents", list_json(record.parents, parent_json));
  json.set("lineage", list_json(record.lineage, ancestor_json));
  json.set("verdicts", list_json(record.verdicts, verdict_json));
  if (record.cost_usd) json.set("cost_usd", OpCount(*record.cost_usd));
  if (!record.disclosed.is_null()) json.set("disclosed", record.disclosed);
  Json limits = Json::array();
  for (const std::string_view limit : kLimits) limits.push(limit);
  json.set("limits", std::move(limits));
  return json;
}

Json statement_json(const Record& record) {
  Json subjects = list_json(record.subjects, [](const Subject& subject) {
    return Json::object(
        {{"name", subject.name}, {"digest", Json::object({{subject.algorithm, subject.digest}})}});
  });
  return Json::object({{"_type", kStatementType},
                       {"subject", std::move(subjects)},
                       {"predicateType", kPredicateType},
                       {"predicate", predicate_json(record)}});
}

// ---- reading -------------------------------------------------------------------------------

Result<std::string> text_or_empty(const Json& json, std::string_view name) {
  if (json.find(name) == nullptr) return std::string();
  ACCOUNT_ASSIGN_OR_RETURN(std::string text, json.get_string(name));
  if (text.empty()) return corrupt(fmt::format("member '{}' is empty", name));
  return text;
}

Status check_hex(std::string_view text, size_t digits, std::string_view what) {
  const bool hex = text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
                     return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                   });
  if (hex) return Status();
  return corrupt(fmt::format("{} is not {} lower-case hex digits", what, digits));
}

// A name that a user may not choose is a damaged file where it is read.
Status as_corrupt(const Status& status) {
  return status.ok() ? Status() : corrupt(std::string(status.fault()));
}

Result<uint64_t> get_count(const Json& json, std::string_view name) {
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t value, json.get_integer(name));
  if (value < 0) return corrupt(fmt::format("member '{}' is negative", name));
  return static_cast<uint64_t>(value);
}

// Each item of the list `name` by `parse`, which names its fault; the place is put before it.
template <typename Item, typename Parse>
Status get_list(const Json& json, std::string_view name, std::vector<Item>& items, Parse parse) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* list, json.get_array(name));
  for (const Json& element : list->items()) {
    auto item = parse(element);
    if (!item.ok()) {
      return item.status().with_context(fmt::format("{}[{}]", name, items.size()));
    }
    items.push_back(std::move(item).value());
  }
  return Status();
}

Result<Counters> parse_counters(const Json& json) {
  Counters counters;
  for (const auto& [word, value] : json.members()) {
    const size_t slash = word.find('/');
    const auto category = category_from_name(word.substr(0, slash));
    const auto phase = slash == std::string::npos ? std::optional<Phase>()
                                                  : phase_from_name(word.substr(slash + 1));
    if (!category || !phase) return corrupt(fmt::format("'{}' is no category and phase", word));
    OpCount& operations = counters[{*category, *phase}];
    ACCOUNT_ASSIGN_OR_RETURN(operations, json.get_op_count(word));
  }
  return counters;
}

Result<ledger::Head> parse_head(const Json& json, const std::string& run) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"node", "size", "root"}));
  ledger::Head head;
  ACCOUNT_ASSIGN_OR_RETURN(head.node, json.get_string("node"));
  ACCOUNT_RETURN_IF_ERROR(as_corrupt(ledger::check_node(head.node)));
  head.origin = ledger::origin_of(run, head.node);
  ACCOUNT_ASSIGN_OR_RETURN(head.size, get_count(json, "size"));
  ACCOUNT_ASSIGN_OR_RETURN(head.root, json.get_string("root"));
  ACCOUNT_RETURN_IF_ERROR(check_hex(head.root, kHexDigest, "a head's root"));
  return head;
}

OpCount sum_of(const Counters& counters) {
  OpCount sum;
  for (const auto& [key, operations] : counters) sum = saturating_add(sum, operations);
  return sum;
}

Result<Part> parse_part(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"run", "identity", "whole", "heads", "executed", "model", "lower", "upper",
                         "steps", "counters", "gaps"}));
  Part part;
  ACCOUNT_ASSIGN_OR_RETURN(part.run, json.get_string("run"));
  ACCOUNT_RETURN_IF_ERROR(as_corrupt(ledger::check_run_id(part.run)));
  ACCOUNT_ASSIGN_OR_RETURN(part.identity, json.get_string("identity"));
  ACCOUNT_RETURN_IF_ERROR(check_hex(part.identity, kHexDigest, "a run's identity"));
  ACCOUNT_ASSIGN_OR_RETURN(part.whole, json.get_bool("whole"));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "heads", part.heads,
                                   [&](const Json& head) { return parse_head(head, part.run); }));
  ACCOUNT_ASSIGN_OR_RETURN(part.executed, json.get_op_count("executed"));
  ACCOUNT_ASSIGN_OR_RETURN(part.model, json.get_op_count("model"));
  ACCOUNT_ASSIGN_OR_RETURN(part.lower, json.get_op_count("lower"));
  ACCOUNT_ASSIGN_OR_RETURN(part.upper, json.get_op_count("upper"));
  ACCOUNT_ASSIGN_OR_RETURN(part.steps, get_count(json, "steps"));
  if (part.heads.empty() || part.model > part.executed || part.lower > part.executed ||
      part.upper < part.executed) {
    return corrupt(fmt::format("the figures of run '{}' contradict each other", part.run));
  }
  if (json.find("counters") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* counters, json.get_object("counters"));
    ACCOUNT_ASSIGN_OR_RETURN(part.counters, parse_counters(*counters));
    if (part.counters.empty() || sum_of(part.counters) != part.executed) {
      return corrupt(fmt::format("the counters of run '{}' do not add up to {}", part.run,
                                 part.executed.to_decimal()));
    }
  }
  if (json.find("gaps") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* gaps, json.get_object("gaps"));
    for (const auto& [kind, times] : gaps->members()) {
      ACCOUNT_ASSIGN_OR_RETURN(part.gaps[kind], get_count(*gaps, kind));
    }
  }
  return part;
}

}  // namespace

Result<Claim> parse_claim(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"grade", "category", "low", "high", "basis", "source_sha256"}));
  Claim claim;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string grade, json.get_string("grade"));
  const auto known = grade_from_name(grade);
  if (known != Grade::declared && known != Grade::estimated) {
    return corrupt(fmt::format("'{}' is no grade of a claim", grade));
  }
  claim.grade = *known;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string category, json.get_string("category"));
  const auto word = category_from_name(category);
  if (!word) return corrupt(fmt::format("'{}' is no category", category));
  claim.category = *word;
  ACCOUNT_ASSIGN_OR_RETURN(claim.low, json.get_op_count("low"));
  ACCOUNT_ASSIGN_OR_RETURN(claim.high, json.get_op_count("high"));
  if (claim.low > claim.high) return corrupt("a claim's low figure is above its high one");
  ACCOUNT_ASSIGN_OR_RETURN(claim.basis, json.get_string("basis"));
  ACCOUNT_ASSIGN_OR_RETURN(claim.source_sha256, text_or_empty(json, "source_sha256"));
  return claim;
}

namespace {

Result<Parent> parse_parent(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"relation", "record", "model"}));
  Parent parent;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string relation, json.get_string("relation"));
  if (relation != "weights" && relation != "teacher") {
    return corrupt(fmt::format("'{}' is no relation to a parent", relation));
  }
  parent.teacher = relation == "teacher";
  ACCOUNT_ASSIGN_OR_RETURN(parent.record, text_or_empty(json, "record"));
  if (!parent.record.empty()) {
    ACCOUNT_RETURN_IF_ERROR(check_hex(parent.record, kHexDigest, "a parent's record"));
  }
  ACCOUNT_ASSIGN_OR_RETURN(parent.model, text_or_empty(json, "model"));
  return parent;
}

Result<Kind> get_kind(const Json& json) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string word, json.get_string("kind"));
  const auto kind = kind_from_name(word);
  if (!kind) return corrupt(fmt::format("'{}' is no kind of derivation", word));
  return *kind;
}

// "" stands for a parent without a record.
Result<std::string> parse_parent_id(const Json& json) {
  if (json.kind() != Json::Kind::string) return corrupt("a parent is no text");
  if (json.as_string().empty()) return std::string();
  ACCOUNT_RETURN_IF_ERROR(check_hex(json.as_string(), kHexDigest, "a parent"));
  return json.as_string();
}

Result<Ancestor> parse_ancestor(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"record", "model", "kind", "base", "parents", "runs", "claims"}));
  Ancestor ancestor;
  ACCOUNT_ASSIGN_OR_RETURN(ancestor.record, json.get_string("record"));
  ACCOUNT_RETURN_IF_ERROR(check_hex(ancestor.record, kHexDigest, "an ancestor's record"));
  ACCOUNT_ASSIGN_OR_RETURN(ancestor.model, text_or_empty(json, "model"));
  ACCOUNT_ASSIGN_OR_RETURN(ancestor.kind, get_kind(json));
  ACCOUNT_ASSIGN_OR_RETURN(ancestor.base, json.get_bool("base"));
  if (is_base(ancestor.kind) && !ancestor.base) return corrupt("a base stands among derivations");
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "parents", ancestor.parents, parse_parent_id));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "runs", ancestor.parts, parse_part));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "claims", ancestor.claims, parse_claim));
  return ancestor;
}

Result<Verdict> parse_verdict(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"policy", "policy_sha256", "date", "verdict", "rule",
                                             "counted", "threshold", "margin", "over"}));
  Verdict verdict;
  ACCOUNT_ASSIGN_OR_RETURN(verdict.policy, json.get_string("policy"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.policy_sha256, json.get_string("policy_sha256"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.date, json.get_string("date"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string word, json.get_string("verdict"));
  using policy::Verdict;
  bool known = false;
  for (const Verdict one : {Verdict::not_applicable, Verdict::below, Verdict::approaching,
                            Verdict::unknown, Verdict::reached}) {
    if (policy::name(one) != word) continue;
    verdict.verdict = one;
    known = true;
  }
  if (!known) return corrupt(fmt::format("'{}' is no verdict", word));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.rule, json.get_string("rule"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.counted, json.get_op_count("counted"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.threshold, json.get_op_count("threshold"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.margin, json.get_op_count("margin"));
  ACCOUNT_ASSIGN_OR_RETURN(verdict.over, json.get_bool("over"));
  return verdict;
}

Result<Subject> parse_subject(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"name", "digest"}));
  Subject subject;
  ACCOUNT_ASSIGN_OR_RETURN(subject.name, json.get_string("name"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* digest, json.get_object("digest"));
  if (digest->members().size() != 1) return corrupt("it has not one digest");
  subject.algorithm = digest->members()[0].first;
  if (subject.algorithm != kTensorsAlgorithm && subject.algorithm != "sha256") {
    return corrupt(fmt::format("'{}' is no digest that this version knows", subject.algorithm));
  }
  ACCOUNT_ASSIGN_OR_RETURN(subject.digest, digest->get_string(subject.algorithm));
  ACCOUNT_RETURN_IF_ERROR(check_hex(subject.digest, kHexDigest, "its digest"));
  return subject;
}

Status check_level(const std::string& level) {
  if (level.size() == 2 && level[0] == 'L' && level[1] >= '0' && level[1] <= '4') return Status();
  return corrupt(fmt::format("'{}' is no assurance level", level));
}

Status parse_predicate(const Json& json, Record& record) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "model", "kind", "made_unix_ns", "signer", "public", "operator",
                         "level", "method", "sums", "runs", "claims", "parents", "lineage",
                         "verdicts", "cost_usd", "disclosed", "limits"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return corrupt(fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(record.model, text_or_empty(json, "model"));
  ACCOUNT_ASSIGN_OR_RETURN(record.kind, get_kind(json));
  ACCOUNT_ASSIGN_OR_RETURN(record.made_unix_ns, ledger::get_time(json, "made_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(record.signer, json.get_string("signer"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, json.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(record.public_key, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(record.operator_name, text_or_empty(json, "operator"));
  ACCOUNT_ASSIGN_OR_RETURN(record.level, json.get_string("level"));
  ACCOUNT_RETURN_IF_ERROR(check_level(record.level));
  ACCOUNT_ASSIGN_OR_RETURN(record.method, json.get_string("method"));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "runs", record.parts, parse_part));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "claims", record.claims, parse_claim));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "parents", record.parents, parse_parent));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "lineage", record.lineage, parse_ancestor));
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "verdicts", record.verdicts, parse_verdict));
  if (json.find("cost_usd") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount cost, json.get_op_count("cost_usd"));
    if (cost.high() != 0) return corrupt("its cost is beyond 2^64 dollars");
    record.cost_usd = cost.low();
  }
  if (const Json* disclosed = json.find("disclosed")) record.disclosed = *disclosed;
  return Status();
}

Result<Record> parse_statement(std::string_view payload) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(payload, kRecordCapBytes));
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"_type", "subject", "predicateType", "predicate"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string type, json.get_string("_type"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string predicate_type, json.get_string("predicateType"));
  if (type != kStatementType || predicate_type != kPredicateType) {
    return corrupt(fmt::format("it is a statement of type '{}', no compute record",
                               predicate_type.substr(0, 80)));
  }
  Record record;
  ACCOUNT_RETURN_IF_ERROR(get_list(json, "subject", record.subjects, parse_subject));
  if (record.subjects.empty()) return corrupt("it is about no weights");
  ACCOUNT_ASSIGN_OR_RETURN(const Json* predicate, json.get_object("predicate"));
  ACCOUNT_RETURN_IF_ERROR(parse_predicate(*predicate, record));
  // One spelling: so the sums, the limits and the order of members are the writer's too.
  if (statement_json(record).dump() != payload) {
    return corrupt("its sums do not follow from its runs, or it is not spelled as records are");
  }
  return record;
}

}  // namespace

std::string write_record(const Record& record, const sign::SecretKey& key) {
  Record signed_one = record;
  signed_one.public_key = key.public_key().bytes();
  sign::Envelope envelope{std::string(kPayloadType), statement_json(signed_one).dump(), {}};
  sign::add_signature(envelope, key);
  return sign::write_envelope(envelope);
}

Result<SignedRecord> parse_record(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_lone_envelope(bytes, kRecordCapBytes));
  // Read before its signature is checked, since it names the key; nothing is used unless it holds.
  ACCOUNT_ASSIGN_OR_RETURN(Record record, parse_statement(envelope.payload));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key,
                           sign::PublicKey::from_bytes(record.public_key));
  ACCOUNT_RETURN_IF_ERROR(sign::verify_envelope(envelope, kPayloadType, {key}, 1).status());
  return SignedRecord{std::move(record), sign::to_hex(sign::sha256(envelope.payload)),
                      std::string(bytes)};
}

}  // namespace account::record
