// Replay: one node's ledger taken line by line, as a verifier and a recovering writer need it.
//
// It holds the Merkle tree, the keys, and the last counters of each incarnation: memory grows with
// the number of incarnations, not with the length of the ledger (unless steps are kept). A copy of
// it is the ledger as it was then. Must not know files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/ledger.h"
#include "ledger/lines.h"
#include "ledger/table.h"
#include "sign/sign.h"

namespace account::ledger {

// What run.json says, which every opening line must repeat.
struct Identity {
  std::string run, node, run_file_sha256;
};

// An incarnation as the lines so far have it.
struct Tracked {
  IncarnationLine line;
  uint64_t steps_closed = 0;
  Table rows;      // without ops, of its last entry
  Table full;      // with ops, of its last full table
  StepRuns steps;  // where they are kept
  Processed processed;
  std::string ended;
  int64_t first_unix_ns = 0, last_unix_ns = 0;
};

class Replay {
 public:
  explicit Replay(Identity identity, bool keep_steps = false)
      : identity_(std::move(identity)), keep_steps_(keep_steps) {}

  // Takes the next line, without its line feed. A failure says what is wrong with it, or, when it
  // is unverified, with one of the lines since first_unsealed(); nothing is to be taken after one.
  Status take(std::string_view line);

  // The first line (counted from 0) that the last good seal or note does not cover: where a tree
  // that does not match was changed at the earliest.
  uint64_t first_unsealed() const { return first_unsealed_; }

  const sign::MerkleTree& tree() const { return tree_; }
  const std::optional<sign::PublicKey>& key() const { return key_; }  // of the open session
  int64_t sessions() const { return sessions_; }
  bool closed() const { return closed_; }
  int64_t last_unix_ns() const { return time_unix_ns_; }
  const std::map<int, Tracked>& incarnations() const { return incarnations_; }
  const std::vector<std::string>& key_ids() const { return key_ids_; }
  const std::vector<std::string>& remarks() const { return remarks_; }
  const std::vector<Json>& gaps() const { return gaps_; }
  const std::vector<Json>& events() const { return events_; }
  const std::vector<TranscriptLine>& transcripts() const { return transcripts_; }

 private:
  Status take_typed(const std::string& type, const Json& line);
  Status take_open(const Json& line);
  Status check_previous(const OpenLine& line);
  Status take_incarnation(const Json& line);
  Status take_seal(const Json& line);
  Status take_counters(CounterEntry entry);
  Status take_transcript(const Json& line);
  Status take_gap(const Json& line);
  Status take_ended(const Json& line);
  Result<Tracked*> tracked(int number);

  Identity identity_;
  bool keep_steps_ = false;
  sign::MerkleTree tree_;
  std::optional<sign::PublicKey> key_;
  int64_t sessions_ = 0;
  int64_t time_unix_ns_ = 0;  // of the line being taken
  uint64_t first_unsealed_ = 0;
  bool closed_ = false;
  std::map<int, Tracked> incarnations_;
  std::vector<std::string> key_ids_, remarks_;
  std::vector<Json> gaps_, events_;
  std::vector<TranscriptLine> transcripts_;
};

// True for the types of line that carry an event: listed by name, so that a line of a type that
// this version does not understand is never passed over.
bool is_event_type(std::string_view type);

}  // namespace account::ledger
