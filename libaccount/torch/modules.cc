// Places, and the numbers of autograd nodes made in them.
#include "torch/modules.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/function.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <utility>

#include "torch/watch.h"

namespace account::torch {
namespace {

// From node number `from` on, the thread was at `place`.
struct Since {
  uint64_t from, place;
};

struct Register {
  std::mutex mutex;
  int users = 0;
  std::map<uint64_t, std::vector<Since>> by_thread;  // in the order of the numbers
  std::map<std::tuple<uint64_t, uint16_t, Phase>, OpCount> executed;
};
// Never destroyed: threads may count until the process is gone.
Register& the_register() {
  static auto& instance = *new Register;
  return instance;
}

thread_local std::vector<uint64_t> places;  // the innermost last

// Needs the lock.
void keep_change(Register& known) {
  const uint64_t next = at::sequence_number::peek(), place = current_place();
  auto& changes = known.by_thread[at::RecordFunction::currentThreadId()];
  if (!changes.empty() && changes.back().from == next) {
    changes.back().place = place;
  } else {
    changes.push_back({next, place});
  }
}

// Needs the lock. Where the node was made; 0 where that is not known.
uint64_t place_of(const Register& known, const ::torch::autograd::Node& node) {
  const auto thread = known.by_thread.find(node.thread_id());
  if (thread == known.by_thread.end()) return 0;
  const auto after = std::ranges::upper_bound(thread->second, node.sequence_nr(), {}, &Since::from);
  return after == thread->second.begin() ? 0 : std::prev(after)->place;
}

}  // namespace

void track_modules(bool on) {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  known.users += on ? 1 : -1;
  if (known.users == 1 && on) attend(kModules, true);
  if (known.users > 0) return;
  attend(kModules, false);
  known.by_thread.clear();
  known.executed.clear();
}

void enter_place(uint64_t place) {
  places.push_back(place);
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  keep_change(known);
}

void leave_place() noexcept {
  if (places.empty()) return;
  places.pop_back();
  try {
    Register& known = the_register();
    const std::lock_guard lock(known.mutex);
    keep_change(known);
  } catch (const std::exception&) {
    return;  // out of memory: gradients of what comes next go to the module before
  }
}

uint64_t current_place() noexcept { return places.empty() ? 0 : places.back(); }

std::vector<PlaceRow> read_places() {
  Register& known = the_register();
  const std::lock_guard lock(known.mutex);
  std::vector<PlaceRow> rows;
  for (const auto& [key, executed] : known.executed) {
    rows.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), executed});
  }
  return rows;
}

void note_place(const tally::Key& key, OpCount executed) noexcept {
  try {
    const auto node = ::torch::autograd::get_current_node();
    Register& known = the_register();
    const std::lock_guard lock(known.mutex);
    const bool gradient = key.phase == Phase::backward && node;
    const uint64_t place = gradient ? place_of(known, *node) : current_place();
    OpCount& sum = known.executed[{place, key.op, key.phase}];
    sum = saturating_add(sum, executed);
  } catch (const std::exception&) {
    return;  // it is in the totals all the same
  }
}

}  // namespace account::torch
