// Pages, op names, slots and forks of this process.
#include "tally/process.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "tally/event_ring.h"
#include "tally/slot.h"

namespace account::tally {
namespace {

constexpr std::string_view kOtherOp = "other";  // id 0

// Writes the name behind the `id` names that are there already.
void publish_name(OpTable& table, size_t id, std::string_view name) {
  const size_t size = std::min(name.size(), static_cast<size_t>(kOpNameBytes) - 1);
  std::memcpy(table.names[id], name.data(), size);
  table.names[id][size] = '\0';
  table.count.store(static_cast<uint32_t>(id + 1), std::memory_order_release);
}

// The cell of `word` in the overflow slot. The last cell is kept for operations that find no other:
// they are listed as op "other" of no dtype, and none is lost.
Cell& find_overflow_cell(std::span<Cell> cells, uint64_t& word) noexcept {
  const size_t usable = cells.size() - 1;
  const size_t start = static_cast<size_t>(word * 0x9E3779B97F4A7C15ull >> 32) % usable;
  for (size_t i = 0; i < usable; ++i) {
    Cell& cell = cells[(start + i) % usable];
    const uint64_t key = load(cell.key);
    if (key == word || key == 0) return cell;
  }
  word = kCellUsed;
  return cells[usable];
}

}  // namespace

constinit std::atomic<uint32_t> generation{0};

void SpinLock::lock() noexcept {
  while (taken_.test_and_set(std::memory_order_acquire)) sched_yield();
}

Process::Process() {
  op_names_.emplace_back(kOtherOp);
  op_ids_.emplace(kOtherOp, uint16_t{0});
  // Fails for want of memory only; then a child that counts would write its parent's slots.
  (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

Process& Process::instance() {
  static auto& process = *new Process;
  return process;
}

void Process::activate(std::unique_ptr<Page> page) {
  const std::lock_guard lock(mutex_);
  make_active(std::move(page));
}

void Process::make_active(std::unique_ptr<Page> page) {
  OpTable& table = page->layout().ops;
  for (size_t id = 0; id < op_names_.size(); ++id) publish_name(table, id, op_names_[id]);
  parents_page_ = nullptr;
  active_.store(page.get(), std::memory_order_release);
  pages_.push_back(std::move(page));
  generation.fetch_add(1, std::memory_order_release);
}

std::vector<const Page*> Process::pages() {
  const std::lock_guard lock(mutex_);
  std::vector<const Page*> all;
  all.reserve(pages_.size());
  for (const auto& page : pages_) all.push_back(page.get());
  return all;
}

std::string Process::op_name(uint16_t id) {
  const std::lock_guard lock(mutex_);
  return id < op_names_.size() ? op_names_[id] : std::string(kOtherOp);
}

uint16_t Process::op_id(std::string_view qualified_name) {
  const std::lock_guard lock(mutex_);
  if (const auto known = op_ids_.find(qualified_name); known != op_ids_.end()) return known->second;
  const size_t id = op_names_.size();
  if (id >= static_cast<size_t>(kOps)) return 0;
  op_names_.emplace_back(qualified_name);
  op_ids_.emplace(qualified_name, static_cast<uint16_t>(id));
  if (Page* page = active()) publish_name(page->layout().ops, id, qualified_name);
  return static_cast<uint16_t>(id);
}

Slot* Process::take_slot(uint32_t& good_for) noexcept {
  const std::lock_guard lock(mutex_);
  if (parents_page_ != nullptr) open_childs_page();
  good_for = generation.load(std::memory_order_acquire);
  Page* page = active();
  if (page == nullptr) return nullptr;
  for (Slot& slot : page->layout().slots) {
    uint32_t nobody = 0;
    if (slot.head.owner_tid.compare_exchange_strong(nobody, static_cast<uint32_t>(gettid()),
                                                    std::memory_order_acq_rel)) {
      settle(slot.head, slot.cells);
      return &slot;
    }
  }
  return nullptr;
}

void Process::add_to_overflow(uint64_t word, const Figures& figures) noexcept {
  Page* page = active();
  if (page == nullptr) return;
  OverflowSlot& slot = page->layout().overflow;
  const std::lock_guard lock(overflow_lock_);
  Cell& cell = find_overflow_cell(slot.cells, word);
  change_cell(slot.head, slot.cells, cell, word, figures);
}

bool Process::post_event(EventKind kind, std::string_view text) {
  const std::lock_guard lock(mutex_);
  Page* page = active();
  if (page == nullptr) return false;
  EventRing& ring = page->layout().events;
  flush_events_locked(ring);
  const std::string_view kept = text.substr(0, kMaxEventBytes);
  if (kind != EventKind::export_refused) {
    if (write_event(ring, kind, kept, kExportReserve)) return true;
    ring.dropped.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  if (waiting_.empty() && write_event(ring, kind, kept, 0)) return true;
  waiting_.push_back({kind, std::string(kept)});
  any_waiting_.store(true, std::memory_order_relaxed);
  return true;
}

void Process::flush_events() noexcept {
  if (!any_waiting_.load(std::memory_order_relaxed)) [[likely]]
    return;
  const std::lock_guard lock(mutex_);
  if (Page* page = active()) flush_events_locked(page->layout().events);
}

void Process::flush_events_locked(EventRing& ring) {
  while (!waiting_.empty() && write_event(ring, waiting_.front().kind, waiting_.front().text, 0)) {
    waiting_.pop_front();
  }
  any_waiting_.store(!waiting_.empty(), std::memory_order_relaxed);
}

// ---- forks: tally.h, Note: [forked children] -------------------------------------------------

void Process::before_fork() { instance().mutex_.lock(); }

void Process::after_fork_in_parent() { instance().mutex_.unlock(); }

void Process::after_fork_in_child() {
  Process& process = instance();
  if (Page* page = process.active(); page != nullptr) {
    process.parents_page_ = page;
    process.active_.store(nullptr, std::memory_order_release);
    generation.fetch_add(1, std::memory_order_release);
  }
  // Others may hold pointers into the parent's pages: they stay mapped, but are not counted here.
  for (auto& page : process.pages_) process.inherited_.push_back(std::move(page));
  process.pages_.clear();
  process.waiting_.clear();  // the parent sends these
  process.any_waiting_.store(false, std::memory_order_relaxed);
  process.overflow_lock_.unlock();  // another thread of the parent may have held it
  process.mutex_.unlock();
}

void Process::open_childs_page() {
  const Page& parent = *parents_page_;
  const Header& header = parent.layout().header;
  Identity identity = parent.identity();
  identity.parent_incarnation =
      to_hex({reinterpret_cast<const char*>(header.incarnation), sizeof(header.incarnation)});
  if (!parent.in_memory()) {
    if (auto page = Page::create(parent.folders(), identity); page.ok()) {
      return make_active(std::move(page).value());
    }
  }
  make_active(Page::create_in_memory(identity));
}

}  // namespace account::tally
