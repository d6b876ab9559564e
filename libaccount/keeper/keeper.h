// Keeper: the loop that turns the tallies of one node's ranks into its ledger.
//
// It finds the pages of a run on this node, accepts them, reads them, seals what they hold, judges
// the live total, says so, and watches which ranks live. It never touches training: a rank that
// hangs, dies or writes nonsense costs a line in the ledger, a full disk costs nothing once there
// is room again (counters are cumulative), and a keeper that dies is followed by another that
// takes up the same pages and the same ledger.
//
// One keeper a place, by a lock in the page folder. Hosted by `account run`, by the process that
// Run::start() makes (`account keeper`), or in a thread of a C++ program: whoever hosts it calls
// turn() every kTurnNs until it says that it is over. Not thread-safe; it owns one thread, for the
// exchange with other nodes.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/exchange.h"
#include "base/files.h"
#include "keeper/brake.h"
#include "keeper/directory_exchange.h"
#include "keeper/job_totals.h"
#include "keeper/judge.h"
#include "keeper/leases.h"
#include "keeper/limits.h"
#include "keeper/live_status.h"
#include "keeper/mailbox_exchange.h"
#include "keeper/metrics.h"
#include "keeper/place.h"
#include "keeper/stop.h"
#include "keeper/utilisation.h"
#include "keeper/voice.h"
#include "keeper/watch.h"
#include "ledger/ledger.h"
#include "record/sidecar.h"

namespace account::keeper {

struct KeeperOptions {
  Place place;
  std::string model;
  std::vector<std::string> policies;  // Judge::add; empty: policy::default_ids()
  bool quiet = false;
  std::vector<std::string> authorities;  // "PATH[#pin]" whose orders are obeyed
  bool lease = false;                    // the job trains only while they lease it
  order::Traits job;                     // what is known of it besides place and model
  std::string exchange_folder;           // shared with the other nodes; empty: the job's store
  std::string metrics_folder;            // for Prometheus; empty: none
  int64_t seal_ns = 0;  // pause between seals; 0: a minute in the first hour, then ten
  // Hosted: the host says when the job is over (host_ended). Else the keeper is over once its last
  // rank is, or when none came.
  bool hosted = false;
};

// What a keeper touches of the world, so that tests own it. All must outlive the keeper.
struct Surroundings {
  FileSystem& files;
  const Clock& clock;
  Say say;  // one line at a time, without '\n'
  // nullptr: through the exchange folder, or else the ranks' mailboxes.
  Exchange* exchange = nullptr;
};

class Keeper {
 public:
  static constexpr int64_t kTurnNs = 100'000'000;

  // Takes the lock and opens the ledger, whose opening line is on disk then. unavailable: another
  // keeper has the place; else what is wrong with the directory, the ledger or the policies.
  static Result<std::unique_ptr<Keeper>> open(const KeeperOptions& options,
                                              const Surroundings& surroundings);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  // Does what is due. False once the keeper is over: everything that can be sealed is.
  bool turn();

  // The host's command has ended, with this exit code. The keeper waits a little for ranks that
  // are still on their way out, closes the ledger and is over.
  void host_ended(int exit_code);
  // Seals at the next turn (a signal that says that the machine goes down).
  void seal_now() { want_seal(ledger::SealReason::time); }

  // shutdown_ordered once an order was obeyed or a lease has ended, threshold_reached once a limit
  // of the job's own has stopped it: then the host's own exit code says so.
  Status stopped() const;

  // Whether an order ends it: no pause, and no stop at whose edge ranks wait for the lift.
  bool is_ended_by_order() const { return stop_ != nullptr && stop_->stopping(); }
  // Something that the host did, for the ledger: a note of `kind`.
  void note(std::string_view kind, std::string_view detail);

  // For how long nobody has lived under a stop, so that the host's command has nothing to wait for;
  // 0 while somebody does, or no order stops.
  int64_t idle_under_stop_ns() const;

  const LiveStatus& status() const { return status_; }

 private:
  Keeper(const KeeperOptions& options, const Surroundings& surroundings);
  Status take_place();
  Status load_policies();
  Result<std::vector<Json>> open_ledger();  // what earlier sessions wrote
  Status judge_start(std::vector<Json> earlier);
  Status permission(const Watch& watch) const;

  // scan.cc: pages come and go
  void scan();
  void consider(const std::string& path, bool in_first_folder);
  void accept(Watch watch, bool in_first_folder);
  void refuse(Watch& watch, const Status& why);
  void settle_lost_pages();
  void observe(Watch& watch);
  void tell_of_damage(Watch& watch);
  // `kind` and `detail` are literals.
  void page_gap(std::string_view kind, const ledger::IncarnationLine& line, int64_t from,
                int64_t to, std::string_view detail);
  void take_mail(Watch& watch);
  void note_missing_ranks();

  // seal.cc
  void want_seal(ledger::SealReason reason);
  bool seal_due(ledger::SealReason& reason) const;
  Status try_seal(ledger::SealReason reason);
  void queue_lines();
  void commit_seal();
  void schedule_seal();
  void ask_for_transcript(Watch& watch);
  // Lines that are written once: kept until a seal holds them.
  void later(std::function<void(ledger::Writer&)> line);
  void gap_later(std::function<void(ledger::Writer&)> line);
  void take_save(Watch& watch, const Json& said);
  void answer_saves();

  // orders.cc
  void obey();
  void brake(const std::vector<Watch*>& ranks, const JobTotals::View& view);
  bool stopping() const;
  void tell_recovery();
  void tell_stop();
  bool may_go_on(const std::vector<Watch*>& ranks) const;
  Status may_begin() const;
  void queue_stop_lines();

  // keeper.cc
  void beat();
  void refresh_status();
  void show(const NodeTotal& own, int64_t now);
  void tell_metrics(bool running);
  void refresh_rate(int64_t now);
  bool over();
  bool finish(bool closing);
  void queue_end(bool closing);

  const KeeperOptions options_;
  const Surroundings world_;
  std::vector<std::string> folders_;  // where pages may lie, best first
  std::string lock_folder_;
  std::unique_ptr<FileLock> lock_;
  Judge judge_;
  Voice voice_;
  std::unique_ptr<ledger::Writer> writer_;

  // Incarnations that earlier sessions wrote, by id, until the first scan has settled them.
  std::map<std::string, ledger::Incarnation> prior_;
  std::map<std::string, Watch> watches_;   // by path of the page
  std::set<std::string> ignored_;          // pages that were refused or do not parse
  Operations settled_;                     // of incarnations that are over and sealed
  std::map<int, uint64_t> settled_steps_;  // by rank
  Processed settled_processed_;
  // Local ranks seen, and when the first came, by restart count.
  struct Generation {
    std::set<int> local_ranks;
    int local_world_size = 0;
    int64_t began_unix_ns = 0;
  };
  std::map<uint32_t, Generation> generations_;
  std::set<uint32_t> generations_judged_;

  std::vector<std::function<void(ledger::Writer&)>> pending_;
  // Checkpoints that ranks have written, until the seal that holds what led to them, by the file
  // beside the rank's page that waits for the answer.
  std::map<std::string, record::Sidecar> saves_;
  bool seal_wanted_ = false;
  ledger::SealReason seal_reason_ = ledger::SealReason::time;
  bool writer_failed_ = false;
  int64_t began_ns_ = 0;
  int64_t next_seal_ns_ = 0, next_retry_ns_ = 0, next_whole_ns_ = 0;
  int64_t next_beat_ns_ = 0, next_status_ns_ = 0;

  std::optional<int> host_exit_;
  int64_t idle_since_ns_ = 0;  // since when there is nothing left to watch
  int64_t ending_since_ns_ = 0;
  bool seen_any_ = false, any_died_ = false, end_queued_ = false;
  bool has_opened_ = false, is_over_ = false;

  struct Sample {
    int64_t monotonic_ns;
    OpCount operations;
    uint64_t tokens;
  };
  std::deque<Sample> samples_;
  LiveStatus status_;
  MetricsFacts metrics_facts_;
  bool metrics_fail_ = false;
  std::unique_ptr<MailboxExchange> mailbox_;
  std::unique_ptr<DirectoryExchange> directory_;
  std::unique_ptr<JobTotals> totals_;
  std::unique_ptr<Stop> stop_;      // none without an authority
  std::unique_ptr<Leases> leases_;  // none where none is asked for; never without stop_
  Limits limits_;
  Metrics metrics_;
  Utilisation utilisation_;
  std::string told_recovery_;             // what the ranks were told last
  Json order_summary_;                    // as stop_ gave it last
  std::optional<std::string> told_stop_;  // stop.json, empty: there is none
  bool recovery_fails_ = false;
  Brake brake_;
};

// Whether a job may start, as its keeper would judge: ok, the stop that stands against it, the
// lease that it lacks, or else the limit that the run has crossed and nobody has acknowledged. Any
// other code: that cannot be judged. Reads the authorities, and the run's ledgers as its keeper
// would. Writes nothing.
Status may_start(FileSystem& files, const Clock& clock, const KeeperOptions& options);

// What a process does that was to be the keeper and cannot: tells every rank that waits why.
// Returns how many there were.
int refuse_waiting_pages(FileSystem& files, const Place& place, const Status& why);

// Whether a process of this node's run was accepted by some keeper, and lives.
bool ranks_train(FileSystem& files, const Place& place);
// Whether some process is the keeper of this place.
bool keeper_lives(FileSystem& files, const Place& place);

}  // namespace account::keeper
