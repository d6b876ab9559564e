// CrashDisk: a file system in memory that knows everything that a power cut may leave of it.
//
//   CrashDisk disk(base);                       // starts from what lies on a disk
//   write_something(disk);                      // recorded, step by step
//   CrashStates states(base, disk.log());
//   states.each(seed, [](const CrashState& state) { recover(state.image); ... });
//
// A state is: the log up to some step, a written step torn after some byte, and a subset of all
// that was not synced by then. Unsynced are sectors of files and names in folders; each may have
// reached the disk or not, in any order, which is more than a journaling file system allows. A file
// whose sync failed keeps its writes unsynced, whatever a later sync says (as Linux does).
// Faults can be put before any step: EIO, ENOSPC after half of a write, for once or for good.
// Not thread-safe.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.h"

namespace account::testing {

// What lies on a disk. A path that ends with '/' is a folder.
using DiskImage = std::map<std::string, std::string>;

// What the disk was asked for, in the smallest steps that a crash can come between.
struct DiskStep {
  enum class Kind { create, make_folder, write, truncate, rename, unlink, sync, sync_folder };
  Kind kind;
  std::string path;
  std::string to{};     // rename
  std::string bytes{};  // write
  uint64_t offset = 0;  // write; truncate: the new size
  bool failed = false;  // a sync that did nothing
};

inline std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

class CrashDisk final : public FileSystem {
 public:
  explicit CrashDisk(DiskImage image = {}, bool record = true)
      : image_(std::move(image)), record_(record) {}

  // Step `n` fails with this errno; those after it work again unless `for_good`. A write that fails
  // with ENOSPC writes its first half.
  void fail_at(size_t n, int error, bool for_good) { fault_ = {n, error, for_good}; }
  const std::vector<DiskStep>& log() const { return log_; }
  size_t steps() const { return count_; }
  const DiskImage& image() const { return image_; }
  DiskImage take_image() { return std::move(image_); }

  Result<std::unique_ptr<AppendFile>> open_append(const std::string& path) override {
    if (!image_.contains(path)) ACCOUNT_RETURN_IF_ERROR(create(path));
    return std::unique_ptr<AppendFile>(std::make_unique<File>(*this, path));
  }
  Result<std::string> read(const std::string& path, uint64_t cap) override {
    const auto found = image_.find(path);
    if (found == image_.end()) return Status(Code::not_found, "cannot open " + path);
    if (found->second.size() > cap) return Status(Code::corrupt, path + " is too long");
    return found->second;
  }
  Status write_atomically(const std::string& path, std::string_view bytes, int) override {
    const std::string temporary = path + "." + std::to_string(serial_++) + ".tmp";
    Status written = create(temporary);
    if (written.ok()) written = write(temporary, bytes);
    if (written.ok()) written = sync(temporary);
    if (written.ok()) written = rename(temporary, path);
    if (!written.ok()) {
      (void)unlink(temporary).ok();
      return written;
    }
    return sync_directory(folder_of(path));
  }
  Status truncate(const std::string& path, uint64_t size) override {
    if (!image_.contains(path)) return Status(Code::not_found, "cannot open " + path);
    ACCOUNT_RETURN_IF_ERROR(step({DiskStep::Kind::truncate, path, "", "", size}));
    image_[path].resize(size);
    return sync(path);
  }
  Status remove(const std::string& path) override { return unlink(path); }
  Status make_directories(const std::string& path, int) override {
    for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end) + "/";
      if (!image_.contains(part)) {
        ACCOUNT_RETURN_IF_ERROR(step({DiskStep::Kind::make_folder, part}));
        image_[part] = "";
        ACCOUNT_RETURN_IF_ERROR(sync_directory(folder_of(path.substr(0, end))));
      }
      if (end == std::string::npos) return {};
    }
  }
  Status sync_directory(const std::string& path) override {
    return step({DiskStep::Kind::sync_folder, path});
  }
  bool exists(const std::string& path) override {
    return image_.contains(path) || image_.contains(path + "/");
  }
  Result<uint64_t> size(const std::string& path) override {
    const auto found = image_.find(path);
    if (found == image_.end()) return Status(Code::not_found, "no " + path);
    return uint64_t{found->second.size()};
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    if (!image_.contains(path + "/")) return Status(Code::not_found, "cannot list " + path);
    std::vector<std::string> names;
    const std::string start = path + "/";
    for (auto it = image_.upper_bound(start); it != image_.end() && it->first.starts_with(start);
         ++it) {
      std::string name = it->first.substr(start.size());
      if (name.ends_with('/')) name.pop_back();
      if (name.find('/') == std::string::npos) names.push_back(std::move(name));
    }
    return names;
  }
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override {
    if (!image_.contains(path)) ACCOUNT_RETURN_IF_ERROR(create(path));
    return std::make_unique<FileLock>();
  }

 private:
  struct Fault {
    size_t at;
    int error;
    bool for_good;
  };
  class File final : public AppendFile {
   public:
    File(CrashDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
    Status append(std::string_view bytes) override { return disk_.write(path_, bytes); }
    Status sync() override { return disk_.sync(path_); }

   private:
    CrashDisk& disk_;
    std::string path_;
  };

  // An error where the fault strikes; else records the step.
  Status step(DiskStep step) {
    const size_t index = count_++;
    if (fault_ && index >= fault_->at && (fault_->for_good || index == fault_->at)) {
      if (step.kind == DiskStep::Kind::sync) note({step.kind, step.path, "", "", 0, true});
      return Status(Code::io, std::string("a fault at ") + step.path + ": errno " +
                                  std::to_string(fault_->error));
    }
    note(std::move(step));
    return {};
  }
  void note(DiskStep step) {
    if (record_) log_.push_back(std::move(step));
  }
  Status create(const std::string& path) {
    ACCOUNT_RETURN_IF_ERROR(step({DiskStep::Kind::create, path}));
    image_[path] = "";
    return {};
  }
  Status write(const std::string& path, std::string_view bytes) {
    std::string& content = image_[path];
    Status written = step({DiskStep::Kind::write, path, "", std::string(bytes), content.size()});
    if (!written.ok() && fault_->error == ENOSPC) {
      bytes = bytes.substr(0, bytes.size() / 2);
      note({DiskStep::Kind::write, path, "", std::string(bytes), content.size()});
      content.append(bytes);
    }
    if (written.ok()) content.append(bytes);
    return written;
  }
  Status sync(const std::string& path) { return step({DiskStep::Kind::sync, path}); }
  Status rename(const std::string& from, const std::string& to) {
    ACCOUNT_RETURN_IF_ERROR(step({DiskStep::Kind::rename, from, to}));
    image_[to] = std::move(image_[from]);
    image_.erase(from);
    return {};
  }
  Status unlink(const std::string& path) {
    if (!image_.contains(path)) return Status(Code::not_found, "no " + path);
    ACCOUNT_RETURN_IF_ERROR(step({DiskStep::Kind::unlink, path}));
    image_.erase(path);
    return {};
  }

  DiskImage image_;
  const bool record_;
  std::optional<Fault> fault_;
  std::vector<DiskStep> log_;
  size_t count_ = 0, serial_ = 0;
};

struct CrashState {
  size_t step;      // the log up to this one was asked for
  size_t torn;      // of that step's bytes so many were written, where it writes
  uint64_t subset;  // which of the unsynced units are there
  const DiskImage& image;
};

// Walks through all crash states of a log. `sector` is the unit in which an unsynced write may be
// there or not; where a subset of more than `kMostUnits` is to be chosen, seeded samples are.
class CrashStates {
 public:
  static constexpr size_t kMostUnits = 8;

  CrashStates(const DiskImage& base, const std::vector<DiskStep>& log, size_t sector)
      : log_(log), sector_(sector) {
    for (const auto& [path, bytes] : base) names_[path] = add_inode(bytes);
    current_ = names_;
  }

  // `visit` returns false to end the walk.
  void each(uint64_t seed, size_t torn_pace, const std::function<bool(const CrashState&)>& visit) {
    std::mt19937_64 random(seed);
    for (size_t at = 0; at <= log_.size(); ++at) {
      if (!subsets(at, 0, nullptr, random, visit)) return;
      if (at == log_.size()) return;
      const DiskStep& step = log_[at];
      if (step.kind == DiskStep::Kind::write) {
        for (size_t torn = 1; torn < step.bytes.size(); torn += torn_pace) {
          if (!subsets(at, torn, &step, random, visit)) return;
        }
      }
      apply(step);
    }
  }

 private:
  struct Change {  // of a file: bytes at an offset, or a new size
    uint64_t offset = 0;
    std::string bytes;
    bool cuts = false;
  };
  struct Inode {
    std::string durable;
    uint64_t size = 0;  // as programs see it
    std::vector<Change> unsynced;
    bool lost_a_sync = false;
  };
  struct NameChange {
    std::string folder, from, to;  // from "": a new name; to "": a name that goes
    size_t inode = 0;
  };
  using Names = std::map<std::string, size_t>;

  size_t add_inode(std::string bytes) {
    Inode inode;
    inode.size = bytes.size();
    inode.durable = std::move(bytes);
    inodes_.push_back(std::move(inode));
    return inodes_.size() - 1;
  }
  static std::string parent_of(std::string path) {
    if (path.ends_with('/')) path.pop_back();
    return folder_of(path);
  }

  void apply(const DiskStep& step) {
    using Kind = DiskStep::Kind;
    switch (step.kind) {
      case Kind::create:
      case Kind::make_folder:
        current_[step.path] = add_inode("");
        unsynced_names_.push_back({parent_of(step.path), "", step.path, current_[step.path]});
        break;
      case Kind::write: {
        Inode& inode = inodes_[current_.at(step.path)];
        for (size_t from = 0; from < step.bytes.size(); from += sector_) {
          inode.unsynced.push_back({step.offset + from, step.bytes.substr(from, sector_), false});
        }
        break;
      }
      case Kind::truncate:
        inodes_[current_.at(step.path)].unsynced.push_back({step.offset, "", true});
        break;
      case Kind::rename:
        unsynced_names_.push_back(
            {parent_of(step.path), step.path, step.to, current_.at(step.path)});
        current_[step.to] = current_.at(step.path);
        current_.erase(step.path);
        break;
      case Kind::unlink:
        unsynced_names_.push_back({parent_of(step.path), step.path, "", current_.at(step.path)});
        current_.erase(step.path);
        break;
      case Kind::sync: {
        Inode& inode = inodes_[current_.at(step.path)];
        inode.lost_a_sync = inode.lost_a_sync || step.failed;
        settle(inode);
        break;
      }
      case Kind::sync_folder:
        std::erase_if(unsynced_names_, [&](const NameChange& change) {
          if (change.folder != step.path) return false;
          change_name(names_, change);
          return true;
        });
    }
  }

  // A sync after one that failed may leave out what the failed one left out: a cut is the only
  // change that is certain then, since nothing behind it is left to be written.
  void settle(Inode& inode) {
    if (!inode.lost_a_sync) {
      for (const Change& change : inode.unsynced) change_bytes(inode.durable, change);
      inode.unsynced.clear();
      return;
    }
    const auto cut = std::find_if(inode.unsynced.rbegin(), inode.unsynced.rend(),
                                  [](const Change& change) { return change.cuts; });
    if (cut == inode.unsynced.rend()) return;
    const uint64_t size = cut->offset;
    if (inode.durable.size() < size) return;
    for (const Change& change : inode.unsynced) {
      if (change.cuts)
        inode.durable.resize(std::min<uint64_t>(inode.durable.size(), change.offset));
    }
    inode.unsynced.erase(inode.unsynced.begin(), cut.base());
    inode.lost_a_sync = false;
    settle(inode);
  }

  static void change_bytes(std::string& bytes, const Change& change) {
    if (change.cuts) {
      bytes.resize(change.offset);
      return;
    }
    if (bytes.size() < change.offset + change.bytes.size()) {
      bytes.resize(change.offset + change.bytes.size());
    }
    bytes.replace(change.offset, change.bytes.size(), change.bytes);
  }
  static void change_name(Names& names, const NameChange& change) {
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.inode;
  }

  // All subsets of what is unsynced now, with `torn` bytes of the step under way as well.
  bool subsets(size_t at, size_t torn, const DiskStep* step, std::mt19937_64& random,
               const std::function<bool(const CrashState&)>& visit) {
    size_t units = unsynced_names_.size();
    for (const Inode& inode : inodes_) units += inode.unsynced.size();
    const bool all = units <= kMostUnits;
    const uint64_t count = uint64_t{1} << std::min(units, kMostUnits);
    for (uint64_t i = 0; i < count; ++i) {
      // The two ends, nothing and everything, are always among the samples.
      const uint64_t subset = all || i == 0 ? i : i + 1 == count ? ~uint64_t{0} : random();
      image_.clear();
      build(subset, torn, step);
      if (!visit({at, torn, subset, image_})) return false;
    }
    return true;
  }

  void build(uint64_t subset, size_t torn, const DiskStep* step) {
    size_t unit = 0;
    const auto chosen = [&] { return (subset >> (unit++ % 64) & 1) != 0; };
    Names names = names_;
    for (const NameChange& change : unsynced_names_) {
      if (chosen()) change_name(names, change);
    }
    const size_t torn_inode = step == nullptr ? SIZE_MAX : current_.at(step->path);
    std::map<size_t, std::string> changed;
    for (size_t i = 0; i < inodes_.size(); ++i) {
      if (inodes_[i].unsynced.empty() && i != torn_inode) continue;
      std::string bytes = inodes_[i].durable;
      for (const Change& change : inodes_[i].unsynced) {
        if (chosen()) change_bytes(bytes, change);
      }
      if (i == torn_inode) change_bytes(bytes, {step->offset, step->bytes.substr(0, torn), false});
      changed[i] = std::move(bytes);
    }
    for (const auto& [path, inode] : names) {
      const std::string parent = parent_of(path) + "/";
      if (parent != "/" && !image_.contains(parent)) continue;  // its folder did not come through
      const auto other = changed.find(inode);
      image_.emplace(path, other == changed.end() ? inodes_[inode].durable : other->second);
    }
  }

  const std::vector<DiskStep>& log_;
  const size_t sector_;
  std::vector<Inode> inodes_;
  Names names_, current_;  // what is durable, and what programs see
  std::vector<NameChange> unsynced_names_;
  DiskImage image_;
};

}  // namespace account::testing
