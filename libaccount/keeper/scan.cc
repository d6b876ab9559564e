// Keeper: pages come and go.
#include <unistd.h>

#include <algorithm>

#include "base/json.h"
#include "base/process.h"
#include "count/transcript.h"
#include "keeper/device_rate.h"
#include "keeper/keeper.h"
#include "keeper/page_words.h"

namespace account::keeper {
namespace {

// What a process says of itself is cut to this, so that ledger lines stay small.
constexpr size_t kLongestSentence = tally::kMaxEventBytes;

bool is_page(std::string_view name) { return name.ends_with(kPageSuffix); }

// What a process posted as an event: JSON of ours as it is, anything else as a sentence.
Json body_of(std::string_view text, std::string_view kind) {
  const std::string_view kept = text.substr(0, kLongestSentence);
  auto parsed = Json::parse(kept, kLongestSentence);
  Json body = parsed.ok() && parsed->kind() == Json::Kind::object
                  ? std::move(parsed).value()
                  : Json::object({{"detail", std::string(kept)}});
  if (body.find("kind") == nullptr) body.set("kind", kind);
  return body;
}

}  // namespace

void Keeper::scan() {
  for (const std::string& folder : folders_) {
    const auto names = world_.files.list(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!is_page(name)) continue;
      const std::string path = join_path(folder, name);
      if (watches_.contains(path) || ignored_.contains(path)) continue;
      consider(path, folder == folders_.front());
    }
  }
  if (!prior_.empty()) settle_lost_pages();
}

void Keeper::consider(const std::string& path, bool in_first_folder) {
  auto watch = open_watch(path);
  if (!watch.ok()) {
    ignored_.insert(path);
    gap_later([fault = std::string(watch.status().fault())](ledger::Writer& writer) {
      writer.gap(Json::object({{"kind", "page_unreadable"}, {"detail", fault}}));
    });
    voice_.trouble("a process of this run cannot be counted: " + watch.status().to_string());
    return;
  }
  const auto prior = prior_.find(watch->line.id);
  const bool written = prior != prior_.end() && !prior->second.ended.empty();
  if (written || acceptance(watch->page->layout()) == Acceptance::closed) {
    // The keeper before this one sealed the last of it and died before it could clear up.
    set_acceptance(watch->page->layout(), Acceptance::closed);
    (void)watch->page->remove_file().ok();
    return;
  }
  for (const std::string& id : watch->policies) {
    if (Status status = judge_.add(id); !status.ok()) return refuse(*watch, status);
  }
  if (Status may = permission(*watch); !may.ok()) return refuse(*watch, may);
  accept(std::move(watch).value(), in_first_folder);
}

void Keeper::accept(Watch watch, bool in_first_folder) {
  watch.seen_unix_ns = watch.good_until_unix_ns = world_.clock.unix_ns();
  if (const auto prior = prior_.find(watch.line.id); prior != prior_.end()) {
    watch.steps_written = prior->second.steps_closed;
    watch.processed_written = prior->second.processed;
    watch.counters.rows = cell_rows(prior->second.rows);
    watch.good_until_unix_ns = prior->second.last_unix_ns;
    prior_.erase(prior);
  }
  if (!in_first_folder) {
    later([rank = watch.line.rank](ledger::Writer& writer) {
      writer.event("note", Json::object({{"kind", "page_on_disk"}, {"rank", rank}}));
    });
  }
  if (!watch.is_child()) {
    Generation& generation = generations_[watch.line.restart_count];
    if (generation.began_unix_ns == 0) generation.began_unix_ns = watch.seen_unix_ns;
    generation.local_ranks.insert(watch.line.local_rank);
    generation.local_world_size = std::max(generation.local_world_size, watch.local_world_size);
  }
  if (watch.line.model.empty()) watch.line.model = options_.model;
  if (status_.model.empty()) status_.model = watch.line.model;
  tally::Control& control = watch.page->layout().control;
  control.keeper_pid.store(static_cast<uint32_t>(getpid()), std::memory_order_relaxed);
  control.keeper_beat_ns.store(static_cast<uint64_t>(world_.clock.monotonic_ns()),
                               std::memory_order_relaxed);
  set_acceptance(watch.page->layout(), Acceptance::accepted);
  seen_any_ = true;
  // So that a verification of the running job already lists this rank.
  want_seal(ledger::SealReason::start);
  const std::string path = watch.page->path();
  watches_.emplace(path, std::move(watch));
}

// The rank itself reports the reason, as the status of its start().
void Keeper::refuse(Watch& watch, const Status& why) {
  ignored_.insert(watch.page->path());
  write_reason(watch.page->layout(), why);
  set_acceptance(watch.page->layout(), Acceptance::refused);
}

// An incarnation that an earlier session left open and whose page is gone: the machine was
// restarted. What it counted after its last line is lost, and the ledger says so, with what it can
// have been at most: until the machine came up again, or until now where it had not gone down.
void Keeper::settle_lost_pages() {
  const int64_t now = world_.clock.unix_ns(), boot = boot_unix_ns();
  for (const auto& [id, prior] : prior_) {
    add_to(settled_, operations_of(prior.rows));
    settled_steps_[prior.line.rank] += prior.steps_closed;
    settled_processed_ = saturating_add(settled_processed_, prior.processed);
    if (!prior.ended.empty()) continue;
    const int64_t from = prior.last_unix_ns;
    const int64_t to = boot > from && boot < now ? boot : std::max(from, now);
    page_gap("page_lost", prior.line, from, to, "its tally was gone when the next keeper came");
    later([line = prior.line](ledger::Writer& writer) {
      writer.ended(writer.incarnation(line), "lost");
    });
  }
  prior_.clear();
}

void Keeper::observe(Watch& watch) {
  take_mail(watch);
  const bool had_ended = !watch.ended.empty();
  observe_end(watch);
  if (!watch.whole.ok()) tell_of_damage(watch);
  if (had_ended || watch.ended.empty()) return;
  if (!watch.whole.ok()) {
    const int64_t from = watch.good_until_unix_ns;
    page_gap("page_damaged", watch.line, from, std::max(from, world_.clock.unix_ns()),
             "counters in its tally fell; none was read after that");
  }
  take_mail(watch);  // what it said last
  if (watch.ended == "died") {
    any_died_ = true;
    voice_.remark("rank " + std::to_string(watch.line.rank) + " died after " +
                  std::to_string(watch.counters.steps_closed) +
                  " steps; all that it counted is kept");
  }
}

// What was read before stays counted; what the process counts from then on is bounded at its end.
void Keeper::tell_of_damage(Watch& watch) {
  if (watch.damage_told) return;
  watch.damage_told = true;
  voice_.trouble("something else wrote to the page of rank " + std::to_string(watch.line.rank) +
                 " (" + std::string(watch.whole.fault()) + "); what was read before is kept");
  later([line = watch.line, why = std::string(watch.whole.fault())](ledger::Writer& writer) {
    writer.event("note", Json::object({{"kind", "page_damaged"},
                                       {"incarnation", writer.incarnation(line)},
                                       {"rank", line.rank},
                                       {"detail", why}}));
  });
}

// What a process may have counted in that time, and nobody can read any more.
void Keeper::page_gap(std::string_view kind, const ledger::IncarnationLine& line, int64_t from,
                      int64_t to, std::string_view detail) {
  // A process that was forked from a rank has no device of its own.
  const OpCount bound = line.parent.empty() ? bound_for(to - from) : OpCount();
  gap_later([=](ledger::Writer& writer) {
    writer.gap(Json::object({{"kind", kind},
                             {"incarnation", writer.incarnation(line)},
                             {"rank", line.rank},
                             {"from_unix_ns", OpCount(static_cast<uint64_t>(from))},
                             {"to_unix_ns", OpCount(static_cast<uint64_t>(to))},
                             {"bound_operations", bound},
                             {"detail", detail}}));
  });
}

void Keeper::take_mail(Watch& watch) {
  uint64_t dropped = 0;
  for (const tally::Event& event : watch.page->take_events(dropped)) {
    const bool is_gap = event.kind == tally::EventKind::gap;
    if (event.kind == tally::EventKind::saved) {
      take_save(watch, body_of(event.text, "saved"));
      continue;
    }
    const std::string_view kind = event.kind == tally::EventKind::op_named ? "uncounted"
                                  : event.kind == tally::EventKind::export_refused
                                      ? "export_refused"
                                      : "reported";
    Json told = body_of(event.text, kind);
    if (stop_ != nullptr) stop_->learn(told);
    if (is_gap) ++metrics_facts_.gaps;
    if (event.kind == tally::EventKind::export_refused) ++metrics_facts_.exports_refused;
    later([is_gap, line = watch.line, body = std::move(told)](ledger::Writer& writer) {
      Json whole = body;
      whole.set("incarnation", writer.incarnation(line));
      is_gap ? writer.gap(whole) : writer.event("note", whole);
    });
  }
  if (dropped > 0) {
    gap_later([dropped, line = watch.line](ledger::Writer& writer) {
      writer.gap(Json::object({{"kind", "events_dropped"},
                               {"incarnation", writer.incarnation(line)},
                               {"count", dropped},
                               {"detail", "a rank told more than its ring holds"}}));
    });
  }
  count::Transcript transcript;
  if (!count::take(*watch.page, transcript)) return;
  if (transcript.lines.empty() && transcript.not_kept == 0) return;  // a step without counted calls
  later([line = watch.line, transcript](ledger::Writer& writer) {
    writer.transcript(writer.incarnation(line), transcript.step, transcript.not_kept,
                      transcript.lines);
  });
}

// The rank puts the sidecar beside its checkpoint itself: a keeper that waited for a network mount
// would let all else of its node wait.
void Keeper::take_save(Watch& watch, const Json& said) {
  const auto name = said.get_string("name"), save = said.get_string("save");
  const auto step = said.get_integer("step");
  if (!name.ok() || !save.ok() || !record::is_save(*save) || !step.ok() || *step < 0) return;
  record::Sidecar sidecar;
  sidecar.run = options_.place.run;
  sidecar.cut.node = options_.place.node;
  sidecar.cut.name = *name;
  sidecar.cut.step = static_cast<uint64_t>(*step);
  sidecar.save = *save;
  later([line = watch.line, sidecar](ledger::Writer& writer) {
    writer.event("note", Json::object({{"kind", "saved"},
                                       {"name", sidecar.cut.name},
                                       {"step", sidecar.cut.step},
                                       {"save", sidecar.save},
                                       {"incarnation", writer.incarnation(line)}}));
  });
  want_seal(ledger::SealReason::save);
  watch.answers.push_back(answer_path(watch.page->path(), sidecar.save));
  saves_[watch.answers.back()] = std::move(sidecar);
}

// Local ranks that their siblings knew of and that never opened a page. Judged once a generation:
// when the next one begins, or at the end.
void Keeper::note_missing_ranks() {
  for (const auto& [restart, generation] : generations_) {
    const bool last = restart == generations_.rbegin()->first;
    if ((last && !ending_since_ns_) || !generations_judged_.insert(restart).second) continue;
    const int64_t now = world_.clock.unix_ns();
    for (int local = 0; local < generation.local_world_size; ++local) {
      if (generation.local_ranks.contains(local)) continue;
      const OpCount bound = bound_for(now - generation.began_unix_ns);
      gap_later([=, restart = restart, from = generation.began_unix_ns](ledger::Writer& writer) {
        writer.gap(Json::object({{"kind", "missing_rank"},
                                 {"local_rank", local},
                                 {"restart_count", static_cast<int64_t>(restart)},
                                 {"from_unix_ns", OpCount(static_cast<uint64_t>(from))},
                                 {"to_unix_ns", OpCount(static_cast<uint64_t>(now))},
                                 {"bound_operations", bound},
                                 {"detail", "a rank of this node never opened an account"}}));
      });
      voice_.trouble("local rank " + std::to_string(local) + " was never counted; its bound of " +
                     bound.to_short() + " operations goes into the upper figure");
    }
  }
}

}  // namespace account::keeper
