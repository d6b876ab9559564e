// Reading, checking and making of anchors.
#include "ledger/anchor.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "ledger/format.h"

namespace account::ledger {
namespace {

constexpr std::string_view kNoteSuffix = ".note", kKeySuffix = ".pub";
constexpr int64_t kSecond = 1'000'000'000;

void read_one(FileSystem& files, const std::string& path, const std::string& place, bool own,
              AnchorShelf& shelf) {
  const auto bytes = files.read(path, kSmallFileCapBytes);
  Status fault = bytes.status();
  if (bytes.ok() && place.ends_with(kKeySuffix)) {
    auto key = sign::parse_public_key_file(*bytes);
    if (key.ok() && sign::public_key_file(*key) == *bytes) {
      return shelf.keys.push_back(std::move(key).value());
    }
    fault =
        key.ok() ? Status(Code::corrupt, "it is not spelled as `account` writes it") : key.status();
  } else if (bytes.ok()) {
    auto cosigned = sign::parse_cosigned(*bytes);
    if (cosigned.ok()) return shelf.anchors.push_back({place, own, std::move(cosigned).value()});
    fault = cosigned.status();
  }
  shelf.problems.push_back({place, fault.to_string()});
}

void read_folder(FileSystem& files, const std::string& folder, const std::string& label, bool own,
                 AnchorShelf& shelf) {
  const auto names = files.list(folder);
  if (!names.ok()) return shelf.problems.push_back({label, names.status().to_string()});
  for (const std::string& name : *names) {
    if (name.ends_with(kNoteSuffix) || name.ends_with(kKeySuffix)) {
      read_one(files, join_path(folder, name), fmt::format("{}/{}", label, name), own, shelf);
    } else {
      shelf.problems.push_back(
          {fmt::format("{}/{}", label, name), "it is neither an anchor (.note) nor a key (.pub)"});
    }
  }
}

const NodeRead* node_of(const std::vector<NodeRead>& reads, const std::string& origin) {
  const auto read = std::find_if(reads.begin(), reads.end(), [&](const NodeRead& r) {
    return origin_of(r.identity.run, r.identity.node) == origin;
  });
  return read == reads.end() ? nullptr : &*read;
}

std::string seen(const sign::CosignedCheckpoint& cosigned) {
  return fmt::format("at line {}, which '{}' anchored at {}", cosigned.checkpoint.size,
                     cosigned.witness, to_iso8601(cosigned.unix_s * kSecond));
}

// What is wrong with a ledger that the anchor is held against; empty where it is the one anchored.
std::string fault_of(const sign::CosignedCheckpoint& cosigned, const NodeRead& read) {
  const uint64_t size = cosigned.checkpoint.size;
  if (read.lines() < size) {
    return fmt::format("the ledger of node {} has {} lines and had {} {}", read.identity.node,
                       read.lines(), size, seen(cosigned));
  }
  const auto past = read.past.find(size);
  if (past == read.past.end() || past->second.root != cosigned.checkpoint.root) {
    return fmt::format("the ledger of node {} was rewritten: it is not the one that it was {}",
                       read.identity.node, seen(cosigned));
  }
  if (!sign::verify_checkpoint(cosigned.note, past->second.key).ok()) {
    return "its checkpoint is not signed by the ledger's keeper";
  }
  return "";
}

class AnchorCheck {
 public:
  AnchorCheck(const AnchorShelf& shelf, const std::vector<NodeRead>& reads, bool all_nodes,
              const std::vector<sign::PublicKey>& witnesses, Report& report)
      : shelf_(shelf),
        reads_(reads),
        all_nodes_(all_nodes),
        witnesses_(witnesses),
        report_(report) {}

  void take(const Anchor& anchor) {
    const auto& [place, own, cosigned] = anchor;
    const NodeRead* read = node_of(reads_, cosigned.checkpoint.origin);
    if (read == nullptr) {
      no_such_node(anchor);
      return;
    }
    const sign::PublicKey* key = signer_of(cosigned);
    if (key == nullptr) {
      return wrong(place, fmt::format("the key of its witness '{}' is not there; give --witness, "
                                      "or put the .pub beside it",
                                      cosigned.witness));
    }
    if (!sign::verify_cosignature(cosigned, *key).ok()) {
      return wrong(place, fmt::format("the cosignature of '{}' is wrong", cosigned.witness));
    }
    if (!read->problems.empty()) return;  // what is wrong with the ledger itself was said already
    if (const std::string fault = fault_of(cosigned, *read); !fault.empty()) {
      return wrong(place, fault + "; ask its owner for the ledger that was anchored");
    }
    const bool asked = std::find(witnesses_.begin(), witnesses_.end(), *key) != witnesses_.end();
    report_.anchors.push_back({read->identity.node, cosigned.checkpoint.size, key->id(),
                               cosigned.witness, cosigned.unix_s,
                               read->past.at(cosigned.checkpoint.size).unix_ns, asked});
  }

 private:
  // A witness keeps those of other runs too, and one node of a run may be looked at alone.
  void no_such_node(const Anchor& anchor) {
    const std::string& origin = anchor.cosigned.checkpoint.origin;
    if (origin.starts_with(origin_of(report_.run, ""))) {
      if (all_nodes_) wrong(anchor.place, fmt::format("the ledger of {} is not there", origin));
    } else if (anchor.own) {
      wrong(anchor.place, fmt::format("it is of {}, which is not this run", origin));
    }
  }

  // By the keys asked for, or by those beside the anchors under the name that they have there.
  const sign::PublicKey* signer_of(const sign::CosignedCheckpoint& cosigned) const {
    for (const sign::PublicKey& key : witnesses_) {
      if (sign::is_cosigned_by(cosigned, key)) return &key;
    }
    for (const sign::NamedPublicKey& named : shelf_.keys) {
      if (named.name == cosigned.witness && sign::is_cosigned_by(cosigned, named.key)) {
        return &named.key;
      }
    }
    return nullptr;
  }

  void wrong(const std::string& place, const std::string& fault) {
    report_.problems.push_back({place, "unverified: " + fault});
  }

  const AnchorShelf& shelf_;
  const std::vector<NodeRead>& reads_;
  const bool all_nodes_;
  const std::vector<sign::PublicKey>& witnesses_;
  Report& report_;
};

}  // namespace

AnchorShelf read_anchors(FileSystem& files, const std::string& run_folder,
                         const std::vector<std::string>& further) {
  AnchorShelf shelf;
  const std::string own = join_path(run_folder, kAnchorFolder);
  if (files.exists(own)) read_folder(files, own, std::string(kAnchorFolder), true, shelf);
  for (const std::string& path : further) {
    if (files.list(path).ok()) {
      read_folder(files, path, path, false, shelf);
    } else {
      read_one(files, path, path, false, shelf);
    }
  }
  return shelf;
}

std::map<std::string, std::set<uint64_t>> sizes_of(const AnchorShelf& shelf) {
  std::map<std::string, std::set<uint64_t>> sizes;
  for (const Anchor& anchor : shelf.anchors) {
    sizes[anchor.cosigned.checkpoint.origin].insert(anchor.cosigned.checkpoint.size);
  }
  return sizes;
}

void check_anchors(const AnchorShelf& shelf, const std::vector<NodeRead>& reads, bool all_nodes,
                   const std::vector<sign::PublicKey>& witnesses, Report& report) {
  report.problems.insert(report.problems.end(), shelf.problems.begin(), shelf.problems.end());
  AnchorCheck check(shelf, reads, all_nodes, witnesses, report);
  for (const Anchor& anchor : shelf.anchors) check.take(anchor);
  // The witness's copies are mostly those of the run itself.
  std::sort(report.anchors.begin(), report.anchors.end());
  report.anchors.erase(std::unique(report.anchors.begin(), report.anchors.end()),
                       report.anchors.end());
}

bool anchored_by_witness(const std::vector<NodeRead>& reads,
                         const std::vector<sign::PublicKey>& witnesses, Report& report) {
  bool all = !reads.empty() && !witnesses.empty();
  for (const NodeRead& read : reads) {
    if (!read.replay || read.lines() == 0) continue;
    uint64_t covered = 0;
    bool while_running = false;
    for (const AnchorReport& anchor : report.anchors) {
      if (anchor.node != read.identity.node || (!witnesses.empty() && !anchor.asked)) continue;
      covered = std::max(covered, anchor.size);
      // The witness says the second only: all of it was before the last line.
      while_running |= (anchor.unix_s + 1) * kSecond <= read.replay->last_unix_ns();
    }
    const std::string& node = read.identity.node;
    if (covered == 0) {
      report.remarks.push_back(
          witnesses.empty()
              ? fmt::format("node {}: no anchor: whoever holds the run's keys could have rewritten "
                            "it ('account anchor' lets a witness cosign)",
                            node)
              : fmt::format("node {}: the witness asked for anchored none of it", node));
    } else if (covered < read.lines()) {
      report.remarks.push_back(
          fmt::format("node {}: anchored up to line {} of {}: whoever holds the run's keys could "
                      "have rewritten what follows",
                      node, covered, read.lines()));
    } else if (!while_running) {
      report.remarks.push_back(
          fmt::format("node {}: anchored only after its end: until then whoever holds the run's "
                      "keys could have rewritten it",
                      node));
    }
    all &= covered == read.lines() && while_running;
  }
  return all;
}

Result<Anchored> anchor(FileSystem& files, const Clock& clock, const std::string& path,
                        const AnchorOptions& options, Recount recount) {
  VerifyOptions how;
  if (!options.keep.empty() && files.exists(options.keep)) how.anchors = {options.keep};
  ACCOUNT_ASSIGN_OR_RETURN(const Report report, verify(files, path, std::nullopt, recount, how));
  if (!report.ok()) {
    const Problem& problem = report.problems.front();
    return Status(Code::unverified,
                  fmt::format("the run is not anchored, since it does not verify: {}: {}",
                              problem.place, problem.fault),
                  "'account verify' lists all that is wrong");
  }
  const sign::PublicKey& key = options.key.key.public_key();
  const sign::NamedPublicKey named{options.name, key};
  const std::string_view id = sign::short_id(key.id());
  const int64_t now_s = clock.unix_ns() / kSecond;
  std::vector<std::string> folders = {join_path(report.folder, kAnchorFolder)};
  if (!options.keep.empty()) folders.push_back(options.keep);
  Anchored anchored;
  for (const NodeReport& node : report.nodes) {
    anchored.over &= node.closed;
    if (node.note.empty()) continue;
    ACCOUNT_ASSIGN_OR_RETURN(
        const std::string cosigned,
        sign::cosign_checkpoint(node.note, options.name, now_s, options.key.key));
    const std::string name = fmt::format("{}-{}-{}{}", node.node, node.lines, id, kNoteSuffix);
    for (const std::string& folder : folders) {
      constexpr int kFolderMode = 0755, kFileMode = 0644;
      ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder, kFolderMode));
      const std::string pub = join_path(folder, std::string(id) + std::string(kKeySuffix));
      if (!files.exists(pub)) {
        ACCOUNT_RETURN_IF_ERROR(
            files.write_atomically(pub, sign::public_key_file(named), kFileMode));
      }
      // The first anchor of a head says most: a later one of the same head is not written.
      const std::string file = join_path(folder, name);
      if (files.exists(file)) continue;
      ACCOUNT_RETURN_IF_ERROR(files.write_atomically(file, cosigned, kFileMode));
      anchored.files.push_back(file);
    }
  }
  return anchored;
}

}  // namespace account::ledger
