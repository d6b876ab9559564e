// A small run as a keeper would write it, for the tests of ledger/ to read, damage and crash.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "count/transcript.h"
#include "ledger/ledger.h"
#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account::ledger {

inline constexpr const char* kNode = "1f00ba5e";
inline constexpr const char* kOtherNode = "2f00ba5e";

WriterOptions options_for(const std::string& run_folder, const std::string& run = "run-1",
                          const std::string& node = kNode);

// Rank `rank` of `world`; `id` makes it another process start.
IncarnationLine process(int rank, int world, char id);

// A counter line of two ops whose executed operations sum to 100 * amount: 60 by aten::mm forward,
// 40 by aten::mm backward, of which 10 are no model operations, and lower is 5 less.
CounterLine counted(int incarnation, uint64_t amount, uint64_t steps, bool with_ops = true);

// A transcript of two calls of aten::mm; the real recount accepts it.
extern const char* const kTranscript;
inline constexpr Recount kRecount = &count::recount;

// Two ranks of a world of two, three seals, a transcript, a bounded gap, closed.
void write_sample(FileSystem& files, const std::string& run_folder, bool with_end = true,
                  const std::string& node = kNode, int first_rank = 0,
                  const std::vector<Json>& notes = {});
inline constexpr uint64_t kSampleOperations = 1300;  // 800 by the first rank, 500 by the second
inline constexpr uint64_t kSampleBound = 7;

// verify() of what must be there to read.
Report verified(const std::string& path,
                const std::optional<sign::PublicKey>& developer = std::nullopt);

std::string describe(const Report& report);  // its problems, for messages
std::vector<std::string> files_below(const std::string& folder);
std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& bytes);
void copy_folder(const std::string& from, const std::string& to);

}  // namespace account::ledger
