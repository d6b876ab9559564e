// Transcripts: one step's distinct calls with all that is needed to count them again.
//
// Rank side: while a step is being recorded, record() notes each counted call in the tally's
// transcript area (a lock is taken; only on those steps). Keeper side: read() turns the area into
// the JSON lines that go into transcripts/; recount() checks such lines against the formulas.
// libaccount/doc/transcript_format.md is the format. Must not know torch.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "account/export.h"
#include "account/status.h"
#include "account/totals.h"
#include "count/formula.h"
#include "tally/tally.h"

namespace account::count {

// True while this process records a step; the hot path's one extra test.
ACCOUNT_API extern std::atomic<bool> recording;

// Notes one counted call; `figures` as they went into the tally. Never fails: what finds no room is
// counted in `not_kept`.
ACCOUNT_API void record(const Row& row, const Arguments& arguments, tally::Key key,
                        const Figures& figures) noexcept;

// Of a step that is being recorded: so many of its calls have no row to be counted again by.
ACCOUNT_API void record_not_kept(uint64_t calls) noexcept;

// Called after each closed step (0: none closed): ends the recording and begins the next step's if
// it is to be recorded. That is the first at or after each of the steps 1, 2, 10, 100 and the
// keeper's `wanted_at` for which the keeper has emptied the area (so for 2: step 3 or soon after).
// One thread at a time.
ACCOUNT_API void on_step_closed(uint64_t closed_step) noexcept;
// Begins recording step 1; called once the page is active.
ACCOUNT_API void begin() noexcept;

// Keeper side: the finished recording as JSON lines, or nothing if there is none. Frees the area.
// Rows that are none (a torn or hostile page) are left out and counted in `not_kept`.
struct Transcript {
  uint64_t step = 0;
  uint64_t not_kept = 0;
  std::string lines;
};
bool take(tally::PageView& page, Transcript& out);

// Recounts every line with the formulas: corrupt (naming the line) where a line does not parse,
// names an unknown row, or states other operations than its shapes give. Returns the sum, and in
// `rows` the number of lines.
Result<Figures> recount(std::string_view lines, uint64_t& rows);

}  // namespace account::count
