// The process's list of uncounted calls.
#include "count/uncounted.h"

#include <bit>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/json.h"
#include "tally/tally.h"

namespace account::count {
namespace {

using Kind = std::pair<std::string, std::string>;  // op, reason

struct Entry {
  uint64_t calls = 0;
  OpCount bound;
  const tally::Page* told = nullptr;  // the page whose keeper knows of it
  uint64_t told_calls = 0;            // and of how many calls
};

struct Register {
  std::mutex mutex;
  std::map<Kind, Entry> entries;
};

// Never destroyed: threads may count until the process is gone.
Register& the_register() {
  static auto& instance = *new Register;
  return instance;
}

// Cumulative, so that a lost or repeated event changes nothing.
void tell(const Kind& kind, const Entry& entry) {
  tally::post_event(tally::EventKind::op_named, Json::object({{"op", kind.first},
                                                              {"reason", kind.second},
                                                              {"calls", entry.calls},
                                                              {"bound_operations", entry.bound}})
                                                    .dump());
}

}  // namespace

void note_uncounted(std::string_view op, std::string_view reason, OpCount bound) noexcept {
  try {
    Kind kind{op, reason};
    Register& known = the_register();
    const tally::Page* page = tally::active_page();
    const std::lock_guard lock(known.mutex);
    Entry& entry = known.entries[kind];
    ++entry.calls;
    entry.bound = saturating_add(entry.bound, bound);
    if (std::exchange(entry.told, page) == page && !std::has_single_bit(entry.calls)) return;
    entry.told_calls = entry.calls;
    tell(kind, entry);
  } catch (const std::exception&) {
    return;  // out of memory: training goes on
  }
}

void tell_uncounted() noexcept {
  try {
    Register& known = the_register();
    const tally::Page* page = tally::active_page();
    const std::lock_guard lock(known.mutex);
    for (auto& [kind, entry] : known.entries) {
      if (entry.told != page || entry.told_calls == entry.calls) continue;
      entry.told_calls = entry.calls;
      tell(kind, entry);
    }
  } catch (const std::exception&) {
    return;
  }
}

OpCount bound_of_elements(std::span<const int64_t> elements) noexcept {
  constexpr uint64_t kPerPair = 4, kPerElement = 64;
  uint64_t largest = 0, second = 0;
  OpCount sum;
  for (const int64_t count : elements) {
    const auto n = static_cast<uint64_t>(count < 0 ? 0 : count);
    sum = saturating_add(sum, n);
    if (n > largest) {
      second = std::exchange(largest, n);
    } else if (n > second) {
      second = n;
    }
  }
  if (second == 0) second = largest;
  const OpCount pairs = saturating_multiply(largest, second);
  return saturating_add(saturating_multiply(pairs, kPerPair),
                        saturating_multiply(sum, kPerElement));
}

OpCount bound_of_call(const Arguments& arguments) noexcept {
  std::array<int64_t, kMaxArguments> elements{};
  for (int i = 0; i < arguments.size; ++i) {
    int64_t product = arguments[i].absent() ? 0 : 1;
    for (const int64_t size : arguments[i].list()) {
      if (__builtin_mul_overflow(product, size, &product)) product = INT64_MAX;
    }
    elements[static_cast<size_t>(i)] = product;
  }
  return bound_of_elements(elements);
}

std::vector<Uncounted> read_uncounted() {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  std::vector<Uncounted> all;
  all.reserve(known.entries.size());
  for (const auto& [kind, entry] : known.entries) {
    all.push_back({kind.first, entry.calls, kind.second, entry.bound});
  }
  return all;
}

std::vector<Uncounted> subtract(const std::vector<Uncounted>& later,
                                const std::vector<Uncounted>& earlier) {
  std::map<Kind, const Uncounted*> before;
  for (const Uncounted& item : earlier) before[{item.op, item.reason}] = &item;
  std::vector<Uncounted> between;
  for (Uncounted item : later) {
    const auto known = before.find({item.op, item.reason});
    if (known != before.end()) {
      item.calls -= known->second->calls;
      item.bound = checked_subtract(item.bound, known->second->bound).value_or(OpCount());
    }
    if (item.calls != 0) between.push_back(std::move(item));
  }
  return between;
}

void add_uncounted(Totals& totals, std::vector<Uncounted> uncounted) {
  for (const Uncounted& item : uncounted) totals.upper = saturating_add(totals.upper, item.bound);
  totals.uncounted = std::move(uncounted);
}

}  // namespace account::count
