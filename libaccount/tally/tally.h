// The tally: how a rank counts, and how the keeper reads what it counted.
//
// Rank side (this process): tally::add() from any thread; one page is active at a time.
// Keeper side: PageView on another process's page. Must know no formula, no ledger, no torch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/keys.h"
#include "account/status.h"
#include "account/totals.h"
#include "tally/layout.h"

namespace account::tally {

// ---- identity and places -------------------------------------------------------------------

struct Identity {
  int rank = -1, world_size = -1, local_rank = -1, local_world_size = -1;
  uint32_t restart_count = 0;
  std::string declaration;         // JSON, at most kDeclarationBytes
  std::string parent_incarnation;  // 32 hex, or empty
};

// The folders in which a node's pages of one run may lie, best first: shared memory, then disk.
// Both sides compute them from the same three facts; the names are hashes, so that nothing of the
// run shows in /dev/shm.
ACCOUNT_API std::vector<std::string> page_folders(std::string_view absolute_dir,
                                                  std::string_view run_id, std::string_view node);

// ---- rank side -----------------------------------------------------------------------------

// The page of this process. Owns the mapping; the file's name goes when the keeper has read it.
//
// Note: [forked children] A child never counts into its parent's page. Its first counted op opens a
// page of its own in the same folders, with the parent's incarnation in the header; where that is
// impossible it counts in plain memory. Until then active_page() is nullptr in the child, and
// read_process() there never includes what the parent counted.
class ACCOUNT_API Page {
 public:
  // Makes a page file "<16 hex>.tally" in the first folder that has room, all of it allocated, so
  // that no later write can fault. Where none has, a page in plain memory (in_memory()).
  static Result<std::unique_ptr<Page>> create(const std::vector<std::string>& folders,
                                              const Identity& identity);
  // A page that nobody else sees, for count() without a run.
  static std::unique_ptr<Page> create_in_memory(const Identity& identity);
  ~Page();
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  PageLayout& layout() { return *layout_; }
  const PageLayout& layout() const { return *layout_; }
  bool in_memory() const { return path_.empty(); }
  const std::string& path() const { return path_; }
  const std::string& why_not_shared() const { return why_not_shared_; }
  // What it was made from; a forked child makes its own from the same.
  const std::vector<std::string>& folders() const { return folders_; }
  const Identity& identity() const { return identity_; }

 private:
  Page() = default;
  PageLayout* layout_ = nullptr;
  std::string path_;
  std::string why_not_shared_;
  std::vector<std::string> folders_;
  Identity identity_;
};

// Makes `page` the one that this process counts into. Earlier pages stay readable for
// read_process() and are never written again. The page must outlive the process's counting: it is
// kept for ever once activated.
ACCOUNT_API void activate(std::unique_ptr<Page> page);
ACCOUNT_API Page* active_page() noexcept;  // nullptr before the first activate()

// The id of an op's qualified name in this process, registered at first sight; 0 ("other") once
// kOps names are taken. Takes a lock: call it at install time, not per call.
ACCOUNT_API uint16_t op_id(std::string_view qualified_name);
ACCOUNT_API std::string op_name(uint16_t id);  // takes a lock, too

struct Key {
  uint16_t op;
  DType dtype;
  Phase phase;
  Category category;
};

// A key as a cell holds it; never 0.
constexpr uint64_t to_word(Key key) noexcept {
  return kCellUsed | static_cast<uint64_t>(key.op) << 16 | static_cast<uint64_t>(key.dtype) << 8 |
         static_cast<uint64_t>(key.phase) << 4 | static_cast<uint64_t>(key.category);
}

// The key in a cell. What names nothing becomes the word for "unknown": op 0, dtype other, phase
// forward, category unassigned.
constexpr Key to_key(uint64_t word) noexcept {
  const uint64_t op = word >> 16 & 0xFFFF, dtype = word >> 8 & 0xFF;
  const uint64_t phase = word >> 4 & 0xF, category = word & 0xF;
  return {static_cast<uint16_t>(op < kOps ? op : 0),
          static_cast<DType>(dtype < kDTypeCount ? dtype : 0),
          static_cast<Phase>(phase < kPhaseCount ? phase : 0),
          static_cast<Category>(category < kCategoryCount ? category : 0)};
}

// Counts one call. No lock, allocation or system call on a thread that has a slot; nothing happens
// without an active page. Async-signal-unsafe. Cost: benchmarks/bench_tally.
ACCOUNT_API void add_word(uint64_t word, const Figures& figures) noexcept;
// The same of a call whose model and lower are what it executed: it travels in registers.
ACCOUNT_API void add_word(uint64_t word, OpCount executed) noexcept;
// Inline, so that the key travels as a word, in a register.
inline void add(Key key, const Figures& figures) noexcept { add_word(to_word(key), figures); }

// Adds what training has taken in to the active page; what is over 2^64 - 1 stays there. Any
// thread; two atomic additions, nothing without an active page.
ACCOUNT_API void add_processed(const Processed& processed) noexcept;

// Closes a step at the active page: sums the slots, writes the step ring, advances the edge.
// Returns the step's number (1-based), 0 without a page. One thread at a time.
ACCOUNT_API uint64_t close_step() noexcept;

// Everything that this process counted so far, over all its pages.
struct CellRow {
  Category category;
  Phase phase;
  DType dtype;
  std::string op;
  uint64_t calls = 0;
  Figures figures;
};
struct Counters {
  std::vector<CellRow> rows;  // no key twice; sorted by op, category, phase, dtype
  uint64_t steps_closed = 0;
  Processed processed;
};
ACCOUNT_API Counters read_process();
ACCOUNT_API Totals to_totals(const Counters& counters);  // upper = executed
ACCOUNT_API Counters subtract(const Counters& later, const Counters& earlier);

// ---- events --------------------------------------------------------------------------------

enum class EventKind : uint32_t { gap = 1, note = 2, saved = 3, export_refused = 4, op_named = 5 };
struct Event {
  EventKind kind;
  std::string text;  // JSON or a sentence, by kind
};
// False when the ring was full (the drop is counted) or there is no page. A refused export is never
// dropped: it has room reserved, and beyond that waits in memory until the keeper has read. At most
// kMaxEventBytes of the text are kept. Takes a process-wide lock; not for hot paths.
inline constexpr size_t kMaxEventBytes = 4096;
ACCOUNT_API bool post_event(EventKind kind, std::string_view text) noexcept;

// ---- keeper side ---------------------------------------------------------------------------

// Another process's page, mapped read-write (control, event tail, mailbox requests). Reading is
// safe whatever the rank does, its death included. Not thread-safe.
class PageView {
 public:
  // Checks magic, layout version, sizes and bounds; corrupt otherwise, naming the file.
  static Result<std::unique_ptr<PageView>> open(const std::string& path);
  ~PageView();

  PageLayout& layout() { return *layout_; }
  const std::string& path() const { return path_; }
  std::string incarnation() const;  // 32 hex
  bool alive() const;               // its process still exists

  // Consistent per cell; figures never decrease between reads. Operations under a key that names
  // nothing (a torn or hostile page) are kept as op "other", never dropped. steps_closed is the
  // page's own word.
  Counters read() const;
  struct Step {
    uint64_t number;
    OpCount executed;
    Processed processed;
  };
  // Closed steps since the last call, oldest first. Where the ring overran, `missed` steps are
  // known by number and by their sum only.
  struct Steps {
    uint64_t missed = 0;
    OpCount missed_executed;
    Processed missed_processed;
    std::vector<Step> steps;
  };
  Steps take_steps();
  std::vector<Event> take_events(uint64_t& dropped);
  // Removes the page's file; the mapping stays.
  Status remove_file();

 private:
  PageView() = default;
  PageLayout* layout_ = nullptr;
  std::string path_;
  uint64_t next_step_ = 1;  // the first step not yet taken
  OpCount steps_executed_;  // the running totals at the edge of the step before it
  Processed steps_processed_;
  uint64_t events_read_ = 0;     // our own copy of the ring's tail: a rank cannot move it
  uint64_t events_dropped_ = 0;  // of the ring's count, what was reported already
};

}  // namespace account::tally
