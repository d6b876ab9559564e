// Records for the tests of record/.
#pragma once

#include <string>
#include <vector>

#include "record/record.h"
#include "sign/sign.h"
#include "support/matchers.h"

namespace account::record {

inline sign::SecretKey test_key() {
  return *sign::SecretKey::from_seed(std::string(32, '\x07'),
                                     sign::SecretAccess::i_know_what_i_am_doing());
}

// A run whose identity follows from its id.
inline Part part(const std::string& run, uint64_t executed, uint64_t upper = 0) {
  Part made;
  made.run = run;
  made.identity = sign::to_hex(sign::sha256(run));
  made.heads = {{"1f00ba5e", "account/" + run + "/1f00ba5e", 7, std::string(64, 'a')}};
  made.executed = made.model = made.lower = OpCount(executed);
  made.upper = OpCount(upper == 0 ? executed : upper);
  made.steps = 3;
  made.counters[{Category::train, Phase::forward}] = OpCount(executed);
  return made;
}

inline Claim claim(uint64_t low, uint64_t high) {
  return {Grade::declared, Category::train, OpCount(low), OpCount(high), "a model card", ""};
}

inline Record record_of(Kind kind, std::vector<Part> parts, const std::string& model = "m") {
  Record made;
  made.subjects = {{"tensors", std::string(kTensorsAlgorithm), std::string(64, 'b')}};
  made.model = model;
  made.kind = kind;
  made.made_unix_ns = 1'800'000'000'000'000'000;
  made.signer = "ada";
  made.level = "L1";
  made.parts = std::move(parts);
  made.method = "test";
  return made;
}

inline SignedRecord signed_record(const Record& record) {
  auto parsed = parse_record(write_record(record, test_key()));
  EXPECT_TRUE(parsed.ok()) << parsed.status().to_string();
  return std::move(parsed).value();
}

// The record with these parents, whose line it carries forward.
inline Record derived(Record record, const std::vector<SignedRecord>& parents) {
  for (const SignedRecord& parent : parents) {
    record.parents.push_back({parent.id, parent.record.model, false});
  }
  record.lineage = lineage_from(parents, record.parents);
  return record;
}

}  // namespace account::record
