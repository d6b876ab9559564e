// Calls that were seen and could not be counted, and why. Nothing is silently 0: they are listed in
// Totals.uncounted of this process, with a bound on what they computed, and the keeper is told: at
// the first call of a kind, whenever its calls have doubled, and at the end of a run.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/op_count.h"
#include "account/totals.h"
#include "count/formula.h"

namespace account::count {

// Notes one call. Takes a lock and may allocate: such calls are not on the hot path. Never fails.
ACCOUNT_API void note_uncounted(std::string_view op, std::string_view reason,
                                OpCount bound = OpCount()) noexcept;
// Tells the keeper of the active page the exact numbers so far.
ACCOUNT_API void tell_uncounted() noexcept;

// What a call of an unknown op computes at most, from the elements of its tensors (inputs and
// outputs): every element of the largest paired with every element of the second largest (or, of a
// single one, with itself), four operations a pair, and 64 an element. Products, convolutions,
// attention, recurrent layers and dense solvers are all below that.
ACCOUNT_API OpCount bound_of_elements(std::span<const int64_t> elements) noexcept;
// That of a call whose row declined it: each argument taken for a tensor of that size.
ACCOUNT_API OpCount bound_of_call(const Arguments& arguments) noexcept;

// All of this process so far, sorted by op and reason.
ACCOUNT_API std::vector<Uncounted> read_uncounted();

// What came between two reads.
ACCOUNT_API std::vector<Uncounted> subtract(const std::vector<Uncounted>& later,
                                            const std::vector<Uncounted>& earlier);

// Puts them into totals that have none yet: the list, and their bounds into `upper`.
ACCOUNT_API void add_uncounted(Totals& totals, std::vector<Uncounted> uncounted);

}  // namespace account::count
