// The process's list of uncounted calls.
#include "count/uncounted.h"

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "tally/tally.h"

namespace account::count {
namespace {

using Kind = std::pair<std::string, std::string>;  // op, reason

struct Entry {
  uint64_t calls = 0;
  const tally::Page* told = nullptr;  // the page whose keeper knows of it
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

}  // namespace

void note_uncounted(std::string_view op, std::string_view reason) noexcept {
  try {
    Kind kind{op, reason};
    Register& known = the_register();
    const tally::Page* page = tally::active_page();
    bool first = false;
    {
      const std::lock_guard lock(known.mutex);
      Entry& entry = known.entries[kind];
      ++entry.calls;
      first = std::exchange(entry.told, page) != page;
    }
    if (first) {
      tally::post_event(tally::EventKind::op_named,
                        R"({"op":")" + kind.first + R"(","reason":")" + kind.second + R"("})");
    }
  } catch (const std::exception&) {
    return;  // out of memory: training goes on
  }
}

std::vector<Uncounted> read_uncounted() {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  std::vector<Uncounted> all;
  all.reserve(known.entries.size());
  for (const auto& [kind, entry] : known.entries) {
    all.push_back({kind.first, entry.calls, kind.second});
  }
  return all;
}

std::vector<Uncounted> subtract(const std::vector<Uncounted>& later,
                                const std::vector<Uncounted>& earlier) {
  std::map<Kind, uint64_t> before;
  for (const Uncounted& item : earlier) before[{item.op, item.reason}] = item.calls;
  std::vector<Uncounted> between;
  for (const Uncounted& item : later) {
    const auto known = before.find({item.op, item.reason});
    const uint64_t calls = item.calls - (known == before.end() ? 0 : known->second);
    if (calls != 0) between.push_back({item.op, calls, item.reason});
  }
  return between;
}

}  // namespace account::count
