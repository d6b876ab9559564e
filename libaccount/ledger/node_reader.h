// Reads one node folder: run.json, the segments and the note, up to what the note covers.
//
// One segment is in memory at a time. Reading changes nothing. Must not know transcripts' content,
// endorsements, or how the nodes of a run are summed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "ledger/replay.h"
#include "sign/sign.h"

namespace account::ledger {

// The ledger as it was after some line.
struct Past {
  sign::Digest root{};
  sign::PublicKey key;  // of the session that was open
  int64_t unix_ns = 0;  // of that line
};

struct NodeRead {
  std::string folder;  // its path
  std::string label;   // "node-1f00ba5e", for places
  RunFile run_file;
  Identity identity;
  std::optional<Replay> replay;   // nothing where run.json does not parse
  std::optional<Replay> until;    // as it was when ReadOptions::until first said so
  std::map<uint64_t, Past> past;  // at ReadOptions::sizes, where the ledger has as many lines
  int64_t first_unix_ns = 0;      // of its first line
  std::string note;               // the checkpoint file; empty where there is none
  std::vector<Problem> problems;

  // Where the lines that the note covers end, and what lies behind.
  uint32_t last_segment = 0;  // 0: there is none
  uint64_t end_offset = 0;    // in it
  std::vector<uint32_t> segments_behind;
  uint64_t open_lines = 0, open_bytes = 0;
  std::string open_sha256;

  uint64_t lines() const { return replay ? replay->tree().size() : 0; }
  bool closed() const { return replay && replay->closed(); }
};

struct ReadOptions {
  bool keep_steps = false;                        // Tracked::steps
  std::function<bool(const Replay&)> until = {};  // asked after each line
  std::set<uint64_t> sizes = {};                  // fills NodeRead::past
};

// A Status only where there is no node folder to read.
Result<NodeRead> read_node(FileSystem& files, const std::string& folder,
                           const ReadOptions& options = {});

}  // namespace account::ledger
