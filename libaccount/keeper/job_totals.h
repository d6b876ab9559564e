// JobTotals: what the nodes of a job tell each other: their totals, for the live display and for
// limits, and while they brake their votes and the order itself (keeper/stop.h verifies it).
//
// Evidence is each node's own ledger; nothing here reaches one. A node posts under the lowest
// global rank that it holds, and its blob lists all of them; a reader goes from the lowest rank
// that nobody has covered yet to the next, which is always the lowest of its node. So nobody
// registers, and the ranks of a silent node are known by number.
//
// Where a job has many nodes (kDirectNodes), only the node of rank 0 walks over all of them, and
// posts the sum; the others read that one blob, and walk themselves while it does not change. What
// they ask of the job's store grows with the nodes, not with their square.
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
#include "account/totals.h"
#include "base/clock.h"
#include "base/exchange.h"
#include "sign/sign.h"

namespace account::keeper {

using Operations = std::map<std::pair<Category, Phase>, OpCount>;

OpCount sum(const Operations& operations);
void add_to(Operations& total, const Operations& more);

// What a node says while it brakes.
struct NodeStop {
  uint32_t start = 0;    // restart count of the ranks that it is about
  uint64_t vote = 0;     // keeper/vote.h
  std::string about;     // the limit that it brakes for; empty: an order
  sign::Digest order{};  // the stop; in a sum the lowest of all; zeros: no stop
  std::vector<std::string> envelopes;
};

struct NodeTotal {
  std::string node;        // 8 hex
  std::vector<int> ranks;  // global ranks that it holds now, ascending
  int world_size = 0;
  uint64_t steps = 0;
  Operations operations;  // executed, over all its incarnations
  Processed processed;    // over the same
  std::optional<NodeStop> stop;
  // keeper/limits.h: crossed and not acknowledged, with the reason; acknowledged.
  std::map<std::string, std::string> limits;
  std::set<std::string> acknowledged;
  std::vector<std::string> lifts;  // envelopes of those that ended a pause of this session

  // Not 0: it is said of the whole job (`ranks` is empty then), as the node of rank 0 heard so many
  // ranks of it; while that node brakes, so many whose votes are in `stop`.
  int covers = 0;
  uint64_t sequence = 0;  // of such sums
};

ACCOUNT_API std::string to_blob(const NodeTotal& total);
ACCOUNT_API Result<NodeTotal> parse_total(std::string_view blob);

class JobTotals {
 public:
  static constexpr int kDirectNodes = 64;
  // So many rounds without a new sum, and a node walks itself.
  static constexpr int kPatienceRounds = 5;

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
    std::vector<NodeTotal> others;  // the last that each other node said, or the sum alone
    std::vector<int> silent_ranks;  // of the world, covered by nobody in the last walk
    bool reached = false;           // the last round could post
  };
  // A snapshot that is made once a round: asked for ten times a second.
  std::shared_ptr<const View> view() const;

 private:
  void loop();
  void publish(std::vector<int> silent, bool reached);
  bool hear_sum(const NodeTotal& own);
  void walk(const NodeTotal& own, bool posted, int most_questions);
  void post_sum(const NodeTotal& own);

  Exchange& exchange_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  bool hurried_ = false;
  NodeTotal own_;
  std::map<std::string, NodeTotal> others_;
  std::shared_ptr<const View> view_ = std::make_shared<View>();
  std::optional<NodeTotal> sum_;  // the last that the node of rank 0 said, while it says more
  std::thread thread_;

  // Of the walk over the world, which may take several rounds; the thread's.
  int next_rank_ = 0, walk_world_ = 0;
  std::set<int> covered_;
  std::vector<int> walk_silent_;
  uint64_t sequence_ = 0;  // of sums, posted or heard
  int misses_ = 0;
};

}  // namespace account::keeper
