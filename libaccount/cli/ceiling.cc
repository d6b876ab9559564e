// `account ceiling`: what billed device-hours can have computed at most, counted or not.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/files.h"
#include "cli/cost.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "policy/usage.h"
#include "record/make.h"
#include "sign/sign.h"

namespace account::cli {
namespace {

constexpr uint64_t kSecondsAnHour = 3600;
constexpr uint64_t kUsageCapBytes = uint64_t{256} << 20;

struct CeilingWords {
  std::vector<std::string> runs;
  std::optional<std::string> usage, hours, device, covers;
  std::vector<std::string> policies;
  TrustWords trust;
  FactWords facts;
  bool json = false;
};

struct Bill {
  policy::Usage usage;
  std::string sha256;  // of the file
  OpCount ceiling;
};

Result<Bill> read_bill(const CeilingWords& words) {
  if (words.usage.has_value() == words.hours.has_value()) {
    return Status(Code::invalid_argument, "the ceiling needs device time",
                  "give either --usage FILE or --hours N");
  }
  Bill bill;
  if (words.hours) {
    auto seconds = policy::parse_hours(*words.hours);
    if (!seconds.ok()) {
      return Status(Code::invalid_argument, std::string(seconds.status().fault()),
                    std::string(seconds.status().next_step()))
          .with_context("--hours");
    }
    bill.usage.device_seconds[""] = *seconds;
    bill.usage.rows = 1;
  } else {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes,
                             FileSystem::real().read(*words.usage, kUsageCapBytes));
    auto parsed = policy::parse_usage(bytes);
    if (!parsed.ok()) return parsed.status().with_context(*words.usage);
    bill.usage = std::move(parsed).value();
    bill.sha256 = sign::to_hex(sign::sha256(bytes));
  }
  ACCOUNT_ASSIGN_OR_RETURN(bill.ceiling, policy::ceiling_of(bill.usage, words.device.value_or("")));
  return bill;
}

// What the runs counted, and the device time in which they did.
struct Counted {
  std::vector<std::string> runs;
  OpCount low, high;
  record::Counters counters;
  uint64_t device_seconds = 0;
  std::string level;  // of the least
};

Result<Counted> count_runs(const CeilingWords& words) {
  Counted counted;
  ACCOUNT_ASSIGN_OR_RETURN(const auto reports, verify_runs(words.runs, words.trust));
  for (const ledger::Report& report : reports) {
    counted.runs.push_back(report.run);
    counted.low = saturating_add(counted.low, report.totals.executed);
    counted.high = saturating_add(counted.high, report.totals.upper);
    for (const auto& [words_of, operations] : record::part_of(report, true).counters) {
      OpCount& sum = counted.counters[words_of];
      sum = saturating_add(sum, operations);
    }
    counted.device_seconds += device_seconds_of(report);
    if (counted.level.empty() || report.level < counted.level) counted.level = report.level;
  }
  return counted;
}

struct Ceiling {
  Bill bill;
  Counted counted;
  uint64_t unaccounted_seconds = 0;
  OpCount unaccounted;  // at most, in that time
  OpCount most;         // all that the bill can hold
  std::string level;
};

// Two ceilings hold: all billed time at the highest rate, which rests on no count, and what was
// counted at most plus the rest of the time at that rate. The lower one is the answer.
Result<Ceiling> ceiling_from(Bill bill, Counted counted) {
  Ceiling all{std::move(bill), std::move(counted), 0, {}, {}, ""};
  if (all.counted.low > all.bill.ceiling) {
    return Status(
        Code::unverified,
        fmt::format("the runs counted {} operations, and the billed time holds {} at most",
                    all.counted.low.to_decimal(), all.bill.ceiling.to_decimal()),
        "the usage is not all of theirs, or the device is another one");
  }
  const uint64_t total = all.bill.usage.total_seconds();
  all.unaccounted_seconds = total - std::min(total, all.counted.device_seconds);
  // Of several kinds of device the unaccounted time may be of the fastest: the share of the whole
  // is right for one kind only, so that with several all of the bill counts.
  const bool one_kind = all.bill.usage.device_seconds.size() == 1;
  all.unaccounted =
      one_kind ? OpCount::from_raw(all.bill.ceiling.raw() / total * all.unaccounted_seconds)
               : all.bill.ceiling;
  all.most = std::min(all.bill.ceiling, saturating_add(all.counted.high, all.unaccounted));
  // No level without its evidence: the developer's word for the count, and the bill.
  all.level = all.counted.level > "L0" ? "L3" : all.counted.level;
  return all;
}

policy::Facts facts_from(const Ceiling& ceiling, policy::Facts facts) {
  facts.operations = ceiling.counted.counters;
  facts.gap_bound = OpCount::from_raw(ceiling.most.raw() - ceiling.counted.low.raw());
  return facts;
}

std::string hours(uint64_t seconds) {
  return fmt::format("{:.1f}", static_cast<double>(seconds) / static_cast<double>(kSecondsAnHour));
}

Json ceiling_json(const CeilingWords& words, const Ceiling& ceiling, const Budget& verdicts) {
  Json devices = Json::object();
  for (const auto& [name, seconds] : ceiling.bill.usage.device_seconds) {
    devices.set(name.empty() ? words.device.value_or("") : name, seconds);
  }
  return Json::object({{"usage_sha256", ceiling.bill.sha256},
                       {"covers", words.covers.value_or("")},
                       {"device_seconds", std::move(devices)},
                       {"ceiling", ceiling.bill.ceiling},
                       {"runs", Json::strings(ceiling.counted.runs)},
                       {"counted", ceiling.counted.low},
                       {"counted_upper", ceiling.counted.high},
                       {"counted_device_seconds", ceiling.counted.device_seconds},
                       {"unaccounted_device_seconds", ceiling.unaccounted_seconds},
                       {"unaccounted", ceiling.unaccounted},
                       {"at_most", ceiling.most},
                       {"level", ceiling.level},
                       {"verdicts", cli::to_json(verdicts)}});
}

void put_ceiling(const CeilingWords& words, const Ceiling& ceiling) {
  put_line(fmt::format("usage: {} device-hours{}{}; it covers {}",
                       hours(ceiling.bill.usage.total_seconds()),
                       words.usage ? ", from " + *words.usage : "",
                       ceiling.bill.sha256.empty() ? "" : " (sha256 " + ceiling.bill.sha256 + ")",
                       words.covers.value_or("what its giver says it covers: --covers")));
  put_line(fmt::format("  at most {} operations ({}), at the highest rate of the devices",
                       ceiling.bill.ceiling.to_decimal(), ceiling.bill.ceiling.to_short()));
  if (ceiling.counted.runs.empty()) {
    put_line("no run was given: this is what the bill can hold, counted or not");
  } else {
    put_line(fmt::format("counted {} ({}), at most {} with all gaps, in {} device-hours of {}",
                         ceiling.counted.low.to_decimal(), ceiling.counted.low.to_short(),
                         ceiling.counted.high.to_decimal(), hours(ceiling.counted.device_seconds),
                         fmt::join(ceiling.counted.runs, ", ")));
    put_line(fmt::format("unaccounted: {} device-hours, at most {} operations ({})",
                         hours(ceiling.unaccounted_seconds), ceiling.unaccounted.to_decimal(),
                         ceiling.unaccounted.to_short()));
    put_line(fmt::format("together at most {} ({}), at level {}", ceiling.most.to_decimal(),
                         ceiling.most.to_short(), level_text(ceiling.level)));
  }
}

int run_ceiling(const CeilingWords& words) {
  auto bill = read_bill(words);
  if (!bill.ok()) return fail("ceiling", bill.status());
  auto counted = count_runs(words);
  if (!counted.ok()) return fail("ceiling", counted.status());
  const auto ceiling = ceiling_from(std::move(bill).value(), std::move(counted).value());
  if (!ceiling.ok()) return fail("ceiling", ceiling.status());
  const auto stated = parse_facts(words.facts);
  if (!stated.ok()) return fail("ceiling", stated.status());
  const policy::Facts facts = facts_from(*ceiling, *stated);
  // Only of policies that are asked for: a bill alone is no count of a training.
  const auto verdicts = words.policies.empty() ? Budget() : judge_all(words.policies, facts);
  if (!verdicts.ok()) return fail("ceiling", verdicts.status());
  if (words.json) {
    put_json(ceiling_json(words, *ceiling, *verdicts));
  } else {
    put_ceiling(words, *ceiling);
    put_budget(*verdicts);
  }
  return exit_code(*verdicts);
}

}  // namespace

void add_ceiling(const Verb& program) {
  const Verb verb =
      program.verb("ceiling", "What billed device-hours can have computed at most, counted or not");
  auto words = std::make_shared<CeilingWords>();
  verb.takes_words("RUN", words->runs, "Runs that are in the bill: their count takes its place");
  verb.takes("--usage", words->usage, "sacct --parsable2, or an invoice as CSV");
  verb.takes("--hours", words->hours, "Device-hours, in place of --usage");
  verb.takes("--device", words->device, "Of time for which the usage names none, as 'H100 SXM'");
  verb.takes("--covers", words->covers, "Whose usage it is, and of when: for the answer");
  verb.takes("--key", words->trust.key, "The runs' developer's .pub: level L3");
  verb.takes_many("--witness", words->trust.witnesses, "A witness's .pub");
  verb.takes_many("--policy", words->policies, "Id or file; `account policy list`");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Sweeps, failed and forgotten runs are within the bill. Exit code 2 where the runs counted\n"
      "more than the bill can hold; with --policy 3 reached, 5 unknown.\n\n"
      "Example:\n"
      "  sacct -a -S 2026-01-01 -P -o JobID,ElapsedRaw,AllocTRES > sacct.csv\n"
      "  account ceiling account/my-run --usage sacct.csv --device 'H100 SXM' --covers 'acme, "
      "2026'\n"
      "      --policy us-ca-sb1047-enrolled --key developer.pub");
  verb.does([words] { return run_ceiling(*words); });
}

}  // namespace account::cli
