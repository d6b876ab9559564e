// The tally page, byte by byte: what one rank shares with its node's keeper.
//
// One page a process incarnation, at most 1 MiB, in /dev/shm (or node-local disk), mapped by the
// rank and by the keeper. libaccount/doc/tally_format.md describes it for readers that are not us.
// Everything here is plain data with lock-free atomics: no pointers, no formula, no policy.
//
// Who writes what: `header` the rank before the page is published; `control` the keeper; `edge` the
// rank at a step edge; `slots` each their one owning thread; `steps`, `events`, `transcript` the
// rank; `mailbox` requests the keeper, replies the rank's library thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace account::tally {

inline constexpr char kMagic[8] = {'A', 'C', 'C', 'T', 'A', 'L', 'L', 'Y'};
inline constexpr uint32_t kLayoutVersion = 1;

inline constexpr int kSlots = 32;           // threads with a slot of their own
inline constexpr int kCellsPerSlot = 128;   // distinct (op, dtype, phase, category) a slot
inline constexpr int kOverflowCells = 512;  // shared by further threads, and by slots that are full
inline constexpr int kOps = 512;            // distinct op names; id 0 is "other"
inline constexpr int kOpNameBytes = 64;     // zero-terminated
inline constexpr int kStepRing = 1024;      // closed steps not yet read by the keeper
inline constexpr int kEventRingBytes = 64 * 1024;
inline constexpr int kTranscriptRows = 384;
inline constexpr int kTranscriptRowBytes = 512;
inline constexpr int kMailboxBytes = 48 * 1024;  // each way
inline constexpr int kDeclarationBytes = 4096;

using Word32 = std::atomic<uint32_t>;
using Word64 = std::atomic<uint64_t>;
static_assert(Word64::is_always_lock_free && Word32::is_always_lock_free);

// A cell's key: op id << 16 | dtype << 8 | phase << 4 | category, plus 1 << 63 so that a used cell
// is never 0.
inline constexpr uint64_t kCellUsed = 1ull << 63;

// One cache line. All figures are cumulative over the incarnation.
struct alignas(64) Cell {
  Word64 key;
  Word64 calls;
  Word64 executed_low, executed_high;
  Word64 model_low, model_high;
  Word64 lower_low, lower_high;
};
static_assert(sizeof(Cell) == 64);

// Note: [slot protocol]
// One writer. To change a cell it saves the cell's old words and its index in `undo`, makes
// `sequence` odd, writes the cell and the slot's total, and makes `sequence` even. A reader copies
// while `sequence` is even and unchanged; where it finds it odd (a writer that was preempted or
// killed in between) it takes the copy of that one cell and of the total from `undo`, which is then
// stable. So a reader never sees a torn sum, never waits, and a SIGKILL loses at most one call.
struct alignas(64) SlotHead {
  Word64 sequence;
  Word32 owner_tid;  // 0: free
  Word32 reserved;
  Word64 total_low, total_high;  // executed, over all cells of the slot
  Word64 undo_index;             // cell in `undo`
  Word64 undo_total_low, undo_total_high;
  Cell undo;
};

struct Slot {
  SlotHead head;
  Cell cells[kCellsPerSlot];
};

// Written under a lock of the process (never seen by the reader), else like a Slot.
struct OverflowSlot {
  SlotHead head;
  Cell cells[kOverflowCells];
};

struct alignas(64) Header {
  char magic[8];
  uint32_t layout_version;
  uint32_t page_bytes;
  uint8_t incarnation[16];  // random
  uint8_t parent[16];       // incarnation of the process that forked this one, else zeros
  uint32_t pid;
  int32_t rank, world_size, local_rank, local_world_size;  // -1: unknown
  uint32_t restart_count;
  uint64_t start_ticks;  // /proc/<pid>/stat field 22
  int64_t created_unix_ns;
  uint32_t declaration_bytes;           // at most kDeclarationBytes
  char declaration[kDeclarationBytes];  // JSON: what the job said of itself (model, policies, ...)
};

// The rank's life as it tells it.
enum class RankState : uint32_t { running = 1, finished = 2, stopped = 3 };

// What the keeper tells the rank. `command` is the one word that an edge reads.
enum class Command : uint32_t {
  none = 0,
  hold = 1,
  stop_at_edge = 2,
  stop_now = 3,
  refuse = 4,
  wait_at_edge = 5
};

struct alignas(64) Control {
  Word32 command;  // Command
  Word32 gate;     // 0 open, else shut; bits 1 to 31: who could open a saved state
  Word64 stop_edge;
  Word64 keeper_beat_ns;  // CLOCK_MONOTONIC; 0 until the keeper has accepted this page
  Word32 keeper_pid;
  Word32 accepted;     // 1: accepted, 2: refused (reason below)
  Word64 sealed;       // counts seals that contain this page; finish() waits for the next
  uint8_t order[32];   // hash of the order behind `command`, zeros if none
  char reason[512];    // zero-terminated UTF-8: why refused or stopped
  Word64 quiet_by_ns;  // CLOCK_MONOTONIC: by then ranks are at the edge or ended; 0: no deadline
};

struct alignas(64) Edge {
  Word64 steps_closed;
  Word64 next_edge;      // the edge waited at, else steps_closed + 1
  Word64 last_edge_ns;   // CLOCK_MONOTONIC
  Word32 state;          // RankState
  Word32 waiting;        // 1 while held at an edge
  Word64 finish_wanted;  // 1: wants a closing seal
  Word32 courier;        // 1: this rank's library thread can reach the job's store
  Word32 saving;  // not 0 while it or another writes its state locked: changes as that goes on
  Word64 samples, tokens;  // taken in so far, as the trainer says; by any of its threads
};

// A closed step. The ring keeps the running total, not the step's own operations: so a reader that
// missed steps still knows their sum, and a step is the difference of two neighbours.
struct alignas(64) StepEntry {
  Word64 step;  // 1-based number of the closed step; 0 while the entry is being rewritten
  Word64 executed_low, executed_high;  // of the whole page, up to this edge
  Word64 edge_ns;                      // CLOCK_MONOTONIC
  Word64 samples, tokens;              // of the edge's words of these names, up to this edge
};
static_assert(sizeof(Edge) == 64 && sizeof(StepEntry) == 64);

struct StepRing {
  StepEntry entries[kStepRing];  // entry of step s is s % kStepRing
};

struct alignas(64) OpTable {
  Word32 count;  // names[0..count) are valid; a name is written before it is counted
  char names[kOps][kOpNameBytes];
};

// Messages of the rank to the keeper, framed: u32 length, u32 kind, bytes, padded to 8. The byte at
// position p of the stream is bytes[p % kEventRingBytes].
struct alignas(64) EventRing {
  Word64 head;     // bytes ever written
  Word64 tail;     // bytes ever read; the keeper's
  Word64 dropped;  // messages that found no room
  alignas(64) char bytes[kEventRingBytes];
};

// One step's distinct calls, for the transcript.
enum class TranscriptState : uint32_t { idle = 0, recording = 1, ready = 2 };

struct alignas(64) TranscriptRow {
  char bytes[kTranscriptRowBytes];  // count/transcript.h
};

struct alignas(64) Transcript {
  Word32 state;      // TranscriptState; ready is set by the rank, idle by the keeper
  Word32 rows;       // valid rows
  Word64 step;       // the step that it records
  Word64 not_kept;   // calls that found no row
  Word64 wanted_at;  // the keeper's wish: record the first step at or after this one; 0 none
  TranscriptRow row[kTranscriptRows];
};

struct alignas(64) MailboxHalf {
  Word32 sequence;  // futex word; odd while being written
  Word32 bytes;
  char data[kMailboxBytes];
};

struct alignas(64) Mailbox {
  MailboxHalf request;  // keeper -> rank's library thread
  MailboxHalf reply;    // and back; answers the request with the same sequence
};

struct PageLayout {
  Header header;
  Control control;
  Edge edge;
  OpTable ops;
  Slot slots[kSlots];
  OverflowSlot overflow;
  StepRing steps;
  EventRing events;
  Transcript transcript;
  Mailbox mailbox;
};
static_assert(sizeof(PageLayout) <= size_t{1024} * 1024);

}  // namespace account::tally
