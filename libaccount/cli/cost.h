// What runs have cost: the device time that their ledgers show, at the price of the day on which
// the first of them began.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "account/keys.h"
#include "account/status.h"
#include "base/json.h"
#include "cli/verb.h"
#include "ledger/ledger.h"
#include "policy/prices.h"

namespace account::cli {

struct PriceWords {
  std::optional<std::string> prices, device;
};
void add_price_options(const Verb& verb, PriceWords& words);

// Of each process from its first to its last line: a process trains on one device, and those that
// were forked from it (loaders of data) on none of their own.
uint64_t device_seconds_of(const ledger::Report& report);

struct Cost {
  std::string began;  // "YYYY-MM-DD", of the first run
  policy::Price price;
  std::string prices_sha256;  // of the file
  uint64_t device_seconds = 0;
  // A process's time goes to categories as its operations do; `unassigned` where it counted none.
  std::map<Category, uint64_t> by_category;
  uint64_t micro_usd = 0;
  uint64_t usd = 0;  // rounded up
};

// Nothing where no prices are asked for. invalid_argument where there is no run.
Result<std::optional<Cost>> cost_of(const std::vector<ledger::Report>& reports,
                                    const PriceWords& words);
Json to_json(const Cost& cost);
std::vector<std::string> to_lines(const Cost& cost);

}  // namespace account::cli
