// One row of a transcript, as it lies in the tally page and as a JSON line.
// libaccount/doc/transcript_format.md describes both for readers that are not us.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "account/keys.h"
#include "account/status.h"
#include "account/totals.h"
#include "count/formula.h"
#include "tally/layout.h"

namespace account::count {

inline constexpr int kOverloadBytes = 32;
inline constexpr int kRowValues = 42;  // numbers in all arguments of one call together

// The bytes of a row. Everything from `op` on says which call it is; equal calls share one row.
struct RowBytes {
  uint64_t identity;  // a digest of those bytes, for finding a row again
  uint64_t calls;
  uint64_t executed_low, executed_high;  // over all calls of the row, as all figures here
  uint64_t model_low, model_high;
  uint64_t lower_low, lower_high;
  char op[tally::kOpNameBytes];   // zero-terminated
  char overload[kOverloadBytes];  // zero-terminated
  uint8_t dtype, phase, category;
  uint8_t arguments;            // as many as the formula reads
  int8_t sizes[kMaxArguments];  // numbers in each; -1: absent
  int64_t values[kRowValues];   // all of them, one argument after the other; rest 0
};
static_assert(sizeof(RowBytes) == tally::kTranscriptRowBytes);

struct TranscriptCall {
  const Row* row = nullptr;
  Arguments arguments;
  DType dtype = DType::other;
  Phase phase = Phase::forward;
  Category category = Category::unassigned;
  uint64_t calls = 0;
  Figures figures;
};

// False where names or numbers do not fit.
bool encode(const TranscriptCall& call, RowBytes& bytes) noexcept;
// Nothing where the bytes are no row of a known op.
std::optional<TranscriptCall> decode(const RowBytes& bytes) noexcept;

std::string to_json_line(const TranscriptCall& call);  // with its line feed
// Strict: corrupt where the line is not exactly what to_json_line writes for some call.
Result<TranscriptCall> from_json_line(std::string_view line);

}  // namespace account::count
