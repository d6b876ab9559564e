// JobTotals: what the nodes of a job tell each other: their totals, for the live display and for
// limits, and while they brake their votes and the order itself (keeper/stop.h verifies it).
//
// Evidence is each node's own ledger; nothing here reaches one. A node posts under the lowest
// global rank that it holds, and its blob lists all of them; a reader goes from the lowest rank
// that nobody has covered yet to the next, which is always the lowest of its node. So nobody
// registers, and the ranks of a silent node are known by number.
//
// Owns a thread, because a store may hang: that then delays this display and nothing else.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "account/export.h"
#include "account/keys.h"
#include "account/op_count.h"
#include "base/clock.h"
#include "base/exchange.h"

namespace account::keeper {

using Operations = std::map<std::pair<Category, Phase>, OpCount>;

OpCount sum(const Operations& operations);
void add_to(Operations& total, const Operations& more);

// What a node says while it brakes.
struct NodeStop {
  uint32_t start = 0;  // restart count of the ranks that it is about
  uint64_t vote = 0;   // keeper/vote.h
  std::string about;   // the limit that it brakes for; empty: an order
  std::vector<std::string> envelopes;
};

struct NodeTotal {
  std::string node;        // 8 hex
  std::vector<int> ranks;  // global ranks that it holds now, ascending
  int world_size = 0;
  uint64_t steps = 0;
  Operations operations;  // executed, over all its incarnations
  std::optional<NodeStop> stop;
  // keeper/limits.h: crossed and not acknowledged, with the reason; acknowledged.
  std::map<std::string, std::string> limits;
  std::set<std::string> acknowledged;
};

ACCOUNT_API std::string to_blob(const NodeTotal& total);
ACCOUNT_API Result<NodeTotal> parse_total(std::string_view blob);

class JobTotals {
 public:
  // `exchange` must outlive this object.
  JobTotals(Exchange& exchange, const Clock& clock) : exchange_(exchange), clock_(clock) {}
  ~JobTotals();
  JobTotals(const JobTotals&) = delete;
  JobTotals& operator=(const JobTotals&) = delete;

  void set_own(const NodeTotal& own);
  // Runs a round every two seconds from now on; every tenth of a second while hurried.
  void start();
  void hurry(bool hurried);
  // One round: post what is own, walk over the rest of the world.
  void round();

  struct View {
    std::vector<NodeTotal> others;  // the last that each other node said
    std::vector<int> silent_ranks;  // of the world, covered by nobody in the last walk
    bool reached = false;           // the last round could post
  };
  View view() const;

 private:
  void loop();

  Exchange& exchange_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  bool hurried_ = false;
  NodeTotal own_;
  std::map<std::string, NodeTotal> others_;
  std::vector<int> silent_;
  bool reached_ = false;
  std::thread thread_;

  // Of the walk over the world, which may take several rounds; the thread's.
  int next_rank_ = 0, walk_world_ = 0;
  std::set<int> covered_;
  std::vector<int> walk_silent_;
};

}  // namespace account::keeper
