// Keeper: what was read becomes lines, and lines become sealed.
#include <algorithm>

#include "keeper/keeper.h"
#include "keeper/page_words.h"

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kMinute = 60 * kSecond;
constexpr int64_t kHour = 60 * kMinute;

// design.md §2: "every 60 s in the first hour, then every 10 min".
constexpr int64_t kEarlyPause = kMinute, kLatePause = 10 * kMinute;
constexpr int64_t kRetryPause = kSecond;
// Full tables with ops come hourly on the first day, then daily; in between, lines without
// (docs/decisions.md, Evidence).
constexpr int64_t kDay = 24 * kHour;
// A transcript is asked for within this many steps of a seal.
constexpr uint64_t kTranscriptSpread = 16;

}  // namespace

void Keeper::want_seal(ledger::SealReason reason) {
  seal_wanted_ = true;
  seal_reason_ = reason;
}

void Keeper::later(std::function<void(ledger::Writer&)> line) {
  pending_.push_back(std::move(line));
}

bool Keeper::seal_due(ledger::SealReason& reason) const {
  const int64_t now = world_.clock.monotonic_ns();
  if (writer_failed_ && now < next_retry_ns_) return false;
  reason = ledger::SealReason::rank_ended;
  if (std::any_of(watches_.begin(), watches_.end(),
                  [](const auto& entry) { return !entry.second.ended.empty(); })) {
    return true;
  }
  reason = seal_reason_;
  return seal_wanted_ || writer_failed_ || now >= next_seal_ns_;
}

Status Keeper::try_seal(ledger::SealReason reason) {
  const bool had_failed = writer_failed_;
  Status status = had_failed ? writer_->reopen() : Status();
  if (status.ok()) {
    for (auto& [path, watch] : watches_) {
      if (watch.ended.empty()) read_counters(watch);
    }
    queue_lines();
    status = writer_->seal(reason);
  }
  schedule_seal();
  writer_failed_ = !status.ok();
  if (!status.ok()) {
    status_.trouble = status.to_string();
    if (!had_failed) {
      voice_.trouble(
          "cannot seal: " + status_.trouble +
          "; training goes on, and nothing is lost while its processes or this one live");
    }
    return status;
  }
  status_.trouble.clear();
  if (had_failed) voice_.trouble("sealing works again; nothing was lost");
  commit_seal();
  return status;
}

void Keeper::queue_lines() {
  const bool whole_is_due = world_.clock.monotonic_ns() >= next_whole_ns_;
  for (const auto& [path, watch] : watches_) {
    const int number = writer_->incarnation(watch.line);
    const bool ends = !watch.ended.empty();
    const bool with_ops = ends || whole_is_due || !watch.sealed_whole;
    if (ends || watch.changed_since_seal()) {
      writer_->counters(counter_line(watch, number, with_ops));
    }
  }
  for (const auto& line : pending_) line(*writer_);
  for (const auto& [path, watch] : watches_) {
    if (!watch.ended.empty()) writer_->ended(writer_->incarnation(watch.line), watch.ended);
  }
}

void Keeper::gap_later(std::function<void(ledger::Writer&)> line) {
  ++metrics_facts_.gaps;
  later(std::move(line));
}

void Keeper::answer_saves() {
  constexpr int kMode = 0644;
  const ledger::SealedState sealed = writer_->sealed();
  for (auto& [path, sidecar] : saves_) {
    sidecar.cut.size = sealed.lines;
    sidecar.cut.root = sealed.root_hex;
    // A rank without an answer says so itself.
    (void)world_.files.write_atomically(path, record::write_sidecar(sidecar), kMode).ok();
  }
  saves_.clear();
}

void Keeper::commit_seal() {
  pending_.clear();
  metrics_facts_.sealed_unix_ns = world_.clock.unix_ns();
  answer_saves();
  seal_wanted_ = false;
  seal_reason_ = ledger::SealReason::time;
  const int64_t now = world_.clock.monotonic_ns();
  if (now >= next_whole_ns_) next_whole_ns_ = now + (now - began_ns_ < kDay ? kHour : kDay);
  for (auto entry = watches_.begin(); entry != watches_.end();) {
    Watch& watch = entry->second;
    watch.sealed_calls = watch.calls();
    watch.sealed_steps = watch.counters.steps_closed;
    watch.sealed_processed = watch.counters.processed;
    watch.sealed_once = true;
    if (watch.whole.ok()) watch.good_until_unix_ns = metrics_facts_.sealed_unix_ns;
    watch.sealed_whole = watch.sealed_whole || watch.sealed_calls > 0;
    for (StepFold* fold : {&watch.steps, &watch.step_samples, &watch.step_tokens}) fold->clear();
    watch.page->layout().control.sealed.fetch_add(1, std::memory_order_release);
    if (watch.ended.empty()) {
      ask_for_transcript(watch);
      ++entry;
      continue;
    }
    add_to(settled_, watch.operations());
    settled_steps_[watch.line.rank] += watch.counters.steps_closed;
    settled_processed_ = saturating_add(settled_processed_, watch.counters.processed);
    set_acceptance(watch.page->layout(), Acceptance::closed);
    (void)watch.page->remove_file().ok();              // a file that stays is known as closed
    for (const std::string& answer : watch.answers) {  // those that nobody has fetched
      if (world_.files.exists(answer)) (void)world_.files.remove(answer).ok();
    }
    entry = watches_.erase(entry);
  }
}

void Keeper::schedule_seal() {
  const int64_t now = world_.clock.monotonic_ns();
  next_retry_ns_ = now + kRetryPause;
  const int64_t pause = options_.seal_ns > 0      ? options_.seal_ns
                        : now - began_ns_ < kHour ? kEarlyPause
                                                  : kLatePause;
  next_seal_ns_ = now + pause;
}

// Which step is recorded follows from the root of the seal before it, which the job cannot choose.
void Keeper::ask_for_transcript(Watch& watch) {
  tally::Transcript& transcript = watch.page->layout().transcript;
  const std::string root = writer_->sealed().root_hex;
  if (root.size() < 8) return;
  uint64_t chance = 0;
  for (const char digit : root.substr(0, 8)) {
    const int value = digit <= '9' ? digit - '0' : digit - 'a' + 10;
    chance = chance * 16 + static_cast<uint64_t>(value & 0xF);
  }
  const uint64_t next = watch.page->layout().edge.next_edge.load(std::memory_order_relaxed);
  transcript.wanted_at.store(next + 1 + chance % kTranscriptSpread, std::memory_order_relaxed);
}

}  // namespace account::keeper
