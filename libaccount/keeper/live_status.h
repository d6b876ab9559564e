// LiveStatus: what the keeper of a running job says of it, once a second, for `account status`
// from another terminal. For people; evidence is the ledger. A small JSON file in the page folder,
// readable by the same user only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "account/op_count.h"
#include "account/totals.h"
#include "base/files.h"
#include "base/json.h"

namespace account::keeper {

inline constexpr uint64_t kStatusCapBytes = 1 << 20;

struct LiveRank {
  int rank = -1;
  int local_rank = -1;
  uint32_t pid = 0;
  uint64_t steps = 0;
  OpCount operations;
};

struct LiveStatus {
  std::string run, run_folder, node, model;
  uint32_t keeper_pid = 0;
  uint64_t keeper_start_ticks = 0;
  int64_t updated_unix_ns = 0;
  int world_size = 0;
  uint64_t steps = 0;             // of the job
  std::vector<LiveRank> ranks;    // live ones of this node
  OpCount node_operations;        // this node's ledger and live ranks, recovered ones included
  OpCount job_operations;         // with what the other nodes said last
  OpCount operations_per_second;  // of the job, over the last seconds
  Processed job_processed;        // of the same ranks as job_operations
  uint64_t tokens_per_second = 0;
  std::string mfu_percent;               // of this node's ranks, over the same; empty: not known
  std::vector<std::string> nodes_seen;   // other nodes
  std::vector<std::string> authorities;  // "PATH#pin" of those whose orders it obeys
  std::vector<int> silent_ranks;         // ranks of the world that no node has reported
  std::string policy, rule, verdict;     // nearest threshold; empty without policies
  std::string share_percent;             // "0.0041"; text, because it is no evidence
  OpCount counted, threshold, margin;    // counted: what the rule counts of the operations
  std::string lease;                     // until when it may train; empty: without one
  std::string waits;                     // the limit that was crossed and what to do; empty: none
  std::string trouble;                   // why nothing can be sealed just now; empty: all is well
};

Json to_json(const LiveStatus& status);
Result<LiveStatus> parse_live_status(std::string_view bytes);

// Never fails: a status that cannot be written is a status that is not shown.
void write_live_status(FileSystem& files, const std::string& folder, const LiveStatus& status);

// Those of this user on this node whose keeper is alive, by run id.
std::vector<LiveStatus> live_runs(FileSystem& files);

// "in 3.2 days at this rate", until the nearest threshold is reached; empty where it is already,
// where nothing runs, and beyond ten years. A guess for people: rates change.
std::string projection(const LiveStatus& status);

// "512 samples, 524288 tokens, 8192 tokens a second"; empty where the trainer says nothing.
std::string intake(const LiveStatus& status);

// "4.12e14 a second, MFU 41.2 %", the latter where a peak of the devices is known.
std::string rate(const LiveStatus& status);

// "3.41" for 0.0341: at least three significant digits, never in exponent form.
std::string percent(double share);

}  // namespace account::keeper
