// The ledger: one node's append-only, signed account of a run. libaccount/doc/ledger_format.md.
//
//   <run>/node-<8 hex>/run.json  ledger/000001.jsonl ...  checkpoint  transcripts/
//
// Writer: one keeper at a time (a lock on the folder); every append is line, sync, note, sync,
// acknowledged. Reader and verifier: anybody, offline. Must not know tallies, torch or policies.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/keys.h"
#include "account/status.h"
#include "account/totals.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "sign/sign.h"

namespace account::ledger {

// ---- what is written -----------------------------------------------------------------------

struct IncarnationLine {
  std::string id;  // 32 hex
  int rank = -1, world_size = -1, local_rank = -1;
  uint32_t restart_count = 0;
  std::string parent;     // incarnation it was forked from, or empty
  std::string model;      // what it said of itself; may be empty
  std::string framework;  // e.g. "torch 2.13.0"
};

struct CountRow {  // one key of one incarnation, cumulative
  Category category = Category::unassigned;
  Phase phase = Phase::forward;
  DType dtype = DType::other;
  std::string op;
  uint64_t calls = 0;
  Figures figures;
};

// Consecutive closed steps of equal operations (or samples, or tokens); or, when `exact` is false,
// many steps by count, sum, least and greatest.
struct StepRun {
  uint64_t first = 0, count = 0;
  bool exact = true;
  OpCount value;                 // exact: of each step
  OpCount sum, least, greatest;  // not exact
};

// What steps cost and, where the trainer said so, took in; each empty where there is nothing to
// say.
struct StepRuns {
  std::vector<StepRun> operations, samples, tokens;
};

struct CounterLine {
  int incarnation = 0;  // the number that the ledger gave it
  uint64_t steps_closed = 0;
  std::vector<CountRow> rows;  // the full table, cumulative; never differences
  bool with_ops = true;        // false: the line keeps category, phase and dtype only
  StepRuns steps;              // closed since the incarnation's last line
  Processed processed;         // cumulative, too
};

// Why lines were sealed.
enum class SealReason { start, time, save, order, end, rank_ended };

struct SealedState {
  uint64_t lines = 0;
  std::string root_hex;
};

struct WriterOptions {
  std::string run_folder;  // <dir>/<run id>
  std::string run_id;
  std::string node;                             // 8 hex
  std::vector<Json> policies;                   // {"id", "sha256"} of those judged by
  uint64_t segment_bytes = uint64_t{64} << 20;  // a segment's size at most; less only in tests
};

// 1 to 96 characters of A-Z a-z 0-9 . _ -; invalid_argument otherwise.
Status check_run_id(std::string_view id);

// Not thread-safe. After a failed seal the ledger is as it was last acknowledged: the batch is
// dropped, and the writer refuses to seal until reopen() succeeds and the caller has queued again
// what it wants written (counters are cumulative, so nothing is lost by that).
class Writer {
 public:
  // Creates the node folder or takes up an existing one: verifies it, cuts what lies behind the
  // last note (saying so in the opening line), and opens a new session with a new key.
  // unavailable: another keeper has the folder; corrupt: it does not verify, or is another run's.
  static Result<std::unique_ptr<Writer>> open(FileSystem& files, const Clock& clock,
                                              const WriterOptions& options);
  virtual ~Writer() = default;

  // Known incarnations keep their number over sessions. Queues the line if it is new: numbers are
  // 1, 2, ... in the order of the lines.
  virtual int incarnation(const IncarnationLine& line) = 0;
  // Each of these queues lines; nothing is on disk before seal(). What could not be read again (no
  // UTF-8, too long) is replaced by a gap line that says so.
  virtual void counters(const CounterLine& line) = 0;
  virtual void transcript(int incarnation, uint64_t step, uint64_t not_kept,
                          const std::string& lines) = 0;  // also writes the transcript file
  // {"kind", "detail", optional "bound_operations" (a decimal string) and further members}
  virtual void gap(const Json& what) = 0;
  // A line of a further type, which the reader must list (replay.h); ledger_format.md has the list.
  virtual void event(std::string_view type, const Json& body) = 0;
  virtual void ended(int incarnation, std::string_view how) = 0;  // "finished", "died", ...
  virtual void closed(const Json& outcome) = 0;
  // Writes what is queued, and a seal line, as one batch: lines, sync, note, sync.
  virtual Status seal(SealReason reason) = 0;
  virtual SealedState sealed() const = 0;
  // Puts back what was last acknowledged, after a failed seal; ok when nothing had failed.
  virtual Status reopen() = 0;
  virtual const std::string& node_folder() const = 0;
};

// ---- what is read --------------------------------------------------------------------------

struct Problem {
  std::string place;  // "node-1f00ba5e/ledger/000001.jsonl line 17"
  std::string fault;
};

struct Incarnation {
  IncarnationLine line;
  std::string node;
  uint64_t steps_closed = 0;
  std::vector<CountRow> rows;                   // of its last line
  std::string ended;                            // empty: still open
  StepRuns steps;                               // where VerifyOptions::keep_steps
  int64_t first_unix_ns = 0, last_unix_ns = 0;  // of the first and last lines about it
  Processed processed;
};

struct NodeReport {
  std::string node;
  std::string origin;
  std::string run_file_sha256;
  uint64_t lines = 0;       // covered by the checkpoint
  uint64_t open_lines = 0;  // behind the last note of an unclosed run
  uint64_t open_bytes = 0;
  std::string root_hex;
  std::string note;                             // the checkpoint file
  int64_t first_unix_ns = 0, last_unix_ns = 0;  // of its lines
  bool closed = false;
  std::vector<std::string> keys;     // ids of the keepers' keys, in order
  std::vector<std::string> remarks;  // "new key after a crash", "cut 12 unacknowledged bytes", ...
  std::vector<Json> gaps;
  std::vector<Json> events;  // lines of further types, with "type"
  uint64_t transcripts = 0;
};

// A head that a witness has seen.
struct AnchorReport {
  std::string node;
  uint64_t size = 0;                     // lines that it covers
  std::string witness_id, witness_name;  // id of the key
  int64_t unix_s = 0;                    // when, by the witness's clock
  int64_t line_unix_ns = 0;              // of the last line covered, by the keeper's
  bool asked = false;                    // by one of VerifyOptions::witnesses
  friend auto operator<=>(const AnchorReport&, const AnchorReport&) = default;
};

struct Report {
  std::string run;
  std::string folder;  // of the run
  std::vector<NodeReport> nodes;
  std::vector<Incarnation> incarnations;
  Totals totals;                  // upper includes bounded gaps, uncounted calls and audit_bound
  uint64_t audited_steps = 0;     // on which ops without a formula were watched
  OpCount audit_bound;            // what those ops did at most, over the run
  uint64_t ranks = 0;             // distinct ranks that counted
  uint64_t world_size = 0;        // the largest world that an incarnation saw
  std::vector<std::string> gaps;  // sentences, bounded ones with their bound
  std::vector<Problem> problems;  // none: everything recomputes
  bool trusted = false;           // endorsed by the key that was asked for
  // L0 counted; L1 endorsed by the key asked for; L2 that, and anchored by a witness asked for.
  std::string level = "L0";
  std::vector<AnchorReport> anchors;  // by node and size
  std::string endorsed_by;  // id of the key asked for, where it endorsed all of this; or empty
  std::vector<std::string> remarks;  // of the whole run; those of a node are in its report
  bool ok() const { return problems.empty(); }
};

// A node's ledger as it was at some time.
struct Head {
  std::string node, origin;
  uint64_t size = 0;  // lines
  std::string root;   // hex, over these lines
  friend bool operator==(const Head&, const Head&) = default;
};

// What led to a checkpoint, whatever its run did afterwards: the node that wrote the checkpoint's
// sidecar counts up to the head named there, the others up to the seal after their own `saved` note
// of that name and step, or else whole (a remark says so).
struct Cut {
  std::string node;
  uint64_t size = 0;
  std::string root;
  std::string name;  // of the checkpoint
  uint64_t step = 0;
};

// Recomputes everything under a run or a node folder: lines, tree, notes, key history, counters
// that never fall, sums, transcripts (recounted by `recount`, so that this folder needs no
// formulas), endorsements. Problems are in the report; a Status only where there is nothing to
// read. With `developer`, the head of every node must be endorsed by that key.
using Recount = Result<Figures> (*)(std::string_view lines, uint64_t& rows);
struct VerifyOptions {
  // Count up to a save or up to heads, not the whole run. Of the whole run are endorsements then:
  // they are not asked for.
  std::optional<Cut> cut = {};
  std::vector<Head> heads = {};  // and only these nodes
  bool keep_steps = false;
  std::vector<sign::PublicKey> witnesses = {};  // whose anchors count
  std::vector<std::string> anchors = {};        // files or folders of anchors besides the run's own
};
Result<Report> verify(FileSystem& files, const std::string& path,
                      const std::optional<sign::PublicKey>& developer, Recount recount,
                      const VerifyOptions& options = {});

// Of a report's nodes, in the order of their names; those without a sealed line are left out.
std::vector<Head> heads_of(const Report& report);

// The lines of further types of all its nodes, each node's in their order.
std::vector<Json> events_of(const Report& report);

// {"ok", "trusted", "operations", ...}, numbers of operations as decimal strings.
Json report_to_json(const Report& report);
std::vector<std::string> report_to_lines(const Report& report);  // for people

// ---- endorsement ---------------------------------------------------------------------------

// Verifies the run, then signs the heads of all its nodes: <run>/endorsements/<key id>.json.
Result<std::string> endorse(FileSystem& files, const Clock& clock, const std::string& path,
                            const sign::NamedSecretKey& key, Recount recount);

// ---- anchors -------------------------------------------------------------------------------

struct AnchorOptions {
  const sign::NamedSecretKey& key;
  std::string name;  // a signer's name in a note (sign::check_signer_name)
  std::string keep;  // folder of the witness's own copies; may be empty
};
// Verifies the run, also against the copies kept, then cosigns the heads of all its nodes into
// <run>/anchors/ (and `keep`).
struct Anchored {
  std::vector<std::string> files;  // that are new: none where every head had one
  bool over = true;                // what was anchored is all of it: every ledger is closed
};
Result<Anchored> anchor(FileSystem& files, const Clock& clock, const std::string& path,
                        const AnchorOptions& options, Recount recount);

}  // namespace account::ledger
