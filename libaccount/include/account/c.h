// libaccount for C, and for every language that can call C: what account/run.h does for C++. Where
// this page says less, that header holds.
//
//   account_options options = {.size = sizeof options, .model = "acme/chat-7b"};
//   account_run* run = NULL;
//   if (account_start(&options, &run) != ACCOUNT_OK) { fprintf(stderr, "%s\n", account_error());
//   ... } for (...) {
//     ...; account_add((account_op_count){.low = 2 * m * n * k}, "my_gemm", "bfloat16", "forward",
//     NULL); if (account_step(run) != ACCOUNT_OK) break;  // a signed stop, or a limit of the job's
//     own
//   }
//   account_finish(&run);
//
// Every function may be called from any thread, account_step() from one at a time. A pointer to
// text may be NULL where it says so, and is read before the call returns. Names are UTF-8.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ACCOUNT_C_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

// As account::Code; numbers never change their meaning.
typedef enum account_code {
  ACCOUNT_OK = 0,
  ACCOUNT_INVALID_ARGUMENT = 1,
  ACCOUNT_NOT_FOUND = 2,
  ACCOUNT_CORRUPT = 3,
  ACCOUNT_UNVERIFIED = 4,
  ACCOUNT_EXPIRED = 5,
  ACCOUNT_REPLAYED = 6,
  ACCOUNT_OUT_OF_SCOPE = 7,
  ACCOUNT_THRESHOLD_REACHED = 8,
  ACCOUNT_SHUTDOWN_ORDERED = 9,
  ACCOUNT_IO = 10,
  ACCOUNT_UNAVAILABLE = 11,
  ACCOUNT_INTERNAL = 12
} account_code;

// Why the last call on this thread that was not ACCOUNT_OK was not: one sentence, and what to do.
// Valid until the next call on this thread; empty before the first failure.
ACCOUNT_C_API const char* account_error(void);

// What a job exits with: 86 for ACCOUNT_SHUTDOWN_ORDERED, 3 for ACCOUNT_THRESHOLD_REACHED, 0 for
// ACCOUNT_OK, else 1.
ACCOUNT_C_API int account_exit_code(account_code code);

ACCOUNT_C_API const char* account_version(void);

// A number of operations: low + high * 2^64.
typedef struct account_op_count {
  uint64_t low, high;
} account_op_count;

// One process's part of a run.
typedef struct account_run account_run;

// Takes `size` bytes; what is not ACCOUNT_OK ends the writing.
typedef account_code (*account_sink)(void* to, const void* bytes, size_t size);

// NULL in any field: from the environment (set by `account run`), else its default; docs/cli.md.
typedef struct account_options {
  size_t size;  // sizeof(account_options): of a caller of an earlier version, the rest is NULL
  const char* model;
  const char* dir;
  const char* run;
  const char* policies;  // with commas
  const char* parents;   // with commas
  const char* authority;
  const char* developer;
  const char* resume;
  const char* setting;    // "count", "stop" or "lock"
  const char* framework;  // for the ledger, such as "llm.c 1.0"
  // RunOptions::state: writes what training would go on from, when a signed stop lets it.
  account_code (*save_state)(void* context, account_sink write, void* to);
  void* context;      // of save_state
  const char* lease;  // "required": trains only while the authority leases it
} account_options;

// Begins this process's part of a run; `run` is set only on ACCOUNT_OK. Blocks until a keeper has
// accepted it, at most about 10 s. ACCOUNT_SHUTDOWN_ORDERED, ACCOUNT_THRESHOLD_REACHED: it may not
// start. Under ACCOUNT=off it is ACCOUNT_OK, and nothing is counted.
ACCOUNT_C_API account_code account_start(const account_options* options, account_run** run);

// Closes a training step; at most 2 us. ACCOUNT_SHUTDOWN_ORDERED: a signed stop ends the job at
// this step; ACCOUNT_THRESHOLD_REACHED: a limit of its own does. Waits while the job is paused.
ACCOUNT_C_API account_code account_step(account_run* run);

// Says what this rank has taken in since it said so last, before account_step(): rows of batches,
// and positions of sequences, padding included; 0 for what is not known. Of ranks that share a
// batch one says it.
ACCOUNT_C_API account_code account_processed(account_run* run, uint64_t samples, uint64_t tokens);

// Counts one call of a kernel that nobody else counts, where it was launched. A multiplication and
// an addition count 1 each. `op` is its name; `dtype` the type that its arithmetic ran in, as torch
// names it ("bfloat16"); `phase` is "forward", "backward", "recompute" or "optimizer"; `category`
// "train", "evaluate", "generate", "rollout" or "auxiliary", NULL: unassigned. Takes a lock for the
// name. ACCOUNT_INVALID_ARGUMENT for another word, and for more than 10^24 operations.
ACCOUNT_C_API account_code account_add(account_op_count operations, const char* op,
                                       const char* dtype, const char* phase, const char* category);

// What this process has counted since account_start().
typedef struct account_figures {
  account_op_count executed;  // recomputation included
  account_op_count model;     // without recomputation
  account_op_count lower, upper;
  uint64_t calls, steps;
  uint64_t samples, tokens;  // as account_processed() said
} account_figures;
ACCOUNT_C_API account_code account_totals(const account_run* run, account_figures* figures);

// What the keeper knew of the whole job about a second ago. ACCOUNT_UNAVAILABLE before it has said
// anything.
typedef struct account_job {
  uint64_t steps;
  account_op_count operations, operations_per_second;
  account_op_count counted, threshold;  // of the nearest threshold; 0 where nothing judges
  uint64_t samples, tokens, tokens_per_second;
} account_job;
ACCOUNT_C_API account_code account_job_status(const account_run* run, account_job* job);

// Tells that a checkpoint is whole; waits at most 2 s for its sidecar, `<path>.account.json`.
ACCOUNT_C_API account_code account_saved(account_run* run, const char* path);

// Asks the export gate, before weights are written by code of one's own: `way` names the writer,
// `target` the file. ACCOUNT_SHUTDOWN_ORDERED: they must not leave; the ledger keeps the attempt.
ACCOUNT_C_API account_code account_may_export(const char* way, const char* target);

// What save_state wrote at the newest stop of this run, once it is lifted and opened; see
// Run::read_state. What the sink was given counts only once this is ACCOUNT_OK.
ACCOUNT_C_API account_code account_read_state(const account_run* run, account_sink sink, void* to);

// Ends this process's part, waits at most 2 s for the closing seal, frees `*run` and sets it to
// NULL. NULL is fine.
ACCOUNT_C_API account_code account_finish(account_run** run);

#ifdef __cplusplus
}
#endif
