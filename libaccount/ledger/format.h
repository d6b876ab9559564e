// The fixed words, names and limits of the ledger's files. libaccount/doc/ledger_format.md.
// Must not know how lines are written or checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "account/status.h"
#include "account/totals.h"
#include "base/json.h"

namespace account::ledger {

inline constexpr std::string_view kLedgerFormat = "account-ledger/1";
inline constexpr std::string_view kRunFormat = "account-run/1";
inline constexpr std::string_view kRunFile = "run.json";
inline constexpr std::string_view kCheckpointFile = "checkpoint";
inline constexpr std::string_view kLedgerFolder = "ledger";
inline constexpr std::string_view kTranscriptFolder = "transcripts";
inline constexpr std::string_view kEndorsementFolder = "endorsements";
inline constexpr std::string_view kNodePrefix = "node-";

// Caps on what a reader takes in at once; the writer stays below them.
inline constexpr uint64_t kSegmentBytes = uint64_t{64} << 20;
inline constexpr uint64_t kLineCapBytes = uint64_t{1} << 20;
inline constexpr uint64_t kTranscriptCapBytes = uint64_t{4} << 20;
inline constexpr uint64_t kSmallFileCapBytes = uint64_t{1} << 20;

std::string node_folder_name(std::string_view node);  // "node-1f00ba5e"
Status check_node(std::string_view node);             // 8 lower-case hex digits
std::string origin_of(std::string_view run, std::string_view node);
std::string segment_name(uint32_t number);  // "000001.jsonl"
std::optional<uint32_t> segment_number(std::string_view name);
std::string transcript_name(int incarnation, uint64_t step);  // "3-100.jsonl"

// Nanoseconds exceed 2^53, so times are decimal strings; before 1970 counts as 1970.
Json time_json(int64_t unix_ns);
Result<int64_t> get_time(const Json& line, std::string_view member);

// Members "samples" and "tokens", decimal strings below 2^64, each left out where it is 0: nobody
// has said it.
void set_processed(Json& json, const Processed& processed);
Result<Processed> get_processed(const Json& json);
// "512 samples, 524288 tokens"; empty where nobody has said either.
std::string processed_text(const Processed& processed);

struct RunFile {
  std::string run, node;
  int64_t created_unix_ns = 0;
};
std::string write_run_file(const RunFile& file);
Result<RunFile> parse_run_file(std::string_view bytes);

}  // namespace account::ledger
