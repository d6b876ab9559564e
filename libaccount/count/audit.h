// The audit: what ops without a formula did, on the steps on which all ops are watched.
//
// On audit steps (those of the transcripts but the first: 2, 10, 100, and where the keeper asks)
// whoever watches torch sees every op and notes the ones without a formula here. Over a run, the
// worst audited step stands for all: `upper` has its bound for each of its counted operations. Must
// not know torch.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/totals.h"

namespace account::count {

// Switches the watching of all ops on or off; set once by whoever watches. The pointer is called on
// the thread that closes a step.
ACCOUNT_API extern std::atomic<void (*)(bool on)> watch_all_ops;

// Notes so many calls of one op, with what they did together. Takes a lock and may allocate; only
// while all ops are watched. Never fails.
ACCOUNT_API void note_audited(std::string_view op, OpCount estimate, OpCount bound,
                              uint64_t calls = 1) noexcept;

// All of this process so far, sorted by op.
ACCOUNT_API std::vector<Audited> read_audited();
ACCOUNT_API std::vector<Audited> subtract(const std::vector<Audited>& later,
                                          const std::vector<Audited>& earlier);
// Puts the audited calls of a block that was watched as a whole into its totals and their `upper`.
ACCOUNT_API void add_audited(Totals& totals, std::vector<Audited> audited);

// One audited step: what was counted in it, and what its other ops did.
struct AuditedStep {
  OpCount executed, estimate, bound;
};
// The bound of all ops without a formula over a run that executed so much, if every step were like
// the worst of these: (executed / step's + 1) x step's bound.
ACCOUNT_API OpCount bound_by_audits(const std::vector<AuditedStep>& steps,
                                    OpCount executed) noexcept;

// Around a step of a run (count/transcript.cc). The end tells the keeper what was seen; of a step
// that never closed (0) nothing. An end without a begin does nothing.
void begin_audited_step() noexcept;
ACCOUNT_API void end_audited_step(uint64_t step) noexcept;
// Of this process so far; the first 64.
ACCOUNT_API std::vector<AuditedStep> audited_steps();

}  // namespace account::count
