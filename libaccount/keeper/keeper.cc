// Keeper: its beginning, its turns and its end.
#include "keeper/keeper.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/process.h"
#include "count/transcript.h"
#include "keeper/page_words.h"
#include "tally/folders.h"

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStatusPause = kSecond;
constexpr int64_t kRateWindow = 10 * kSecond;
// How long a keeper without a host stays when nobody came, and after the last rank left.
constexpr int64_t kNobodyCame = 15 * kSecond;
constexpr int64_t kLastLeft = kSecond;
// How long after its command a host waits for ranks that are still on their way out.
constexpr int64_t kStragglers = 5 * kSecond;
// How long an end waits for a disk that refuses: a host's caller waits with it, nobody waits for
// the other.
constexpr int64_t kHostedPatience = 10 * kSecond, kLonePatience = 600 * kSecond;

// A keeper that is just ending, or one that only looks whether the lock is free, holds it briefly.
constexpr int kLockAttempts = 20;
constexpr int kLedgerAttempts = 60;
constexpr auto kAttemptPause = std::chrono::milliseconds(50);

// Note: [lock file] A keeper that ends removes its lock file, and another may have opened it just
// before: a lock on a file without a name guards nothing. So a lock counts only where a second look
// at the name finds it held.
Result<std::unique_ptr<FileLock>> lock_place(FileSystem& files, const std::string& path) {
  auto lock = files.lock(path);
  if (!lock.ok()) return lock;
  const Code second = files.lock(path).status().code();
  if (second == Code::unavailable) return lock;
  return Status(Code::unavailable, "the lock " + path + " was taken away");
}

std::string describe(const Distance& distance) {
  return fmt::format("{}, rule '{}': {} of {} operations", distance.policy, distance.rule,
                     distance.counted.to_short(), distance.threshold.to_short());
}

Json facts_of(const Distance& distance) {
  return Json::object({{"policy", distance.policy},
                       {"rule", distance.rule},
                       {"counted", distance.counted},
                       {"threshold", distance.threshold}});
}

}  // namespace

Keeper::Keeper(const KeeperOptions& options, const Surroundings& surroundings)
    : options_(options),
      world_(surroundings),
      folders_(options.place.page_folders()),
      voice_(surroundings.say, options.quiet),
      limits_(surroundings.files, surroundings.clock, options.place.run_folder()),
      metrics_(surroundings.files, surroundings.clock, options.metrics_folder),
      utilisation_(device_here(FileSystem::real())),
      brake_(surroundings.clock) {
  began_ns_ = idle_since_ns_ = world_.clock.monotonic_ns();
  status_.run = options.place.run;
  status_.run_folder = options.place.run_folder();
  status_.node = options.place.node;
  status_.model = options.model;
  status_.keeper_pid = static_cast<uint32_t>(getpid());
  status_.keeper_start_ticks = process_start_ticks(getpid());
}

Keeper::~Keeper() {
  if (mailbox_ != nullptr) mailbox_->close();
  totals_.reset();
  writer_.reset();
  if (lock_ == nullptr) return;
  // Last, and after the ledger is free: who comes now is the next keeper.
  if (is_over_ || !has_opened_) {
    (void)world_.files.remove(join_path(lock_folder_, kStatusName)).ok();
    (void)world_.files.remove(join_path(lock_folder_, kLockName)).ok();
    rmdir(lock_folder_.c_str());  // fails while pages lie there, as it should
  }
}

Result<std::unique_ptr<Keeper>> Keeper::open(const KeeperOptions& options,
                                             const Surroundings& surroundings) {
  std::unique_ptr<Keeper> keeper(new Keeper(options, surroundings));
  ACCOUNT_RETURN_IF_ERROR(keeper->take_place());
  ACCOUNT_RETURN_IF_ERROR(keeper->load_policies());
  ACCOUNT_ASSIGN_OR_RETURN(std::vector<Json> earlier, keeper->open_ledger());
  ACCOUNT_RETURN_IF_ERROR(keeper->judge_start(std::move(earlier)));
  Exchange* exchange = surroundings.exchange;
  if (exchange == nullptr && !options.exchange_folder.empty()) {
    keeper->directory_ =
        std::make_unique<DirectoryExchange>(join_path(options.exchange_folder, options.place.run),
                                            surroundings.files, surroundings.clock);
    exchange = keeper->directory_.get();
  } else if (exchange == nullptr) {
    keeper->mailbox_ = std::make_unique<MailboxExchange>(surroundings.clock);
    exchange = keeper->mailbox_.get();
  }
  keeper->totals_ = std::make_unique<JobTotals>(*exchange, surroundings.clock);
  keeper->totals_->start();
  keeper->has_opened_ = true;
  keeper->voice_.started(keeper->status_, keeper->judge_.words(), options.authorities);
  return keeper;
}

Status Keeper::take_place() {
  Status last(Code::io, "no folder for the tally pages can be made");
  for (const std::string& folder : folders_) {
    last = tally::open_private_folder(folder).status();
    if (!last.ok()) continue;
    for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
      auto lock = lock_place(world_.files, join_path(folder, kLockName));
      if (lock.ok()) {
        lock_ = std::move(lock).value();
        lock_folder_ = folder;
        return Status();
      }
      last = lock.status();
      if (last.code() != Code::unavailable) break;
      std::this_thread::sleep_for(kAttemptPause);
    }
    if (last.code() == Code::unavailable) {
      return Status(Code::unavailable, "another keeper serves run '" + options_.place.run +
                                           "' on node " + options_.place.node);
    }
  }
  return last;
}

Status Keeper::load_policies() {
  const auto& wanted = options_.policies.empty() ? policy::default_ids() : options_.policies;
  for (const std::string& id : wanted) ACCOUNT_RETURN_IF_ERROR(judge_.add(id));
  return Status();
}

Result<std::vector<Json>> Keeper::open_ledger() {
  std::vector<Json> earlier;
  const std::string node_folder =
      join_path(options_.place.run_folder(), "node-" + options_.place.node);
  Status unread;
  if (world_.files.exists(join_path(node_folder, "run.json"))) {
    // What earlier sessions counted belongs to the live total, and tells which pages are news.
    auto report = ledger::verify(world_.files, node_folder, std::nullopt, &count::recount);
    unread = report.status();
    if (report.ok()) {
      earlier = ledger::events_of(*report);
      for (auto& incarnation : report->incarnations) {
        const std::string id = incarnation.line.id;
        prior_[id] = std::move(incarnation);
      }
    }
  }
  ledger::WriterOptions options;
  options.run_folder = options_.place.run_folder();
  options.run_id = options_.place.run;
  options.node = options_.place.node;
  options.policies = judge_.references();
  for (int attempt = 0;; ++attempt) {
    auto writer = ledger::Writer::open(world_.files, world_.clock, options);
    if (writer.ok()) {
      writer_ = std::move(writer).value();
      break;
    }
    if (writer.status().code() != Code::unavailable || attempt == kLedgerAttempts) {
      return writer.status();
    }
    std::this_thread::sleep_for(kAttemptPause);
  }
  schedule_seal();
  ACCOUNT_RETURN_IF_ERROR(unread);  // the writer refuses what does not verify, and says so better
  return earlier;
}

bool Keeper::turn() {
  if (is_over_) return false;
  const int64_t now = world_.clock.monotonic_ns();
  scan();
  for (auto& [path, watch] : watches_) observe(watch);
  note_missing_ranks();
  obey();
  if (now >= next_beat_ns_) beat();
  // Before a seal, so that the last totals of a rank that ends are shown.
  if (now >= next_status_ns_) refresh_status();
  ledger::SealReason reason = ledger::SealReason::time;
  if (seal_due(reason)) {
    (void)try_seal(reason).ok();  // said and tried again
    beat();
  }
  if (over()) is_over_ = true;
  return !is_over_;
}

void Keeper::host_ended(int exit_code) { host_exit_ = exit_code; }

void Keeper::note(std::string_view kind, std::string_view detail) {
  later([body = Json::object({{"kind", kind}, {"detail", detail}})](ledger::Writer& writer) {
    writer.event("note", body);
  });
}

int64_t Keeper::idle_under_stop_ns() const {
  const int64_t quiet_since = brake_.quiet_since_ns();
  if (!stopping() || quiet_since == 0) return 0;
  return world_.clock.monotonic_ns() - std::max(quiet_since, idle_since_ns_);
}

void Keeper::beat() {
  const int64_t now = world_.clock.monotonic_ns();
  next_beat_ns_ = now + kBeatNs;
  for (auto& [path, watch] : watches_) {
    watch.page->layout().control.keeper_beat_ns.store(static_cast<uint64_t>(now),
                                                      std::memory_order_relaxed);
  }
}

void Keeper::refresh_status() {
  const int64_t now = world_.clock.monotonic_ns();
  next_status_ns_ = now + kStatusPause;
  NodeTotal own;
  own.node = options_.place.node;
  own.operations = settled_;
  own.processed = settled_processed_;
  std::map<int, uint64_t> steps = settled_steps_;
  std::vector<std::shared_ptr<tally::PageView>> pages;
  std::vector<const Watch*> live;
  std::vector<const std::vector<tally::CellRow>*> counted;
  status_.ranks.clear();
  for (auto& [path, watch] : watches_) {
    if (watch.ended.empty()) read_counters(watch);
    add_to(own.operations, watch.operations());
    own.processed = saturating_add(own.processed, watch.counters.processed);
    counted.push_back(&watch.counters.rows);
    steps[watch.line.rank] += watch.counters.steps_closed;
    own.world_size = std::max(own.world_size, watch.line.world_size);
    if (watch.ended.empty() && !watch.is_child()) live.push_back(&watch);
  }
  std::sort(live.begin(), live.end(),
            [](const Watch* a, const Watch* b) { return a->line.local_rank < b->line.local_rank; });
  for (const Watch* watch : live) {
    pages.push_back(watch->page);
    own.ranks.push_back(watch->line.rank);
    status_.ranks.push_back({watch->line.rank, watch->line.local_rank, watch->header().pid,
                             watch->counters.steps_closed, sum(watch->operations())});
  }
  std::sort(own.ranks.begin(), own.ranks.end());
  utilisation_.look(counted, live.size(), now);
  status_.mfu_percent = utilisation_.percent();
  for (const auto& [rank, closed] : steps) own.steps = std::max(own.steps, closed);
  if (mailbox_ != nullptr) mailbox_->set_pages(std::move(pages));
  own.limits = limits_.pending();
  own.acknowledged = limits_.acknowledged();
  if (stop_ != nullptr) own.lifts = stop_->lifts();
  own.stop = brake_.to_tell();
  if (own.stop) {
    if (stop_ != nullptr) own.stop->envelopes = stop_->envelopes();
    for (const Watch* watch : live) {
      own.stop->start = std::max(own.stop->start, watch->line.restart_count);
    }
  }
  totals_->set_own(own);
  show(own, now);
}

// What this node and the others counted, as a status and, when one is due, a line.
void Keeper::show(const NodeTotal& own, int64_t now) {
  Operations job = own.operations;
  status_.job_processed = own.processed;
  const std::shared_ptr<const JobTotals::View> view = totals_->view();
  status_.steps = own.steps;
  status_.nodes_seen.clear();
  for (const NodeTotal& other : view->others) {
    if (other.covers > 0) {  // a sum has this node's part in it, a little older
      if (sum(other.operations) > sum(job)) {
        job = other.operations;
        status_.job_processed = other.processed;
      }
    } else {
      add_to(job, other.operations);
      status_.job_processed = saturating_add(status_.job_processed, other.processed);
      status_.nodes_seen.push_back(other.node);
    }
    status_.steps = std::max(status_.steps, other.steps);
  }
  status_.silent_ranks = view->silent_ranks;
  status_.updated_unix_ns = world_.clock.unix_ns();
  if (own.world_size > 0) status_.world_size = own.world_size;
  status_.node_operations = sum(own.operations);
  metrics_facts_.operations = own.operations;
  metrics_facts_.processed = own.processed;
  status_.job_operations = sum(job);
  refresh_rate(now);
  const auto distances = judge_.distances(job, to_iso_date(status_.updated_unix_ns));
  if (const Distance* closest = nearest(distances)) {
    status_.policy = closest->policy;
    status_.rule = closest->rule;
    status_.verdict = policy::name(closest->verdict);
    status_.share_percent = percent(closest->share);
    status_.counted = closest->counted;
    status_.threshold = closest->threshold;
    status_.margin = closest->margin;
  }
  for (const Distance& distance : distances) {
    for (const Limit& limit : judge_.limits()) {
      if (is_crossed(limit, distance))
        limits_.crossed(limit, describe(distance), facts_of(distance));
    }
  }
  status_.waits = limits_.permission().ok() ? "" : limits_.permission().to_string();
  if (leases_ != nullptr) status_.lease = leases_->spoken();
  write_live_status(world_.files, lock_folder_, status_);
  voice_.progress(status_, distances, now);
  if (metrics_.due(now)) tell_metrics(true);
}

void Keeper::tell_metrics(bool running) {
  metrics_facts_.running = running;
  metrics_facts_.ordered = stopping();
  metrics_facts_.held = running && !metrics_facts_.ordered && brake_.phase() != Brake::Phase::off;
  const Status written = metrics_.write(status_, metrics_facts_);
  if (!written.ok() && !metrics_fail_) {
    voice_.trouble("the metrics cannot be written: " + written.to_string() +
                   "; training and the ledger go on");
  }
  metrics_fail_ = !written.ok();
}

void Keeper::refresh_rate(int64_t now) {
  samples_.push_back({now, status_.job_operations, status_.job_processed.tokens});
  while (samples_.size() > 2 && samples_.front().monotonic_ns < now - kRateWindow) {
    samples_.pop_front();
  }
  const Sample& first = samples_.front();
  const int64_t elapsed = now - first.monotonic_ns;
  const auto done = checked_subtract(status_.job_operations, first.operations);
  if (elapsed <= 0 || !done.has_value()) return;
  const auto a_second = [&](OpCount count) {
    return OpCount::from_raw(saturating_multiply(count, static_cast<uint64_t>(kSecond)).raw() /
                             static_cast<Uint128>(elapsed));
  };
  status_.operations_per_second = a_second(*done);
  const uint64_t tokens = status_.job_processed.tokens;
  status_.tokens_per_second = a_second(tokens - std::min(tokens, first.tokens)).low();
}

bool Keeper::over() {
  const int64_t now = world_.clock.monotonic_ns();
  const bool all_ended = std::all_of(watches_.begin(), watches_.end(),
                                     [](const auto& entry) { return !entry.second.ended.empty(); });
  if (!all_ended) idle_since_ns_ = now;
  const bool host_gone = options_.hosted && host_exit_.has_value();
  const bool lone_end = !options_.hosted && all_ended &&
                        now - idle_since_ns_ >= (seen_any_ ? kLastLeft : kNobodyCame);
  if (!host_gone && !lone_end) {
    ending_since_ns_ = 0;
    return false;
  }
  if (ending_since_ns_ == 0) ending_since_ns_ = now;
  const int64_t ending_for = now - ending_since_ns_;
  if (!all_ended && ending_for < kStragglers) return false;
  if (!writer_failed_) return finish(all_ended);
  // turn() tries again each second; once it succeeds, the end is sealed as well.
  const int64_t patience = options_.hosted ? kHostedPatience : kLonePatience;
  if (ending_for < patience) return false;
  voice_.trouble("gave up sealing: " + status_.trouble + "; the last counters wait in " +
                 folders_.front() + ": make room, then run 'account run --dir " +
                 options_.place.dir + " --run " + options_.place.run + " -- true'");
  return true;
}

// The last seal. With `closing` the ledger is closed; else ranks live on, and the keeper that they
// will make takes it up.
bool Keeper::finish(bool closing) {
  refresh_status();
  note_missing_ranks();
  if (!end_queued_) queue_end(closing);
  const bool sealed = try_seal(ledger::SealReason::end).ok();
  tell_metrics(!closing);  // else ranks live on
  if (sealed) voice_.ended(status_, judge_.ids(), closing);
  return sealed;
}

void Keeper::queue_end(bool closing) {
  end_queued_ = true;
  if (host_exit_.has_value() && !seen_any_) {
    gap_later([](ledger::Writer& writer) {
      writer.gap(Json::object({{"kind", "nothing_counted"},
                               {"detail", "no process of the command opened an account"}}));
    });
    voice_.trouble("no process of this command opened an account: nothing was counted");
  }
  if (closing) {
    Json outcome = Json::object({{"how", any_died_ ? "died" : "finished"}});
    if (host_exit_.has_value()) outcome.set("exit_code", *host_exit_);
    later([outcome](ledger::Writer& writer) { writer.closed(outcome); });
  }
}

int refuse_waiting_pages(FileSystem& files, const Place& place, const Status& why) {
  int refused = 0;
  for (const std::string& folder : place.page_folders()) {
    const auto names = files.list(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!name.ends_with(kPageSuffix)) continue;
      auto page = tally::PageView::open(join_path(folder, name));
      if (!page.ok() || acceptance((*page)->layout()) != Acceptance::waiting) continue;
      write_reason((*page)->layout(), why);
      set_acceptance((*page)->layout(), Acceptance::refused);
      ++refused;
    }
  }
  return refused;
}

bool ranks_train(FileSystem& files, const Place& place) {
  for (const std::string& folder : place.page_folders()) {
    const auto names = files.list(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!name.ends_with(kPageSuffix)) continue;
      const auto page = tally::PageView::open(join_path(folder, name));
      const bool accepted = page.ok() && acceptance((*page)->layout()) == Acceptance::accepted;
      if (accepted && (*page)->alive()) return true;
    }
  }
  return false;
}

bool keeper_lives(FileSystem& files, const Place& place) {
  for (const std::string& folder : place.page_folders()) {
    const std::string path = join_path(folder, kLockName);
    if (!files.exists(path)) continue;
    if (files.lock(path).status().code() == Code::unavailable) return true;
  }
  return false;
}

}  // namespace account::keeper
