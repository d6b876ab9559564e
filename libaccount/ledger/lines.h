// The lines of a ledger as values: what each type holds, and its spelling. A line is one JSON
// object with "type" and "time_unix_ns". libaccount/doc/ledger_format.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "account/status.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "ledger/table.h"
#include "sign/sign.h"

namespace account::ledger {

// Begins a session: one keeper's life, with one key.
struct OpenLine {
  int64_t session = 0;  // 1, 2, ...
  std::string run, node, library, reason, run_file_sha256;
  std::string key;       // 32 bytes
  std::string previous;  // the last note before this session, whole; empty in the first
  uint64_t cut_bytes = 0;
  std::string cut_sha256;  // of the bytes that were cut behind that note
  std::vector<Json> policies;
};
// Why a session began.
inline constexpr std::string_view kFirst = "first";
inline constexpr std::string_view kAfterEnd = "after_end";      // the line before is `closed`
inline constexpr std::string_view kAfterCrash = "after_crash";  // it is not

struct CounterEntry {
  int incarnation = 0;
  uint64_t steps_closed = 0;
  Table rows;                // without ops
  std::optional<Table> ops;  // a full table
  StepRuns steps;
  Processed processed;
};

struct SealLine {
  std::string reason;
  sign::Digest root{};  // of all lines before this one
  std::vector<CounterEntry> counters;
};

struct TranscriptLine {
  int incarnation = 0;
  uint64_t step = 0, rows = 0, not_kept = 0;
  std::string file, sha256;
};

std::string_view name(SealReason reason);

Json encode(const OpenLine& line, int64_t unix_ns);
Json encode(int number, const IncarnationLine& line, int64_t unix_ns);
Json encode(const CounterLine& line);  // one entry of a seal line
// An entry that is, but for its incarnation, the one of `same` before it in the same line.
Json same_entry(int incarnation, int same);
Json seal_line(SealReason reason, const sign::Digest& root, std::vector<Json> counters,
               int64_t unix_ns);
Json encode(const TranscriptLine& line, int64_t unix_ns);
// {"type", "time_unix_ns"} and then what `body` holds under other names.
Json line_of(std::string_view type, const Json& body, int64_t unix_ns);

Result<OpenLine> decode_open(const Json& line);
struct NumberedIncarnation {
  int number = 0;
  IncarnationLine line;
};
Result<NumberedIncarnation> decode_incarnation(const Json& line);
Result<SealLine> decode_seal(const Json& line);
Result<TranscriptLine> decode_transcript(const Json& line);

}  // namespace account::ledger
