// The words that several verbs take, from text to values. Errors name the option.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/op_count.h"
#include "account/status.h"
#include "cli/verb.h"
#include "policy/policy.h"
#include "sign/sign.h"

namespace account::cli {

// "3e25", "3_000_000": OpCount::from_text.
Result<OpCount> parse_operations(std::string_view option, const std::string& text);

// Dollars: "20000000", "2e7" or with cents "9999999.50". Rounded up to whole dollars, which changes
// no comparison with a limit in whole dollars.
Result<uint64_t> parse_usd(const std::string& text);

// What a judgement needs besides operations; the words of `prove` and `policy judge`.
struct FactWords {
  // Nothing is "not stated"; an empty word (an unset shell variable) is refused.
  std::optional<std::string> parent_operations;  // a count or "unknown"
  std::optional<std::string> cost, date, applies, projected;
};
void add_fact_options(const Verb& verb, FactWords& words);
// All but the operations. No date is today (UTC).
Result<policy::Facts> parse_facts(const FactWords& words);

// Where runs are kept: ACCOUNT_DIR, else what account.toml says, else "account".
std::string runs_folder();
// Whether a run lies there.
bool is_run_folder(const std::string& path);

// A run or node folder: a path, or the id of a run in runs_folder().
Result<std::string> find_run(const std::string& word);

// A .pub file.
Result<sign::PublicKey> read_public_key(const std::string& path);
// A .key file; asks for the passphrase of a protected one (cli/passphrase.h).
Result<sign::NamedSecretKey> read_secret_key(const std::string& path);

// Zero keys are needed to begin: without a .key file, one that is made for this signature and
// forgotten, under the name "nobody". Damage shows by it; who signed does not.
struct SigningKey {
  sign::NamedSecretKey key;
  bool named = false;
};
Result<SigningKey> read_signing_key(const std::optional<std::string>& path);

}  // namespace account::cli
