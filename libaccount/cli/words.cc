#include "cli/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/files.h"
#include "cli/passphrase.h"
#include "run/configuration.h"

namespace account::cli {
namespace {

bool all_digits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "N.CC" with one or two digits of cents, whose N is returned and whether cents are left over.
struct Cents {
  std::string whole;
  bool rest = false;
};
std::optional<Cents> split_cents(const std::string& text) {
  const size_t point = text.find('.');
  if (point == std::string::npos || point == 0) return std::nullopt;
  const std::string_view cents = std::string_view(text).substr(point + 1);
  if (cents.empty() || cents.size() > 2 || !all_digits(cents)) return std::nullopt;
  return Cents{text.substr(0, point), cents.find_first_not_of('0') != std::string_view::npos};
}

Result<policy::Truth> parse_truth(const std::string& text) {
  if (text == "unknown") return policy::Truth::unknown;
  if (text == "yes") return policy::Truth::yes;
  if (text == "no") return policy::Truth::no;
  return Status(Code::invalid_argument, fmt::format("--applies: '{}' is no answer", text),
                "say yes, no or unknown");
}

// Key files are refused by name and by what they are not.
template <typename Key>
Result<Key> named(Result<Key> key, const std::string& path) {
  if (!key.ok()) return key.status().with_context(path);
  return key;
}

}  // namespace

Result<OpCount> parse_operations(std::string_view option, const std::string& text) {
  auto count = OpCount::from_text(text);
  if (!count.ok()) return count.status().with_context(option);
  return count;
}

Result<uint64_t> parse_usd(const std::string& text) {
  const std::optional<Cents> cents = split_cents(text);
  const auto dollars = OpCount::from_text(cents ? cents->whole : text);
  if (!dollars.ok()) {
    return Status(Code::invalid_argument, fmt::format("--cost: '{}' is no amount", text),
                  "give US dollars such as 20000000, 2e7 or 9999999.50");
  }
  const OpCount up = saturating_add(*dollars, cents && cents->rest ? 1 : 0);
  if (up.high() != 0) {
    return Status(Code::invalid_argument, fmt::format("--cost: '{}' is beyond 2^64 dollars", text));
  }
  return up.low();
}

void add_fact_options(const Verb& verb, FactWords& words) {
  verb.takes("--cost", words.cost, "US dollars, at prices of the start of training");
  verb.takes("--parent-operations", words.parent_operations,
             "Of the model that training began from: a number or 'unknown'");
  verb.takes("--applies", words.applies, "Does the policy concern this model: yes, no, unknown");
  verb.takes("--date", words.date, "Judge as of this day, YYYY-MM-DD (default: today)");
  verb.takes("--projected", words.projected, "Operations expected at the end of training");
}

Result<policy::Facts> parse_facts(const FactWords& words) {
  policy::Facts facts;
  if (words.parent_operations == "unknown") {
    facts.parent_unknown = true;
  } else if (words.parent_operations) {
    ACCOUNT_ASSIGN_OR_RETURN(facts.parent_operations,
                             parse_operations("--parent-operations", *words.parent_operations));
  }
  if (words.cost) {
    ACCOUNT_ASSIGN_OR_RETURN(facts.cost_usd, parse_usd(*words.cost));
  }
  if (words.projected) {
    ACCOUNT_ASSIGN_OR_RETURN(facts.projected, parse_operations("--projected", *words.projected));
  }
  ACCOUNT_ASSIGN_OR_RETURN(facts.applies, parse_truth(words.applies.value_or("unknown")));
  facts.date = words.date.value_or(to_iso_date(Clock::real().unix_ns()));
  const auto day = days_from_iso_date(facts.date);
  if (!day.ok()) return day.status().with_context("--date");
  return facts;
}

std::string runs_folder() {
  // Whoever only looks is not kept from it by a file that cannot be used.
  const auto environment = configured_environment();
  return (environment.ok() ? *environment : process_environment())("ACCOUNT_DIR")
      .value_or("account");
}

bool is_run_folder(const std::string& path) {
  const auto names = FileSystem::real().list(path);
  return names.ok() && std::any_of(names->begin(), names->end(), [](const std::string& name) {
           return name.starts_with("node-");
         });
}

Result<std::string> find_run(const std::string& word) {
  FileSystem& files = FileSystem::real();
  if (!word.empty() && files.exists(word)) return word;
  const std::string folder = runs_folder();
  if (!word.empty() && word.find('/') == std::string::npos) {
    const std::string path = join_path(folder, word);
    if (files.exists(path)) return path;
  }
  return Status(
      Code::not_found, "there is no such run",
      fmt::format("give a run's folder; `account status {}` lists those in {}", folder, folder));
}

Result<SigningKey> read_signing_key(const std::optional<std::string>& path) {
  if (!path) return SigningKey{{"nobody", sign::SecretKey::generate()}, false};
  ACCOUNT_ASSIGN_OR_RETURN(sign::NamedSecretKey key, read_secret_key(*path));
  return SigningKey{std::move(key), true};
}

Result<sign::PublicKey> read_public_key(const std::string& path) {
  auto bytes = FileSystem::real().read(path, sign::kKeyFileCapBytes);
  if (!bytes.ok()) return bytes.status();
  auto key = named(sign::parse_public_key_file(*bytes), path);
  if (!key.ok()) return key.status();
  return key->key;
}

Result<sign::NamedSecretKey> read_secret_key(const std::string& path) {
  auto bytes = FileSystem::real().read(path, sign::kKeyFileCapBytes);
  if (!bytes.ok()) return bytes.status();
  const sign::Wiped wiped(*bytes);
  if (sign::is_protected_key_file(*bytes)) return open_with_passphrase(path, *bytes);
  return named(sign::parse_secret_key_file(*bytes), path);
}

}  // namespace account::cli
