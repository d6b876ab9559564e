// Records as bytes: what is written is read, and nothing else is.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "unit/record/support.h"

namespace account::record {
namespace {

using testing::IsOk;

Record full_record() {
  Record base = record_of(Kind::declared, {}, "base");
  base.claims = {claim(1000, 2000)};
  Record made = derived(record_of(Kind::fine_tune, {part("run-1", 70, 80)}), {signed_record(base)});
  made.claims = {claim(5, 6)};
  made.parts[0].gaps["missing_rank"] = 2;
  made.operator_name = "a cluster";
  made.cost_usd = 1200;
  Verdict verdict;
  verdict.policy = "p";
  verdict.policy_sha256 = std::string(64, 'c');
  verdict.date = "2027-01-01";
  verdict.verdict = policy::Verdict::below;
  made.verdicts = {verdict};
  made.disclosed = Json::object({{"level", "steps"}});
  return made;
}

TEST(StatementTest, ReadsWhatItWrites) {
  const std::string bytes = write_record(full_record(), test_key());
  const auto read = parse_record(bytes);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(write_record(read->record, test_key()), bytes);
  EXPECT_EQ(read->record.cost_usd, 1200U);
  EXPECT_EQ(read->record.lineage.size(), 1U);
  EXPECT_EQ(sum_up(read->record).derived.high, OpCount(86));
}

TEST(StatementTest, RefusesEveryBitFlipAndEveryTruncation) {
  const std::string good = write_record(full_record(), test_key());
  for (size_t at = 0; at < good.size(); ++at) {
    EXPECT_FALSE(parse_record(std::string_view(good).substr(0, at)).ok()) << at;
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      EXPECT_FALSE(parse_record(bad).ok()) << at << " " << bit;
    }
  }
}

// The same statement, changed in one place and signed again by its own maker.
std::string resigned(const std::string& from, const std::string& to) {
  const auto envelope = sign::parse_envelope(write_record(full_record(), test_key()), 1 << 20);
  std::string payload = envelope->payload;
  const size_t at = payload.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  payload.replace(at, from.size(), to);
  sign::Envelope again{std::string(kPayloadType), payload, {}};
  sign::add_signature(again, test_key());
  return sign::write_envelope(again);
}

TEST(StatementTest, NamesWhatItsMakerWroteWrongly) {
  const struct {
    const char *from, *to, *fault;
  } cases[] = {
      {R"("executed":"70")", R"("executed":"90")", "figures of run 'run-1' contradict"},
      {R"("train/forward":"70")", R"("train/forward":"69")", "do not add up to 70"},
      {R"("own":{"low":"75")", R"("own":{"low":"74")", "sums do not follow"},
      {R"("kind":"fine-tune")", R"("kind":"finetune")", "no kind of derivation"},
      {R"("low":"5","high":"6")", R"("low":"7","high":"6")", "low figure is above"},
      {R"("low":"5")", R"("low":"340282366920938463463374607431768211456")",
       "does not fit into 128 bits"},
      {R"("level":"L1")", R"("level":"L9")", "no assurance level"},
      {R"("cost_usd":"1200")", R"("cost_eur":"1200")", "cost_eur"},
      {R"("signer":"ada")", R"("signer":"ada","signer":"bob")", "duplicate key"},
      {"compute-record/v1", "compute-record/v2", "no compute record"},
      {R"("base":true)", R"("base":false)", "a base stands among derivations"},
  };
  for (const auto& one : cases) {
    const auto read = parse_record(resigned(one.from, one.to));
    ASSERT_FALSE(read.ok()) << one.to;
    EXPECT_EQ(read.status().code(), Code::corrupt) << one.to;
    EXPECT_NE(read.status().to_string().find(one.fault), std::string::npos)
        << read.status().to_string();
  }
}

// The worked example of record_format.md.
TEST(StatementTest, TheExampleOfTheFormatPage) {
  Record example = record_of(Kind::declared, {}, "");
  example.subjects = {{"a.pt", "sha256", sign::to_hex(sign::sha256("ab"))}};
  example.made_unix_ns = 0;
  example.level = "L0";
  example.method = "declared";
  example.claims = {{Grade::declared, Category::train, OpCount(7), OpCount(9), "card", ""}};
  EXPECT_EQ(signed_record(example).id,
            "474d258cb1e74d23ead18bfc03fa1009714f95c18e6f9968dbda1126b686493e");
}

TEST(StatementTest, RefusesAnotherKeysSignature) {
  const auto envelope = sign::parse_envelope(write_record(full_record(), test_key()), 1 << 20);
  sign::Envelope other{envelope->payload_type, envelope->payload, {}};
  sign::add_signature(other, sign::SecretKey::generate());
  const auto read = parse_record(sign::write_envelope(other));
  EXPECT_EQ(read.status().code(), Code::unverified);
}

}  // namespace
}  // namespace account::record
