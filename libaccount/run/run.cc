// Run: opens this process's incarnation, closes its steps, ends it.
#include "account/run.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "count/audit.h"
#include "count/transcript.h"
#include "count/uncounted.h"
#include "gate/gate.h"
#include "halt/edge.h"
#include "halt/lock.h"
#include "keeper/keeper.h"
#include "keeper/page_words.h"
#include "record/sidecar.h"
#include "run/attendant.h"
#include "run/configuration.h"
#include "run/launch.h"
#include "run/origins.h"
#include "run/saved_state.h"
#include "run/settings.h"
#include "tally/tally.h"

namespace account {
namespace {

using keeper::Acceptance;

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kAcceptPatience = 10 * kSecond;  // include/account/run.h
constexpr int64_t kLaunchPause = kSecond;          // a keeper that could not start is tried again
constexpr int64_t kFinishPatience = 2 * kSecond;   // include/account/run.h
constexpr auto kPollPause = std::chrono::milliseconds(5);

// Waits until a keeper has accepted or refused the page; makes one where there is none.
Status meet_keeper(const Settings& settings, tally::Page& page) {
  const Clock& clock = Clock::real();
  const int64_t began = clock.monotonic_ns();
  int64_t next_look = began;
  while (clock.monotonic_ns() - began < kAcceptPatience) {
    switch (keeper::acceptance(page.layout())) {
      case Acceptance::accepted:
      case Acceptance::closed:
        return Status();
      case Acceptance::refused:
        return keeper::read_reason(page.layout());
      case Acceptance::waiting:
        break;
    }
    if (clock.monotonic_ns() >= next_look) {
      next_look = clock.monotonic_ns() + kLaunchPause;
      if (!keeper::keeper_lives(FileSystem::real(), settings.place)) {
        ACCOUNT_RETURN_IF_ERROR(launch_keeper(settings));
      }
    }
    std::this_thread::sleep_for(kPollPause);
  }
  return Status(Code::unavailable,
                "no keeper accepted this rank of run '" + settings.place.run + "' within 10 s",
                "its own line on stderr says why; ACCOUNT=off trains without counting");
}

// Where it cannot be, the gate alone refuses exports; the ledger of a rank that has a page says so.
void lock_if_asked(const Settings& settings) {
  if (!settings.locks) return;
  const Status locked = halt::lock_process();
  const Json note = Json::object({{"kind", locked.ok() ? "locked" : "not_locked"},
                                  {"detail", locked.ok() ? "" : locked.to_string()}});
  (void)tally::post_event(tally::EventKind::note, note.dump());
}

}  // namespace

// A run under ACCOUNT=off, and one that has been moved from, have no page.
struct Run::State {
  Settings settings;
  std::string directory;
  tally::Page* page = nullptr;  // lives for ever, in tally::activate()
  std::unique_ptr<Attendant> attendant;
  pid_t owner = 0;
  tally::Counters before;  // what this process had counted when the run began
  std::vector<Uncounted> uncounted_before;
  size_t audits_before = 0;
  bool finished = false, stopped = false;
  std::function<Status(const Sink& to)> save;
  Status finish_status;
  std::mutex roads_mutex;
  std::vector<std::shared_ptr<Exchange>> roads;  // all there were: a step may be in an earlier one
  std::atomic<Exchange*> edge_road = nullptr;    // the one that takes part in edges

  void pass_edge_on() const noexcept {
    Exchange* road = edge_road.load(std::memory_order_acquire);
    if (road != nullptr) [[unlikely]]
      road->on_edge();
  }
};

Run::Run(std::unique_ptr<State> state) : state_(std::move(state)) {}
Run::Run(Run&&) noexcept = default;

Run& Run::operator=(Run&& other) noexcept {
  if (this != &other) {
    if (state_ != nullptr) (void)finish().ok();
    state_ = std::move(other.state_);
  }
  return *this;
}

Run::~Run() {
  if (state_ != nullptr) (void)finish().ok();
}

// One rank a node tells. A record that cannot be kept is named in the ledger, and can be given.
void Run::tell_origins(const Origins& origins, const State& state) {
  if (state.settings.identity.local_rank > 0) return;
  for (const Json& note : origins.notes) {
    (void)tally::post_event(tally::EventKind::note, note.dump());
  }
  (void)keep_records(origins, state.directory).ok();
}

Status Run::began_from(const std::string& resume, const std::vector<std::string>& parents) {
  ACCOUNT_ASSIGN_OR_RETURN(const Origins origins, read_origins(resume, parents));
  if (counting() && !state_->finished) tell_origins(origins, *state_);
  return Status();
}

void Run::loaded(const std::string& path) {
  if (state_ == nullptr || state_->page == nullptr || state_->finished) return;
  const auto note = loaded_note(absolute_path(path));
  if (note) (void)tally::post_event(tally::EventKind::note, note->dump());
}

Result<Run> Run::start(const RunOptions& options) {
  auto state = std::make_unique<State>();
  ACCOUNT_ASSIGN_OR_RETURN(const Environment environment, configured_environment());
  ACCOUNT_ASSIGN_OR_RETURN(state->settings, make_settings(options, environment));
  const Settings& settings = state->settings;
  state->owner = getpid();
  state->save = options.state;
  if (settings.off) return Run(std::move(state));
  state->directory = settings.place.run_folder();
  ACCOUNT_ASSIGN_OR_RETURN(const Origins origins, read_origins(settings.resume, settings.parents));
  ACCOUNT_ASSIGN_OR_RETURN(auto page,
                           tally::Page::create(settings.place.page_folders(), settings.identity));
  if (page->in_memory()) {
    return Status(Code::io, "no room for the tally page: " + page->why_not_shared(),
                  "make room in /dev/shm or TMPDIR, or train uncounted with ACCOUNT=off");
  }
  if (Status met = meet_keeper(settings, *page); !met.ok()) {
    (void)FileSystem::real().remove(page->path()).ok();
    rmdir(page->path().substr(0, page->path().rfind('/')).c_str());  // where it was the only one
    // Whoever goes on all the same has weights in memory, perhaps, and no page that could say no.
    if (met.code() == Code::shutdown_ordered) {
      gate::shut_here(met.fault());
      lock_if_asked(settings);
    }
    return met;
  }
  state->before = tally::read_process();
  state->uncounted_before = count::read_uncounted();
  state->audits_before = count::audited_steps().size();
  state->page = page.get();
  state->attendant = std::make_unique<Attendant>(settings, page->layout());
  tally::activate(std::move(page));
  count::begin();
  tell_origins(origins, *state);
  return Run(std::move(state));
}

void Run::processed(uint64_t samples, uint64_t tokens) noexcept {
  if (state_ == nullptr || state_->page == nullptr || state_->finished) return;
  tally::add_processed({samples, tokens});
}

bool Run::close_step() {
  if (state_ == nullptr || state_->page == nullptr || state_->finished) return true;
  count::on_step_closed(tally::close_step());
  if (!halt::pass_edge(state_->page->layout())) return false;
  state_->pass_edge_on();
  return true;
}

Status Run::obey() {
  if (state_ == nullptr || state_->page == nullptr || state_->finished) return Status();
  Status obeyed = halt::obey(state_->page->layout(), Clock::real());
  if (obeyed.ok()) state_->pass_edge_on();
  const bool first_stop = obeyed.code() == Code::shutdown_ordered && !state_->stopped;
  if (first_stop) {
    state_->stopped = true;
    if (state_->save) save_state(state_->settings, *state_->page, Clock::real(), state_->save);
    lock_if_asked(state_->settings);
  }
  return obeyed;
}

Status Run::step() {
  if (close_step()) [[likely]]
    return Status();
  return obey();
}

Totals Run::totals() const {
  if (state_ == nullptr || state_->page == nullptr) return Totals();
  Totals totals = tally::to_totals(tally::subtract(tally::read_process(), state_->before));
  count::add_uncounted(totals, count::subtract(count::read_uncounted(), state_->uncounted_before));
  std::vector<count::AuditedStep> audits = count::audited_steps();
  audits.erase(audits.begin(), audits.begin() + static_cast<std::ptrdiff_t>(state_->audits_before));
  totals.upper = saturating_add(totals.upper, count::bound_by_audits(audits, totals.executed));
  return totals;
}

Result<JobStatus> Run::job() const {
  Status why(Code::unavailable, "nothing is known of the job as a whole",
             "ask again within a second or two");
  if (!counting()) return why;
  const keeper::Place& place = state_->settings.place;
  for (const std::string& folder : place.page_folders()) {
    const std::string path = join_path(folder, keeper::kStatusName);
    const auto bytes = FileSystem::real().read(path, keeper::kStatusCapBytes);
    if (!bytes.ok()) continue;
    ACCOUNT_ASSIGN_OR_RETURN(keeper::LiveStatus live, keeper::parse_live_status(*bytes));
    return JobStatus{.steps = live.steps,
                     .operations = live.job_operations,
                     .operations_per_second = live.operations_per_second,
                     .processed = live.job_processed,
                     .tokens_per_second = live.tokens_per_second,
                     .policy = live.policy,
                     .rule = live.rule,
                     .verdict = live.verdict,
                     .counted = live.counted,
                     .threshold = live.threshold};
  }
  return why;
}

Status Run::saved(const std::string& path) {
  if (state_ == nullptr || state_->page == nullptr || state_->finished) return Status();
  FileSystem& files = FileSystem::real();
  const std::string target = absolute_path(path);
  if (!files.exists(target)) {
    return {Code::not_found, "there is no checkpoint at " + path, "call saved() once it is whole"};
  }
  const uint64_t step = tally::read_process().steps_closed - state_->before.steps_closed;
  const std::string save = to_hex(random_bytes(4));
  const std::string said =
      Json::object({{"name", base_name(target)}, {"step", step}, {"save", save}}).dump();
  if (!tally::post_event(tally::EventKind::saved, said)) {
    return {Code::unavailable, "the save of " + path + " could not be told to the keeper",
            "try again; without a sidecar no run can go on from it"};
  }
  const std::string answer = keeper::answer_path(state_->page->path(), save);
  const Clock& clock = Clock::real();
  const int64_t began = clock.monotonic_ns();
  while (!files.exists(answer)) {
    if (clock.monotonic_ns() - began > kFinishPatience) {
      return {Code::unavailable, "the keeper has not sealed the save of " + path + " within 2 s",
              "call saved() again; without a sidecar no run can go on from it"};
    }
    std::this_thread::sleep_for(kPollPause);
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string sidecar, files.read(answer, record::kSidecarCapBytes));
  (void)files.remove(answer).ok();
  constexpr int kMode = 0644;
  return files.write_atomically(record::sidecar_path(target), sidecar, kMode);
}

void Run::set_state(std::function<Status(const Sink& to)> state) {
  if (state_ != nullptr) state_->save = std::move(state);
}

Result<SavedState> Run::read_state(const Sink& to) const {
  if (!counting()) {
    return Status(Code::not_found, "a run that does not count has saved nothing");
  }
  return read_saved_state(state_->settings, to);
}

Status Run::finish() {
  if (state_ == nullptr || state_->page == nullptr) return Status();
  if (getpid() != state_->owner) {  // a forked child: the run is its parent's
    if (state_->attendant != nullptr) state_->attendant->forget();
    return Status();
  }
  if (state_->finished) return state_->finish_status;
  state_->finished = true;
  count::tell_uncounted();
  count::end_audited_step(0);
  tally::PageLayout& page = state_->page->layout();
  // A rank that was stopped stays one: its end is no orderly end of training.
  const auto stopped = static_cast<uint32_t>(tally::RankState::stopped);
  if (page.edge.state.load(std::memory_order_acquire) != stopped) {
    page.edge.state.store(static_cast<uint32_t>(tally::RankState::finished),
                          std::memory_order_release);
  }
  page.edge.finish_wanted.store(1, std::memory_order_release);
  const Clock& clock = Clock::real();
  const int64_t began = clock.monotonic_ns();
  int64_t next_look = began;
  while (keeper::acceptance(page) != Acceptance::closed) {
    const int64_t now = clock.monotonic_ns();
    if (now - began > kFinishPatience) {
      state_->finish_status =
          Status(Code::unavailable, "the keeper has not sealed the end of this rank within 2 s",
                 "its page stays until a keeper has: nothing is lost");
      break;
    }
    // A job that ends just after its keeper died would else leave its end to the next start.
    if (now >= next_look) {
      next_look = now + kLaunchPause;
      if (!keeper::keeper_lives(FileSystem::real(), state_->settings.place)) {
        (void)launch_keeper(state_->settings).ok();
      }
    }
    std::this_thread::sleep_for(kPollPause);
  }
  state_->attendant->stop();
  return state_->finish_status;
}

const std::string& Run::id() const {
  static const std::string kNone;
  return state_ == nullptr ? kNone : state_->settings.place.run;
}

const std::string& Run::directory() const {
  static const std::string kNone;
  return state_ == nullptr ? kNone : state_->directory;
}

const std::string& Run::authority() const {
  static const std::string kNobody;
  return counting() ? state_->settings.authority : kNobody;
}

bool Run::leased() const { return counting() && state_->settings.lease; }

int Run::rank() const { return state_ == nullptr ? -1 : state_->settings.identity.rank; }

int Run::world_size() const {
  return state_ == nullptr ? -1 : state_->settings.identity.world_size;
}

void Run::has_started_others(int world_size) {
  if (state_ == nullptr || state_->settings.identity.world_size != 1) return;
  state_->settings.identity.world_size = std::max(world_size, 1);
  state_->settings.identity.local_world_size = std::max(world_size, 1);
}

const std::string& Run::node() const {
  static const std::string kNone;
  return state_ == nullptr ? kNone : state_->settings.place.node;
}

bool Run::counting() const { return state_ != nullptr && state_->page != nullptr; }

void Run::set_exchange(std::shared_ptr<Exchange> exchange) {
  if (state_ != nullptr && state_->attendant != nullptr && getpid() == state_->owner) {
    const std::lock_guard lock(state_->roads_mutex);
    state_->attendant->set_exchange(exchange);
    const bool takes_edges = exchange != nullptr && exchange->wants_edges();
    state_->edge_road.store(takes_edges ? exchange.get() : nullptr, std::memory_order_release);
    if (exchange != nullptr) state_->roads.push_back(std::move(exchange));
  }
}

}  // namespace account
