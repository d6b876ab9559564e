// Verification of a run: each node's ledger, its transcripts, the sums, and who endorsed them.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "ledger/anchor.h"
#include "ledger/endorsement.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "ledger/node_reader.h"
#include "ledger/sums.h"

namespace account::ledger {
namespace {

// The folders under `path`: a run's nodes, or one node and the run that it stands in.
struct Place {
  std::string run_folder;
  std::vector<std::string> node_folders;
  bool all_nodes = true;
};

Result<Place> place_of(FileSystem& files, const std::string& path) {
  const std::string folder = absolute_path(path);
  if (!files.exists(folder)) {
    return Status(Code::not_found, fmt::format("{} does not exist", path),
                  "give the folder of a run, or of one of its nodes");
  }
  if (files.exists(join_path(folder, kRunFile))) {
    return Place{folder.substr(0, folder.rfind('/')), {folder}, false};
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  Place place{folder, {}};
  for (const std::string& name : names) {
    if (name.starts_with(kNodePrefix)) place.node_folders.push_back(join_path(folder, name));
  }
  if (!place.node_folders.empty()) return place;
  return Status(Code::not_found,
                fmt::format("{} is no folder of a run: it has no node-... folder in it", path),
                "give the folder of one run, <dir>/<run id>");
}

// Digest, rows and operations of each transcript that a ledger names.
class TranscriptCheck {
 public:
  TranscriptCheck(FileSystem& files, const NodeRead& read, Recount recount, Report& report)
      : files_(files), read_(read), recount_(recount), report_(report) {}

  void run(NodeReport& node) {
    const std::string folder = join_path(read_.folder, kTranscriptFolder);
    std::set<std::string> named;
    for (const TranscriptLine& line : read_.replay->transcripts()) {
      named.insert(line.file);
      ++node.transcripts;
      const Status checked = check(line, join_path(folder, line.file));
      if (checked.ok()) continue;
      report_.problems.push_back(
          {fmt::format("{}/{}/{}", read_.label, kTranscriptFolder, line.file),
           checked.to_string()});
    }
    const auto present = files_.list(folder);
    if (!present.ok()) return;
    for (const std::string& name : *present) {
      if (named.contains(name)) continue;
      node.remarks.push_back(fmt::format("{}/{} stands in no line", kTranscriptFolder, name));
    }
  }

 private:
  Status check(const TranscriptLine& line, const std::string& path) const {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files_.read(path, kTranscriptCapBytes));
    if (sign::to_hex(sign::sha256(bytes)) != line.sha256) {
      return Status(Code::corrupt, "the transcript is not the one that the ledger names");
    }
    if (recount_ == nullptr) return Status();
    uint64_t rows = 0;
    ACCOUNT_RETURN_IF_ERROR(recount_(bytes, rows).status());
    if (rows == line.rows) return Status();
    return Status(Code::corrupt, fmt::format("the transcript has {} rows, and the ledger says {}",
                                             rows, line.rows));
  }

  FileSystem& files_;
  const NodeRead& read_;
  Recount recount_;
  Report& report_;
};

void add_incarnations(const NodeRead& read, Report& report) {
  for (const auto& [number, tracked] : read.replay->incarnations()) {
    report.incarnations.push_back({tracked.line, read.run_file.node, tracked.steps_closed,
                                   last_rows(tracked), tracked.ended, tracked.steps,
                                   tracked.first_unix_ns, tracked.last_unix_ns, tracked.processed});
  }
}

void add_node(FileSystem& files, const NodeRead& read, Recount recount, Report& report) {
  report.problems.insert(report.problems.end(), read.problems.begin(), read.problems.end());
  NodeReport node;
  node.node =
      read.run_file.node.empty() ? read.label.substr(kNodePrefix.size()) : read.run_file.node;
  node.origin = origin_of(read.run_file.run, node.node);
  node.run_file_sha256 = read.identity.run_file_sha256;
  if (read.replay) {
    const Replay& replay = *read.replay;
    node.lines = read.lines();
    node.root_hex = sign::to_hex(replay.tree().root());
    node.closed = replay.closed();
    node.note = read.note;
    node.first_unix_ns = read.first_unix_ns;
    node.last_unix_ns = replay.last_unix_ns();
    node.keys = replay.key_ids();
    node.remarks = replay.remarks();
    node.gaps = replay.gaps();
    node.events = replay.events();
    add_incarnations(read, report);
    TranscriptCheck(files, read, recount, report).run(node);
  }
  node.open_lines = read.open_lines;
  node.open_bytes = read.open_bytes;
  if (node.closed && read.open_bytes > 0) {
    report.problems.push_back(
        {fmt::format("{}/{}", read.label, kLedgerFolder),
         fmt::format("{} bytes follow the end of a closed ledger", read.open_bytes)});
  }
  if (read.problems.empty() && read.note.empty()) {
    node.remarks.push_back("the keeper ended before it had sealed anything");
  }
  report.nodes.push_back(std::move(node));
}

// All ledgers are of one run, each node once.
void check_one_run(const std::vector<NodeRead>& reads, Report& report) {
  for (const NodeRead& read : reads) {
    const std::string& run = read.run_file.run;
    if (run.empty()) continue;
    if (report.run.empty()) report.run = run;
    if (run == report.run) continue;
    report.problems.push_back({fmt::format("{}/{}", read.label, kRunFile),
                               fmt::format("it is of run '{}', not of '{}'", run, report.run)});
  }
}

// A keeper that is killed in its first moments leaves folders, and a run.json without its text.
bool never_began(FileSystem& files, const std::string& folder) {
  const auto segments = files.list(join_path(folder, kLedgerFolder));
  const auto run_file = files.size(join_path(folder, kRunFile));
  return !files.exists(join_path(folder, kCheckpointFile)) &&
         (!segments.ok() || segments->empty()) && (!run_file.ok() || *run_file == 0);
}

// One node that sealed nothing is a gap beside others; a run of such nodes proves nothing.
void check_something_sealed(const Place& place, const std::vector<NodeRead>& reads,
                            Report& report) {
  const bool any = std::any_of(reads.begin(), reads.end(), [](const NodeRead& read) {
    return !read.note.empty() || !read.problems.empty();
  });
  if (any || !report.problems.empty()) return;
  report.problems.push_back({base_name(place.run_folder), "nothing of this run was ever sealed"});
}

bool says_saved(const Json& event, const Cut& cut) {
  const auto kind = event.get_string("kind"), name = event.get_string("name");
  const auto step = event.get_integer("step");
  return kind.ok() && *kind == "saved" && name.ok() && *name == cut.name && step.ok() &&
         static_cast<uint64_t>(*step) == cut.step;
}

// Whether the lines taken so far are those that led to the save.
bool reaches(const Cut& cut, const std::string& label, const Replay& replay) {
  if (label == node_folder_name(cut.node)) return replay.tree().size() == cut.size;
  const bool sealed = replay.first_unsealed() + 1 == replay.tree().size();
  return sealed && std::any_of(replay.events().rbegin(), replay.events().rend(),
                               [&](const Json& event) { return says_saved(event, cut); });
}

// Leaves what the heads cover.
void cut_at_heads(std::vector<NodeRead>& reads, const std::vector<Head>& heads, Report& report) {
  std::vector<NodeRead> kept;
  for (const Head& head : heads) {
    const auto read = std::find_if(reads.begin(), reads.end(), [&](const NodeRead& r) {
      return r.label == node_folder_name(head.node);
    });
    const bool there = read != reads.end();
    if (there && read->until && sign::to_hex(read->until->tree().root()) == head.root) {
      read->replay = std::move(read->until);
      kept.push_back(std::move(*read));
    } else if (report.problems.empty() && (!there || read->problems.empty())) {
      report.problems.push_back(
          {node_folder_name(head.node),
           there ? fmt::format("its first {} lines are not those that were named", head.size)
                 : "the node's ledger is not there"});
    }
  }
  reads = std::move(kept);
}

// Leaves of each node what led to the save.
void cut_nodes(std::vector<NodeRead>& reads, const Cut& cut, Report& report) {
  bool found = false;
  for (NodeRead& read : reads) {
    const bool named = read.label == node_folder_name(cut.node);
    if (named && read.until && sign::to_hex(read.until->tree().root()) == cut.root) found = true;
    if (read.until) {
      read.replay = std::move(read.until);
    } else if (!named && read.replay) {
      report.remarks.push_back(read.label + ": it noted no such save and counts whole");
    }
  }
  if (found || !report.problems.empty()) return;
  report.problems.push_back(
      {node_folder_name(cut.node),
       fmt::format("the checkpoint names line {} of a ledger that is not this one", cut.size)});
}

// What an endorsement lacks to cover these heads; empty when it covers all of them.
std::string shortfall(const Endorsement& endorsement, const Report& report,
                      const std::vector<Head>& heads) {
  if (endorsement.run != report.run) return fmt::format("it is of run '{}'", endorsement.run);
  for (const Head& head : heads) {
    const auto endorsed = std::find_if(endorsement.heads.begin(), endorsement.heads.end(),
                                       [&](const Head& h) { return h.node == head.node; });
    if (endorsed == endorsement.heads.end()) {
      return fmt::format("it does not cover node {}", head.node);
    }
    if (*endorsed == head) continue;
    return endorsed->size < head.size
               ? fmt::format("node {} has gone on since, from {} to {} lines", head.node,
                             endorsed->size, head.size)
               : fmt::format("node {} has another head than the one endorsed", head.node);
  }
  return "";
}

class EndorsementCheck {
 public:
  EndorsementCheck(FileSystem& files, const Place& place, Report& report)
      : files_(files), place_(place), report_(report), heads_(heads_of(report)) {}

  void run(const std::optional<sign::PublicKey>& developer) {
    const std::string folder = join_path(place_.run_folder, kEndorsementFolder);
    const auto names = files_.list(folder);
    bool found = false;
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
      const std::string place = fmt::format("{}/{}", kEndorsementFolder, name);
      const auto bytes = files_.read(join_path(folder, name), kSmallFileCapBytes);
      const auto parsed = bytes.ok() ? parse_endorsement(*bytes) : bytes.status();
      if (!parsed.ok()) {
        report_.problems.push_back({place, parsed.status().to_string()});
      } else if (base_name(endorsement_path("", parsed->key)) != name) {
        report_.problems.push_back({place, "the file is not named by its signer's key"});
      } else if (developer && parsed->key == *developer) {
        found = true;
        accept(*parsed, place);
      } else {
        remark(*parsed);
      }
    }
    if (!developer || found) return;
    report_.problems.push_back(
        {fmt::format("{}/", kEndorsementFolder),
         fmt::format("unverified: the run is not endorsed by key {}; ask its owner to run "
                     "'account sign'",
                     developer->id().substr(0, 16))});
  }

 private:
  void accept(const Endorsement& endorsement, const std::string& place) {
    std::string fault = shortfall(endorsement, report_, heads_);
    if (fault.empty() && place_.node_folders.size() == endorsement.heads.size() &&
        endorsement.operations != report_.totals.executed) {
      fault =
          fmt::format("it states {} operations, and the ledgers hold {}",
                      endorsement.operations.to_decimal(), report_.totals.executed.to_decimal());
    }
    if (!fault.empty()) {
      report_.problems.push_back({place, "unverified: " + fault + "; sign the run again"});
      return;
    }
    report_.endorsed_by = endorsement.key.id();
  }

  void remark(const Endorsement& endorsement) {
    const std::string fault = shortfall(endorsement, report_, heads_);
    report_.remarks.push_back(fmt::format(
        "an endorsement names key {} ('{}'), which was not asked for{}{}",
        endorsement.key.id().substr(0, 16), endorsement.name, fault.empty() ? "" : ": ", fault));
  }

  FileSystem& files_;
  const Place& place_;
  Report& report_;
  const std::vector<Head> heads_;
};

}  // namespace

std::vector<Json> events_of(const Report& report) {
  std::vector<Json> events;
  for (const NodeReport& node : report.nodes) {
    events.insert(events.end(), node.events.begin(), node.events.end());
  }
  return events;
}

std::vector<Head> heads_of(const Report& report) {
  std::vector<Head> heads;
  for (const NodeReport& node : report.nodes) {
    if (node.lines > 0) heads.push_back({node.node, node.origin, node.lines, node.root_hex});
  }
  std::sort(heads.begin(), heads.end(),
            [](const Head& a, const Head& b) { return a.node < b.node; });
  return heads;
}

Result<Report> verify(FileSystem& files, const std::string& path,
                      const std::optional<sign::PublicKey>& developer, Recount recount,
                      const VerifyOptions& options) {
  ACCOUNT_ASSIGN_OR_RETURN(const Place place, place_of(files, path));
  Report report;
  report.folder = place.run_folder;
  std::vector<NodeRead> reads;
  const bool whole = !options.cut && options.heads.empty();
  const AnchorShelf shelf =
      whole ? read_anchors(files, place.run_folder, options.anchors) : AnchorShelf();
  const auto anchored = sizes_of(shelf);
  for (const std::string& folder : place.node_folders) {
    if (never_began(files, folder)) {
      report.remarks.push_back(base_name(folder) + ": its keeper ended before it began a ledger");
      continue;
    }
    ReadOptions how{options.keep_steps, {}, {}};
    const std::string label = base_name(folder);
    for (const auto& [origin, sizes] : anchored) {
      if (node_folder_name(base_name(origin)) == label)
        how.sizes.insert(sizes.begin(), sizes.end());
    }
    const auto head = std::find_if(options.heads.begin(), options.heads.end(), [&](const Head& h) {
      return node_folder_name(h.node) == label;
    });
    if (head != options.heads.end()) {
      how.until = [head](const Replay& replay) { return replay.tree().size() == head->size; };
    } else if (options.cut) {
      how.until = [&](const Replay& replay) { return reaches(*options.cut, label, replay); };
    }
    auto read = read_node(files, folder, how);
    if (!read.ok()) {
      report.problems.push_back({base_name(folder), read.status().to_string()});
      continue;
    }
    reads.push_back(std::move(read).value());
  }
  check_something_sealed(place, reads, report);
  check_one_run(reads, report);
  if (!options.heads.empty()) cut_at_heads(reads, options.heads, report);
  if (options.cut) cut_nodes(reads, *options.cut, report);
  for (const NodeRead& read : reads) add_node(files, read, recount, report);
  sum_up(reads, report);
  if (!whole) return report;
  EndorsementCheck(files, place, report).run(developer);
  check_anchors(shelf, reads, place.all_nodes, options.witnesses, report);
  const bool anchored_whole = anchored_by_witness(reads, options.witnesses, report);
  // Assurance: L1 is the signature of a key that the reader asked for, over everything given; L2
  // is that, and a witness that the reader asked for.
  if (report.ok() && !report.endorsed_by.empty()) {
    report.trusted = true;
    report.level = anchored_whole ? "L2" : "L1";
  }
  return report;
}

Result<std::string> endorse(FileSystem& files, const Clock& clock, const std::string& path,
                            const sign::NamedSecretKey& key, Recount recount) {
  ACCOUNT_ASSIGN_OR_RETURN(const Place place, place_of(files, path));
  ACCOUNT_ASSIGN_OR_RETURN(const Report report,
                           verify(files, place.run_folder, std::nullopt, recount));
  if (!report.ok()) {
    const Problem& problem = report.problems.front();
    return Status(Code::unverified,
                  fmt::format("the run is not signed, since it does not verify: {}: {}",
                              problem.place, problem.fault),
                  "'account verify' lists all that is wrong");
  }
  const std::vector<Head> heads = heads_of(report);
  if (heads.empty()) {
    return Status(Code::unverified, "the run is not signed, since nothing of it is sealed yet");
  }
  const Endorsement endorsement{report.run,      heads,    report.totals.executed,
                                clock.unix_ns(), key.name, key.key.public_key()};
  const std::string file = endorsement_path(place.run_folder, key.key.public_key());
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  ACCOUNT_RETURN_IF_ERROR(
      files.make_directories(join_path(place.run_folder, kEndorsementFolder), kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(
      files.write_atomically(file, write_endorsement(endorsement, key.key), kFileMode));
  return file;
}

}  // namespace account::ledger
