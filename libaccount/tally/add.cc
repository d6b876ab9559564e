// The hot path, and what a thread needs for it. Cost: benchmarks/bench_tally.cc.
#include "tally/process.h"
#include "tally/slot.h"
#include "tally/tally.h"

namespace account::tally {
namespace {

// A thread's slot. Plain data, so that it is reachable in one instruction (initial-exec: the
// library is loaded at start or finds room in the static TLS surplus) and outlives destructors.
struct Grip {
  uint32_t good_for = 0;  // the generation in which `slot` may be written
  bool leaving = false;   // the thread is ending: it takes no slot any more
  Slot* slot = nullptr;
};
thread_local constinit Grip grip __attribute__((tls_model("initial-exec")));

// Gives the slot back when the thread ends; its counts stay. In a forked child, and after another
// page became active, the slot is not ours to touch.
struct GiveBack {
  ~GiveBack() {
    grip.leaving = true;
    if (grip.slot != nullptr && grip.good_for == generation.load(std::memory_order_acquire)) {
      grip.slot->head.owner_tid.store(0, std::memory_order_release);
    }
    grip.slot = nullptr;
  }
};

[[gnu::noinline]] void renew_grip() noexcept {
  if (grip.leaving) {
    grip.slot = nullptr;
    grip.good_for = generation.load(std::memory_order_acquire);
    return;
  }
  static thread_local GiveBack give_back;
  (void)&give_back;  // constructs it
  grip.slot = Process::instance().take_slot(grip.good_for);
}

bool grip_is_good() noexcept { return grip.good_for == generation.load(std::memory_order_relaxed); }

// Apart from add_word(), which so saves no register.
[[gnu::noinline]] void add_first_or_overflow(uint64_t word, const Figures& figures) noexcept {
  if (!grip_is_good()) {
    renew_grip();
    return add_word(word, figures);
  }
  if (grip.good_for != 0) Process::instance().add_to_overflow(word, figures);
}

[[gnu::noinline]] void add_first_or_overflow(uint64_t word, OpCount executed) noexcept {
  add_first_or_overflow(word, Figures{executed, executed, executed});
}

// Where this thread counts `word`; nullptr where it has to ask first.
[[gnu::always_inline]] inline Cell* cell_of(Slot* slot, uint64_t word) noexcept {
  return grip_is_good() && slot != nullptr ? find_cell(slot->cells, word) : nullptr;
}

}  // namespace

void add_word(uint64_t word, const Figures& figures) noexcept {
  Slot* slot = grip.slot;
  if (Cell* cell = cell_of(slot, word); cell != nullptr) [[likely]] {
    return change_cell(slot->head, slot->cells, *cell, word, figures);
  }
  add_first_or_overflow(word, figures);
}

void add_word(uint64_t word, OpCount executed) noexcept {
  Slot* slot = grip.slot;
  if (Cell* cell = cell_of(slot, word); cell != nullptr) [[likely]] {
    return change_cell(slot->head, slot->cells, *cell, word, {executed, executed, executed});
  }
  add_first_or_overflow(word, executed);
}

// ---- the rest of the rank's side: thin doors to Process ---------------------------------------

void activate(std::unique_ptr<Page> page) { Process::instance().activate(std::move(page)); }

Page* active_page() noexcept { return Process::instance().active(); }

uint16_t op_id(std::string_view qualified_name) {
  return Process::instance().op_id(qualified_name);
}

std::string op_name(uint16_t id) { return Process::instance().op_name(id); }

bool post_event(EventKind kind, std::string_view text) noexcept {
  try {
    return Process::instance().post_event(kind, text);
  } catch (const std::exception&) {
    return false;  // out of memory
  }
}

}  // namespace account::tally
