// Run: the one object a training job holds.
//
//   auto run = account::Run::start({.model = "acme/chat-7b", .dir = "account"});
//   if (!run.ok()) return fail(run.status());
//   account::torch::install();                       // account/torch.h: watch the dispatcher
//   for (...) { train_one_step(); if (auto s = run->step(); !s.ok()) break; }
//   run->finish();
//
// A rank only adds to counters in shared memory. A second process on its node, the keeper, reads
// them, signs, writes the ledger and judges; start() makes one where there is none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/status.h"
#include "account/totals.h"

namespace account {

class Exchange;
struct Origins;

// Takes bytes as they come; whoever gives them stops at the first failure.
using Sink = std::function<Status(std::string_view bytes)>;

// Each field left empty is taken from the environment (set by `account run`), else from its
// default; docs/reference.md has the table. (The braces let a caller name some of the fields
// without a warning about the others.)
struct RunOptions {
  std::string model{};  // name of the model being trained, for people
  std::string dir{};    // where runs are kept; default "account"
  std::string run{};    // run id; an existing one resumes
  // To judge by while running: ids or files; "ID:pause", "ID:stop@0.95": what to do by itself then.
  std::vector<std::string> policies{};
  std::string authority{};             // "PATH[#sha256 of the first root]"
  std::string framework{};             // e.g. "torch 2.13.0", for the ledger
  std::string resume{};                // checkpoint of an earlier run that training goes on from
  std::vector<std::string> parents{};  // records of the models that training begins from
  std::string developer{};             // whose model it is, for orders about a developer
  // "count"; "stop": there must be an authority to obey; "lock": and a process that is stopped can
  // open nothing for writing, no socket and no program any more.
  std::string setting{};
  // "required": it starts and trains only while the authority leases it, and stops, as by an order,
  // at the end of a lease that was not renewed (libaccount/doc/lease_format.md).
  std::string lease{};
  // Writes what training would go on from (parameters, optimizer, random numbers, the step) to the
  // sink, from the thread that closes steps. Called when a signed stop was obeyed that lets it be
  // saved, and before step() returns: what it gives is encrypted for the holders of the authority's
  // recovery keys and never on disk in plain (libaccount/doc/locked_format.md). Ranks that stop
  // together are in it at the same step, so that it may use collectives.
  std::function<Status(const Sink& to)> state{};
};

// What a stop has let this rank save.
struct SavedState {
  std::string path;   // of the locked file
  uint64_t step = 0;  // steps closed when it was written, by that start of the job
  std::string order;  // of the stop, lower-case hex
};

// What the keeper knew of the whole job about a second ago. For watching: evidence is the ledger.
struct JobStatus {
  uint64_t steps = 0;
  OpCount operations;             // of all ranks, recovered ones included
  OpCount operations_per_second;  // over the last seconds
  Processed processed;            // of all ranks, by what their trainers said
  uint64_t tokens_per_second = 0;
  std::string policy, rule;    // of the nearest threshold; empty where nothing judges
  std::string verdict;         // "below", "approaching", "reached", ...
  OpCount counted, threshold;  // what that rule counts, and its threshold
};

// Owns this process's tally page and its library thread. Thread safety: step() from one thread at
// a time; totals() from any. After a failure to count, training goes on and the gap is recorded.
// Movable, not copyable; the destructor calls finish().
class ACCOUNT_API Run {
 public:
  // Opens this process's incarnation of a run. Fails (and leaves nothing behind) when the
  // directory cannot be written, the keeper cannot be started or found, or an option is not
  // usable; ACCOUNT=off yields a Run that does nothing. Blocks until the keeper has accepted this
  // rank, at most about 10 s.
  static Result<Run> start(const RunOptions& options);

  Run(Run&&) noexcept;
  Run& operator=(Run&&) noexcept;
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run();

  // Closes a training step. At most 2 us; no lock, file, network or Python. Not ok only when the
  // job was told to stop (Code::shutdown_ordered) or has crossed a limit of its own
  // (Code::threshold_reached, RunOptions::policies).
  [[nodiscard]] Status step();

  // Says what this rank has taken in since it said so last: rows of batches, and positions of
  // sequences, padding included; 0 for what is not known. Belongs to the step that is open. Of
  // ranks that share a batch (tensor, pipeline or context parallel) one says it: ranks are added
  // up. Any thread; no lock, a few nanoseconds.
  void processed(uint64_t samples, uint64_t tokens) noexcept;

  // step() in two halves, for a caller with a lock (Python's GIL) that it must not hold while a
  // rank waits. close_step() never blocks and is true when there is nothing to obey; else the
  // caller lets go of its lock and calls obey(), which is ok when training may go on.
  [[nodiscard]] bool close_step();
  [[nodiscard]] Status obey();

  // What this process has counted since start(). Reads shared memory; takes microseconds.
  Totals totals() const;

  // Reads a small file in shared memory; unavailable while there is none. Thread-safe.
  Result<JobStatus> job() const;

  // What RunOptions::resume and ::parents say, for a run that had begun before they were known.
  // Fails, and changes nothing, where the sidecar or a record is missing or does not verify.
  Status began_from(const std::string& resume, const std::vector<std::string>& parents);

  // Tells the keeper that weights were loaded, so that a stop of the run that made them is obeyed
  // here too. What has neither sidecar nor record says nothing.
  void loaded(const std::string& path);

  // To be called once a checkpoint (a file or a folder) is whole: seals what led to it, and waits
  // at most 2 s for its sidecar, `<path>.account.json`, by which a later run goes on from it. Not
  // ok where there is no such checkpoint or no sidecar; training may go on in any case. May be
  // called by one rank or by all; thread-safe.
  Status saved(const std::string& path);

  // RunOptions::state, for a run that had begun before it was known. By the thread that closes
  // steps.
  void set_state(std::function<Status(const Sink& to)> state);

  // What this rank saved at the newest stop of this run at which every rank saved, to go on from
  // once it is lifted: the bytes that RunOptions::state gave. not_found: no stop at which every
  // rank saved; unavailable: it is locked still; out_of_scope: the job had another number of ranks.
  // What the sink was given counts only once this is ok.
  Result<SavedState> read_state(const Sink& to) const;

  // Ends this incarnation and waits at most 2 s for the keeper's closing seal. Idempotent.
  Status finish();

  const std::string& id() const;         // the run id
  const std::string& directory() const;  // <dir>/<run id>
  bool counting() const;                 // false under ACCOUNT=off
  const std::string& authority() const;  // whose orders are obeyed; empty: nobody's
  bool leased() const;                   // trains only while they lease it
  // Who this process is in the job, as its launcher said.
  int rank() const;
  int world_size() const;
  // Where rank 0 itself starts the others of its node, as Lightning's launcher does: the job has so
  // many. Heeded where start() knew of this one alone. Before the first step.
  void has_started_others(int world_size);
  const std::string& node() const;  // 8 hex digits, as in the name of its ledger's folder

  // The road between nodes; account::torch sets the job's c10d store. Replaces an earlier one.
  void set_exchange(std::shared_ptr<Exchange> exchange);

 private:
  struct State;
  static void tell_origins(const Origins& origins, const State& state);
  explicit Run(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace account
