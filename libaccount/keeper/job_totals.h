// JobTotals: what the nodes of a job tell each other about their totals, for the live display.
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
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "account/keys.h"
#include "account/op_count.h"
#include "base/clock.h"
#include "base/exchange.h"

namespace account::keeper {

using Operations = std::map<std::pair<Category, Phase>, OpCount>;

OpCount sum(const Operations& operations);
void add_to(Operations& total, const Operations& more);

struct NodeTotal {
  std::string node;        // 8 hex
  std::vector<int> ranks;  // global ranks that it holds now, ascending
  int world_size = 0;
  uint64_t steps = 0;
  Operations operations;  // executed, over all its incarnations
};

std::string to_blob(const NodeTotal& total);
Result<NodeTotal> parse_total(std::string_view blob);

class JobTotals {
 public:
  // `exchange` must outlive this object.
  JobTotals(Exchange& exchange, const Clock& clock) : exchange_(exchange), clock_(clock) {}
  ~JobTotals();
  JobTotals(const JobTotals&) = delete;
  JobTotals& operator=(const JobTotals&) = delete;

  void set_own(const NodeTotal& own);
  // Runs a round every two seconds from now on.
  void start();
  // One round: post what is own, walk over the rest of the world.
  void round();

  struct View {
    std::vector<NodeTotal> others;  // the last that each other node said
    std::vector<int> silent_ranks;  // of the world, covered by nobody in the last round
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
  NodeTotal own_;
  std::map<std::string, NodeTotal> others_;
  std::vector<int> silent_;
  bool reached_ = false;
  std::thread thread_;
};

}  // namespace account::keeper
