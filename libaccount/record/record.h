// Compute records: what a model's weights took to train, signed, travelling with the weights.
// libaccount/doc/record_format.md is the format.
//
// A record is about weights (digests), holds what was counted in the runs that made them, names the
// records of the models that they were made from, and carries forward what those held: a reader
// with one record has the whole lineage, each run once. Must not know the command line.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "account/keys.h"
#include "account/op_count.h"
#include "account/status.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "policy/policy.h"
#include "record/weights.h"
#include "sign/sign.h"

namespace account::record {

// How weights came to be from what they were made from.
enum class Kind {
  pretraining,  // from nothing: a base for all that follows
  declared,     // a base without a count: somebody's word for its operations
  fine_tune,
  post_training,  // preference or reward training and the like
  adapter,        // trained beside frozen weights (LoRA)
  merge,
  combination,
  quantisation,
  distillation,  // the parents are teachers: their operations are not those of the weights
  copy,
};
std::string_view name(Kind kind);  // "fine-tune"
std::optional<Kind> kind_from_name(std::string_view word);
const std::vector<std::string_view>& kind_names();
// What a descendant of such weights was made from, rather than a part of its own making.
bool is_base(Kind kind);

// On what a figure rests.
enum class Grade { counted, declared, estimated, unknown };
std::string_view name(Grade grade);
std::optional<Grade> grade_from_name(std::string_view word);

using Counters = std::map<std::pair<Category, Phase>, OpCount>;  // executed

// What one run of a job counted, or the part of it up to the checkpoint that training went on from.
struct Part {
  std::string run;       // run id
  std::string identity;  // hex, of its nodes' run.json: the same run under one id, and no other
  bool whole = true;     // false: up to a save
  std::vector<ledger::Head> heads;
  OpCount executed, model, lower, upper;
  uint64_t steps = 0;
  Counters counters;                     // empty: not disclosed
  std::map<std::string, uint64_t> gaps;  // kinds, and how many of each
  friend bool operator==(const Part&, const Part&) = default;
};

// Somebody's word for operations that no ledger holds. A base without a record, or work outside.
struct Claim {
  Grade grade = Grade::declared;
  Category category = Category::train;
  OpCount low, high;
  std::string basis;          // why these figures
  std::string source_sha256;  // of the document that says so; may be empty
  friend bool operator==(const Claim&, const Claim&) = default;
};

// A model in the line that these weights come from, parents first.
struct Ancestor {
  std::string record;  // hex SHA-256 of its record's payload
  std::string model;   // may be empty
  Kind kind = Kind::fine_tune;
  bool base = false;  // on the base's side of the line: is_base, or an ancestor of such
  std::vector<std::string> parents;  // records that its weights come from; "": one without a record
  std::vector<Part> parts;
  std::vector<Claim> claims;
  friend bool operator==(const Ancestor&, const Ancestor&) = default;
};

struct Parent {
  std::string record;  // hex; empty: it has none, and its operations are unknown
  std::string model;
  bool teacher = false;
};

struct Verdict {
  std::string policy, policy_sha256, date, rule;
  policy::Verdict verdict = policy::Verdict::unknown;
  OpCount counted, threshold, margin;
  bool over = false;
};

struct Record {
  std::vector<Subject> subjects;
  std::string model;  // "acme/chat-7b"; may be empty
  Kind kind = Kind::fine_tune;
  int64_t made_unix_ns = 0;
  std::string signer, operator_name;  // names, for people
  std::string public_key;             // raw
  std::string level = "L0";
  std::vector<Part> parts;
  std::vector<Claim> claims;
  std::vector<Parent> parents;
  std::vector<Ancestor> lineage;
  std::vector<Verdict> verdicts;
  std::optional<uint64_t> cost_usd;
  std::string method;  // what counted
  Json disclosed;      // further detail, by the maker's choice; null: none
};

// ---- as bytes ------------------------------------------------------------------------------

inline constexpr std::string_view kPayloadType = "application/vnd.in-toto+json";
inline constexpr std::string_view kRecordSuffix = ".compute.json";
using sign::short_id;
inline constexpr uint64_t kRecordCapBytes = uint64_t{16} << 20;

// The DSSE envelope of the in-toto statement, signed: one line.
std::string write_record(const Record& record, const sign::SecretKey& key);

struct SignedRecord {
  Record record;
  std::string id;     // hex SHA-256 of the payload: how others name it
  std::string bytes;  // as read
};
// Strict, and spelled as the writer spells it; the signature is by the key that the record names,
// so that damage shows to everybody. Trust is for the reader who knows the key.
Result<SignedRecord> parse_record(std::string_view bytes);

// ---- as sums -------------------------------------------------------------------------------

struct Bounds {
  OpCount low, high;
};

// What stands in the record, each run once (of two parts of one run the longer counts).
struct Sums {
  Bounds own;                         // the runs and claims of the record itself
  Bounds derived;                     // since the base: own, and earlier fine-tunes
  Bounds base;                        // what the bases took, all together
  std::optional<OpCount> least_base;  // low figure of the smallest base: what shares are shares of
  bool unknown = false;               // something in the line has no record: no sum is all
  Counters derived_counters;          // undisclosed and claimed ones under (unassigned, forward)
};
Sums sum_up(const Record& record);

// What policies judge. Relative rules rest on the base's low figure, and only where every parent's
// record is at hand (`parents_verified`); else they are unknown.
policy::Facts facts_of(const Record& record, bool parents_verified);

// ---- as a line of models -------------------------------------------------------------------

// The ancestors that follow from parents: their own lineage and themselves, each once. Teachers add
// none.
std::vector<Ancestor> lineage_from(const std::vector<SignedRecord>& parents,
                                   const std::vector<Parent>& named);

}  // namespace account::record
