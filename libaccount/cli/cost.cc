// `account cost`, and the cost that `prove` and `record` judge by.
#include "cli/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "policy/policy.h"
#include "sign/sign.h"

namespace account::cli {
namespace {

constexpr int64_t kNsASecond = 1'000'000'000;
constexpr double kSecondsAnHour = 3600;
constexpr double kMicro = 1e6;

uint64_t seconds_of(const ledger::Incarnation& process) {
  if (!process.line.parent.empty()) return 0;
  return static_cast<uint64_t>((process.last_unix_ns - process.first_unix_ns) / kNsASecond);
}

// Whole seconds to each category, none lost: what rounding leaves goes to the largest.
void share_out(const ledger::Incarnation& process, std::map<Category, uint64_t>& by_category) {
  const uint64_t seconds = seconds_of(process);
  std::map<Category, OpCount> operations;
  OpCount all;
  for (const ledger::CountRow& row : process.rows) {
    operations[row.category] = saturating_add(operations[row.category], row.figures.executed);
    all = saturating_add(all, row.figures.executed);
  }
  if (all == OpCount()) {
    by_category[Category::unassigned] += seconds;
    return;
  }
  uint64_t given = 0;
  Category largest = operations.begin()->first;
  for (const auto& [category, executed] : operations) {
    const OpCount part = saturating_multiply(executed, seconds);
    const auto own = static_cast<uint64_t>(part.raw() / all.raw());
    by_category[category] += own;
    given += own;
    if (executed > operations[largest]) largest = category;
  }
  by_category[largest] += seconds - given;
}

std::string began_on(const std::vector<ledger::Report>& reports) {
  int64_t first = INT64_MAX;
  for (const ledger::Report& report : reports) {
    for (const ledger::NodeReport& node : report.nodes) {
      first = std::min(first, node.first_unix_ns);
    }
  }
  return to_iso_date(first);
}

std::string hours(uint64_t seconds) {
  return fmt::format("{:.2f}", static_cast<double>(seconds) / kSecondsAnHour);
}

struct CostWords {
  std::vector<std::string> runs;
  TrustWords trust;
  PriceWords prices;
  bool json = false;
};

Result<Cost> run_cost(const CostWords& words) {
  if (!words.prices.prices) {
    return Status(Code::invalid_argument, "a cost needs prices", "give --prices FILE");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const auto reports, verify_runs(words.runs, words.trust));
  ACCOUNT_ASSIGN_OR_RETURN(const std::optional<Cost> cost, cost_of(reports, words.prices));
  return *cost;
}

int show_cost(const CostWords& words) {
  const auto cost = run_cost(words);
  if (!cost.ok()) return fail("cost", cost.status(), words.json);
  if (words.json) {
    put_json(to_json(*cost));
  } else {
    for (const std::string& line : to_lines(*cost)) put_line(line);
  }
  return kYes;
}

}  // namespace

uint64_t device_seconds_of(const ledger::Report& report) {
  uint64_t seconds = 0;
  for (const ledger::Incarnation& process : report.incarnations) seconds += seconds_of(process);
  return seconds;
}

void add_price_options(const Verb& verb, PriceWords& words) {
  verb.takes("--prices", words.prices,
             "Price table: what the runs' device time cost at the start of training");
  verb.takes("--device", words.device, "With --prices: the device, as the table names it");
}

Result<std::optional<Cost>> cost_of(const std::vector<ledger::Report>& reports,
                                    const PriceWords& words) {
  if (!words.prices) {
    if (!words.device) return std::optional<Cost>();
    return Status(Code::invalid_argument, "--device is for a price table", "give --prices FILE");
  }
  if (reports.empty()) {
    return Status(Code::invalid_argument, "--prices needs the runs: a record has no device time",
                  "name the run, or give --cost");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes,
                           FileSystem::real().read(*words.prices, policy::kFileCapBytes));
  const auto prices = policy::parse_prices(bytes);
  if (!prices.ok()) return prices.status().with_context(*words.prices);
  Cost cost;
  cost.began = began_on(reports);
  const auto price = policy::price_on(*prices, words.device.value_or(""), cost.began);
  if (!price.ok()) return price.status().with_context(*words.prices);
  cost.price = *price;
  cost.prices_sha256 = sign::to_hex(sign::sha256(bytes));
  for (const ledger::Report& report : reports) {
    cost.device_seconds += device_seconds_of(report);
    for (const ledger::Incarnation& process : report.incarnations) {
      share_out(process, cost.by_category);
    }
  }
  cost.micro_usd = policy::micro_usd_of(cost.device_seconds, cost.price);
  cost.usd = policy::whole_usd(cost.micro_usd);
  return std::optional<Cost>(std::move(cost));
}

Json to_json(const Cost& cost) {
  Json categories = Json::object();
  for (const auto& [category, seconds] : cost.by_category) {
    categories.set(
        std::string(name(category)),
        Json::object({{"device_seconds", seconds},
                      {"micro_usd", OpCount(policy::micro_usd_of(seconds, cost.price))}}));
  }
  return Json::object({{"began", cost.began},
                       {"device", cost.price.device},
                       {"price_from", cost.price.from},
                       {"price_source", cost.price.source},
                       {"micro_usd_per_device_hour", cost.price.micro_usd_hour},
                       {"prices_sha256", cost.prices_sha256},
                       {"device_seconds", cost.device_seconds},
                       {"categories", std::move(categories)},
                       {"micro_usd", OpCount(cost.micro_usd)},
                       {"usd", cost.usd}});
}

std::vector<std::string> to_lines(const Cost& cost) {
  const auto dollars = [](uint64_t micro) {
    return fmt::format("${:.2f}", static_cast<double>(micro) / kMicro);
  };
  std::vector<std::string> lines;
  lines.push_back(fmt::format("cost {} (${} for tests): {} device-hours of {} at {} an hour",
                              dollars(cost.micro_usd), cost.usd, hours(cost.device_seconds),
                              cost.price.device, dollars(cost.price.micro_usd_hour)));
  for (const auto& [category, seconds] : cost.by_category) {
    lines.push_back(fmt::format("  {:<12} {:>12} device-hours {:>16}", name(category),
                                hours(seconds),
                                dollars(policy::micro_usd_of(seconds, cost.price))));
  }
  lines.push_back(fmt::format("the price holds from {}, and training began on {}; source: {}",
                              cost.price.from, cost.began, cost.price.source));
  return lines;
}

void add_cost(const Verb& program) {
  const Verb verb =
      program.verb("cost", "What runs' device time cost, at the price of their start");
  auto words = std::make_shared<CostWords>();
  verb.takes_words("RUN", words->runs, "Runs' folders or ids");
  add_price_options(verb, words->prices);
  verb.takes("--key", words->trust.key,
             "The runs' developer's .pub; a foreign signer is exit code 2");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "A process's time is that from its first to its last line in the ledger, on one device; it\n"
      "goes to categories as the process's operations do.\n\n"
      "Example:\n"
      "  account cost account/my-run --prices prices.json --device 'NVIDIA H100'");
  verb.does([words] { return show_cost(*words); });
}

}  // namespace account::cli
