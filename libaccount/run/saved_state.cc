// <run>/locked/<order>-<step>/rank-<n>.locked: one folder a stop and step, one file a rank.
#include "run/saved_state.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "gate/gate.h"
#include "gate/locked.h"
#include "gate/recovery.h"
#include "keeper/place.h"

namespace account {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr std::string_view kGivenUpSuffix = ".given-up";  // of a rank that could not save
constexpr uint64_t kProgressBytes = uint64_t{1} << 20;
// Ranks stop at one step, and each begins its file at once: who has none so long after the deadline
// by which all come there writes none, or writes it elsewhere. One that stands still for as long as
// the keeper would wait is given up.
constexpr int64_t kBeginPatience = 10 * kSecond, kStallPatience = 900 * kSecond;
constexpr auto kPollPause = std::chrono::milliseconds(100);

std::string locked_folder(const Settings& settings) {
  return join_path(settings.place.run_folder(), "locked");
}

std::string rank_file(int rank) {
  return "rank-" + std::to_string(rank) + std::string(gate::kLockedSuffix);
}

sign::Digest order_of(const tally::Page& page) {
  sign::Digest order{};
  std::memcpy(order.data(), page.layout().control.order, order.size());
  return order;
}

// For whom the stop lets this rank save; 0: for nobody. A second stop may forbid what the first
// let.
uint32_t savers_of(const tally::Page& page) {
  return page.layout().control.gate.load(std::memory_order_acquire) >> 1;
}

// Who can open what is saved now. Fails where nothing may be saved.
Result<std::vector<sign::PublicKey>> recovery_keys(const Settings& settings,
                                                   const tally::Page& page) {
  const uint32_t savers = savers_of(page);
  if (savers == 0) {
    return Status(Code::not_found,
                  "the stop lets nothing be saved, or its authority's root names no recovery key");
  }
  const std::string path = keeper::recovery_path(settings.place);
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text,
                           FileSystem::real().read(path, gate::kRecoveryCapBytes));
  const auto recovery = gate::parse_recovery(text);
  if (!recovery.ok()) return recovery.status().with_context(path);
  std::vector<sign::PublicKey> keys;
  for (size_t i = 0; i < recovery->authorities.size(); ++i) {
    if ((savers >> i & 1) == 0) continue;
    for (const sign::PublicKey& key : recovery->authorities[i].keys) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

// ---- writing --------------------------------------------------------------------------------

struct Folder {
  size_t whole = 0, partial = 0, given_up = 0;
  uint64_t bytes = 0;  // of what is partial
};

Folder look_into(const std::string& path) {
  Folder folder;
  FileSystem& files = FileSystem::real();
  const auto names = files.list(path);
  if (!names.ok()) return folder;
  for (const std::string& name : *names) {
    if (name.ends_with(gate::kLockedSuffix)) ++folder.whole;
    if (name.ends_with(kGivenUpSuffix)) ++folder.given_up;
    if (!name.ends_with(gate::kPartialSuffix)) continue;
    ++folder.partial;
    if (const auto size = files.size(join_path(path, name)); size.ok()) folder.bytes += *size;
  }
  return folder;
}

// Tells the keeper, which waits as long as the word changes, that the save goes on.
class Progress {
 public:
  explicit Progress(tally::Page& page) : word_(page.layout().edge.saving) { word_.store(1); }
  ~Progress() { word_.store(0); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void wrote(size_t bytes) {
    bytes_ += bytes;
    if (bytes_ < kProgressBytes) return;
    bytes_ %= kProgressBytes;
    moved();
  }
  void moved() { word_.fetch_add(1, std::memory_order_release); }

 private:
  tally::Word32& word_;
  uint64_t bytes_ = 0;
};

// Until all have written theirs, or those that have not will not.
void wait_for_others(const std::string& path, size_t world, const tally::Page& page,
                     const Clock& clock, Progress& progress) {
  int64_t moved = clock.monotonic_ns();
  Folder last;
  while (true) {
    const Folder now = look_into(path);
    if (now.whole + now.given_up >= world) return;
    const int64_t time = clock.monotonic_ns();
    if (now.whole != last.whole || now.bytes != last.bytes) moved = time;
    last = now;
    // Those that write give up at their next piece where nothing may be saved any more.
    const bool writes = now.partial > 0 && savers_of(page) != 0;
    const auto quiet_by = static_cast<int64_t>(page.layout().control.quiet_by_ns.load());
    const int64_t since = now.partial > 0 ? moved : std::max(moved, quiet_by);
    if (time - since > (writes ? kStallPatience : kBeginPatience)) return;
    progress.moved();
    std::this_thread::sleep_for(kPollPause);
  }
}

// What a rank is about to write, and where.
struct Plan {
  std::string folder, path;
  gate::LockedHeader about;
};

Plan make_plan(const Settings& settings, const tally::Page& page) {
  Plan plan;
  plan.about.order = order_of(page);
  plan.about.run = settings.place.run;
  plan.about.step = page.layout().edge.steps_closed.load();
  plan.about.rank = std::max(settings.identity.rank, 0);
  plan.about.world_size = std::max(settings.identity.world_size, 1);
  const std::string order = sign::to_hex(plan.about.order);
  plan.folder = join_path(locked_folder(settings), std::string(sign::short_id(order)) + "-" +
                                                       std::to_string(plan.about.step));
  plan.path = join_path(plan.folder, rank_file(plan.about.rank));
  return plan;
}

Result<Json> write_state(const Plan& plan, const Settings& settings, const tally::Page& page,
                         Progress& progress, const std::function<Status(const Sink& to)>& save) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<sign::PublicKey> keys, recovery_keys(settings, page));
  ACCOUNT_ASSIGN_OR_RETURN(gate::LockedWriter writer,
                           gate::LockedWriter::create(plan.path, plan.about, keys));
  const auto still_may = [&page] {
    return savers_of(page) != 0
               ? Status()
               : Status(Code::shutdown_ordered, "a second stop lets nothing be saved any more");
  };
  const Sink sink = [&](std::string_view bytes) -> Status {
    ACCOUNT_RETURN_IF_ERROR(still_may());
    progress.wrote(bytes.size());
    return writer.write(bytes);
  };
  {
    const gate::SavingState saving;
    ACCOUNT_RETURN_IF_ERROR(save(sink));
  }
  ACCOUNT_RETURN_IF_ERROR(still_may());
  ACCOUNT_RETURN_IF_ERROR(writer.commit());
  return Json::object({{"kind", "state_locked"},
                       {"file", plan.path.substr(settings.place.run_folder().size() + 1)},
                       {"bytes", OpCount(writer.bytes())},
                       {"sha256", writer.sha256()}});
}

// Nothing half-written stays, and the other ranks need not wait for this one.
void give_up(const Plan& plan) {
  FileSystem& files = FileSystem::real();
  const std::string partial = plan.path + std::string(gate::kPartialSuffix);
  if (files.exists(partial)) (void)files.remove(partial).ok();
  constexpr int kFolderMode = 0755, kMode = 0644;
  (void)files.make_directories(plan.folder, kFolderMode).ok();
  (void)files.write_atomically(plan.path + std::string(kGivenUpSuffix), "", kMode).ok();
}

Json not_saved(const Status& why) {
  return Json::object({{"kind", "state_not_saved"}, {"detail", why.to_string()}});
}

void note(const Json& note) { (void)tally::post_event(tally::EventKind::note, note.dump()); }

// ---- reading --------------------------------------------------------------------------------

struct Candidate {
  std::string path;
  gate::LockedHeader header;
};

// This rank's newest file of a stop at which all ranks have saved.
Result<Candidate> find_newest(const Settings& settings) {
  FileSystem& files = FileSystem::real();
  const std::string root = locked_folder(settings);
  const auto names = files.list(root);
  std::optional<Candidate> newest;
  std::string incomplete;
  const int rank = std::max(settings.identity.rank, 0);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    const std::string folder = join_path(root, name);
    const std::string path = join_path(folder, rank_file(rank));
    if (!files.exists(path)) continue;
    ACCOUNT_ASSIGN_OR_RETURN(gate::LockedHeader header, gate::read_locked_header(path));
    if (look_into(folder).whole != static_cast<size_t>(header.world_size)) {
      incomplete = folder;
    } else if (!newest || header.created_unix > newest->header.created_unix) {
      newest = Candidate{path, std::move(header)};
    }
  }
  if (newest) return std::move(*newest);
  if (!incomplete.empty()) {
    return Status(Code::not_found, incomplete + " has not the state of every rank",
                  "go on from a checkpoint of the job's own");
  }
  return Status(Code::not_found, "no stop has let rank " + std::to_string(rank) + " of run '" +
                                     settings.place.run + "' save its state");
}

}  // namespace

void save_state(const Settings& settings, tally::Page& page, const Clock& clock,
                const std::function<Status(const Sink& to)>& save) {
  if (savers_of(page) == 0) return note(not_saved(recovery_keys(settings, page).status()));
  const Plan plan = make_plan(settings, page);
  Progress progress(page);
  const auto saved = write_state(plan, settings, page, progress, save);
  if (!saved.ok()) give_up(plan);
  note(saved.ok() ? *saved : not_saved(saved.status()));
  wait_for_others(plan.folder, static_cast<size_t>(plan.about.world_size), page, clock, progress);
}

Result<SavedState> read_saved_state(const Settings& settings, const Sink& to) {
  ACCOUNT_ASSIGN_OR_RETURN(const Candidate found, find_newest(settings));
  const int world = std::max(settings.identity.world_size, 1);
  if (found.header.world_size != world) {
    return Status(Code::out_of_scope,
                  found.path + " was saved by " + std::to_string(found.header.world_size) +
                      " ranks; this job has " + std::to_string(world),
                  "start as many, or take the plain files: account order unlock --out");
  }
  ACCOUNT_ASSIGN_OR_RETURN(std::string key, gate::read_opened_key(found.path, found.header));
  const Status read = gate::read_locked(found.path, key, to);
  sign::wipe(key);
  ACCOUNT_RETURN_IF_ERROR(read);
  return SavedState{found.path, found.header.step, sign::to_hex(found.header.order)};
}

}  // namespace account
