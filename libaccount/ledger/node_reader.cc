// From the bytes of a node folder to replayed lines, each fault with its place.
#include "ledger/node_reader.h"

#include <fmt/format.h>

#include <algorithm>

namespace account::ledger {
namespace {

// One pass over the segments. Kept apart from NodeRead, which is what remains of it.
class Pass {
 public:
  Pass(FileSystem& files, NodeRead& node, const ReadOptions& options)
      : files_(files), node_(node), options_(options) {}

  void run() {
    if (!read_run_file() || !read_note() || !list_segments()) return;
    node_.replay.emplace(node_.identity, options_.keep_steps);
    for (const uint32_t number : segments_) {
      if (!read_segment(number)) return;
    }
    check_note();
    node_.open_sha256 = sign::to_hex(open_hash_.finish());
  }

 private:
  bool fail(std::string place, std::string fault) {
    node_.problems.push_back({std::move(place), std::move(fault)});
    return false;
  }
  std::string at(std::string_view name) const { return fmt::format("{}/{}", node_.label, name); }
  std::string at_segment(uint32_t number) const {
    return fmt::format("{}/{}/{}", node_.label, kLedgerFolder, segment_name(number));
  }

  bool read_run_file() {
    const std::string path = join_path(node_.folder, kRunFile);
    const auto bytes = files_.read(path, kSmallFileCapBytes);
    if (!bytes.ok()) return fail(at(kRunFile), bytes.status().to_string());
    auto parsed = parse_run_file(*bytes);
    if (!parsed.ok()) return fail(at(kRunFile), parsed.status().to_string());
    node_.run_file = std::move(parsed).value();
    node_.identity = {node_.run_file.run, node_.run_file.node, sign::to_hex(sign::sha256(*bytes))};
    if (node_folder_name(node_.identity.node) == base_name(node_.folder)) return true;
    return fail(at(kRunFile),
                fmt::format("it is of node {}, not of this folder", node_.identity.node));
  }

  bool read_note() {
    const std::string path = join_path(node_.folder, kCheckpointFile);
    if (!files_.exists(path)) return true;
    auto bytes = files_.read(path, kSmallFileCapBytes);
    if (!bytes.ok()) return fail(at(kCheckpointFile), bytes.status().to_string());
    const auto note = sign::parse_checkpoint(*bytes);
    if (!note.ok()) return fail(at(kCheckpointFile), note.status().to_string());
    if (note->size == 0) return fail(at(kCheckpointFile), "the note covers no line");
    checkpoint_ = *note;
    node_.note = std::move(bytes).value();
    return true;
  }

  bool list_segments() {
    const auto names = files_.list(join_path(node_.folder, kLedgerFolder));
    if (!names.ok()) {
      if (names.status().code() == Code::not_found && node_.note.empty()) return true;
      return fail(at(kLedgerFolder), names.status().to_string());
    }
    for (const std::string& name : *names) {
      const auto number = segment_number(name);
      const std::string place = fmt::format("{}/{}", at(kLedgerFolder), name);
      if (!number) return fail(place, "the file is no segment of a ledger");
      const uint32_t due = static_cast<uint32_t>(segments_.size()) + 1;
      if (*number != due) return fail(at_segment(due), "the segment is missing");
      segments_.push_back(*number);
    }
    return true;
  }

  uint64_t covered() const { return checkpoint_ ? checkpoint_->size : 0; }
  bool is_behind() const { return node_.lines() >= covered(); }

  bool read_segment(uint32_t number) {
    const bool begins_behind = is_behind();
    const std::string path =
        join_path(join_path(node_.folder, kLedgerFolder), segment_name(number));
    const auto bytes = files_.read(path, kSegmentBytes);
    if (!bytes.ok()) return fail(at_segment(number), bytes.status().to_string());
    first_line_.push_back(node_.lines());
    std::string_view rest = *bytes;
    while (!is_behind() && !rest.empty()) {
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos) return fail(place(node_.lines()), "the line is cut");
      if (!take(rest.substr(0, end))) return false;
      rest.remove_prefix(end + 1);
    }
    if (begins_behind) {
      node_.segments_behind.push_back(number);
    } else {
      node_.last_segment = number;
      node_.end_offset = bytes->size() - rest.size();
    }
    note_open(rest);
    return true;
  }

  // A tree that does not match says only that some line since the last match was changed.
  bool take(std::string_view line) {
    const Status taken = node_.replay->take(line);
    if (taken.ok()) {
      keep_past();
      if (options_.until && !node_.until && options_.until(*node_.replay)) {
        node_.until = node_.replay;
      }
      return true;
    }
    const bool is_tree = taken.code() == Code::unverified;
    return fail(place(is_tree ? node_.replay->first_unsealed() : node_.lines(), node_.lines()),
                taken.to_string());
  }

  void keep_past() {
    const Replay& replay = *node_.replay;
    const uint64_t size = replay.tree().size();
    if (size == 1) node_.first_unix_ns = replay.last_unix_ns();
    if (!options_.sizes.contains(size) || !replay.key()) return;
    node_.past.emplace(size, Past{replay.tree().root(), *replay.key(), replay.last_unix_ns()});
  }

  void note_open(std::string_view bytes) {
    node_.open_bytes += bytes.size();
    node_.open_lines += static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    open_hash_.update(bytes);
  }

  void check_note() {
    if (!checkpoint_) {
      // The opening line is sealed before any other is written, so at most that one can be there.
      if (node_.open_lines > 1) fail(at(kCheckpointFile), "the note is missing");
      return;
    }
    // No line at all means that nobody knows by which key the note would be.
    if (!node_.replay->key()) {
      fail(at(kLedgerFolder), fmt::format("no line is there, and the note covers {}", covered()));
      return;
    }
    const auto note = sign::verify_checkpoint(node_.note, *node_.replay->key());
    const std::string origin = origin_of(node_.identity.run, node_.identity.node);
    if (!note.ok()) {
      fail(at(kCheckpointFile), note.status().to_string());
    } else if (!is_behind()) {
      fail(place(node_.lines()),
           fmt::format("the ledger ends after {} lines, and its note covers {}", node_.lines(),
                       covered()));
    } else if (note->origin != origin) {
      fail(at(kCheckpointFile), fmt::format("it is of {}, not of {}", note->origin, origin));
    } else if (note->root != node_.replay->tree().root()) {
      fail(place(node_.replay->first_unsealed(), covered() - 1),
           "the lines are not the ones that the note signs");
    }
  }

  // "node-1f00ba5e/ledger/000001.jsonl line 17", or "... lines 17 to 19".
  std::string place(uint64_t first, uint64_t last) const {
    const auto [first_segment, first_line] = where(first);
    const auto [last_segment, last_line] = where(last);
    if (first == last) return fmt::format("{} line {}", at_segment(first_segment), first_line);
    if (first_segment == last_segment) {
      return fmt::format("{} lines {} to {}", at_segment(first_segment), first_line, last_line);
    }
    return fmt::format("{} line {} to {} line {}", at_segment(first_segment), first_line,
                       segment_name(last_segment), last_line);
  }
  std::string place(uint64_t line) const { return place(line, line); }

  // Segment and line within it, both from 1, of a line counted from 0.
  std::pair<uint32_t, uint64_t> where(uint64_t line) const {
    size_t segment = first_line_.size() - 1;
    while (segment > 0 && first_line_[segment] > line) --segment;
    return {static_cast<uint32_t>(segment) + 1, line - first_line_[segment] + 1};
  }

  FileSystem& files_;
  NodeRead& node_;
  const ReadOptions& options_;
  std::optional<sign::Checkpoint> checkpoint_;
  std::vector<uint32_t> segments_;
  std::vector<uint64_t> first_line_;  // of each segment, counted from 0 over all
  sign::Sha256 open_hash_;
};

}  // namespace

Result<NodeRead> read_node(FileSystem& files, const std::string& folder,
                           const ReadOptions& options) {
  if (!files.exists(join_path(folder, kRunFile))) {
    return Status(Code::not_found, fmt::format("{} holds no ledger: it has no run.json", folder),
                  "give the folder of a run, or of one of its nodes");
  }
  NodeRead node;
  node.folder = folder;
  node.label = base_name(folder);
  Pass(files, node, options).run();
  return node;
}

}  // namespace account::ledger
