// Watch: one incarnation as its node's keeper sees it: the page, what was read from it last, and
// what of that a seal holds. Plain data with the few steps that only touch one page.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "account/status.h"
#include "keeper/job_totals.h"
#include "keeper/step_fold.h"
#include "ledger/ledger.h"
#include "tally/tally.h"

namespace account::keeper {

struct Watch {
  std::shared_ptr<tally::PageView> page;
  ledger::IncarnationLine line;
  std::vector<std::string> policies;  // that the job asked to be judged by
  int local_world_size = -1;
  int64_t seen_unix_ns = 0;
  // Steps that an earlier keeper has written already; the page's ring may still hold them.
  uint64_t steps_written = 0;
  Processed processed_written;

  tally::Counters counters;  // of the last reading; at first what an earlier keeper has written
  // Which counter in the page had fallen, once one had, which no rank of ours does to it. The
  // page's rows are not read any more then.
  Status whole;
  bool damage_told = false;
  int64_t good_until_unix_ns = 0;  // what was counted up to then is sealed
  // Closed since the last seal: operations, samples and tokens.
  StepFold steps, step_samples, step_tokens;
  uint64_t last_step = 0;  // the last that was taken from the page
  bool finish_wanted = false;
  std::string ended;  // how, once it has: "finished", "stopped", "exited", "died"

  std::vector<std::string> answers;  // files that it was to fetch: answer_path()

  // Of the last seal.
  uint64_t sealed_calls = 0, sealed_steps = 0;
  Processed sealed_processed;
  bool sealed_once = false, sealed_whole = false;

  const tally::Header& header() const { return page->layout().header; }
  bool is_child() const { return !line.parent.empty(); }
  uint64_t calls() const;
  Operations operations() const;
  bool changed_since_seal() const {
    return !sealed_once || calls() != sealed_calls || counters.steps_closed != sealed_steps ||
           counters.processed != sealed_processed;
  }
};

// Opens the page and reads what its process said of itself. corrupt where that does not parse.
Result<Watch> open_watch(const std::string& path);

// Reads the counters, and folds the steps that closed since the last call. Nothing that was read
// before falls, whatever the page says: the next line of the ledger would be refused for ever.
void read_counters(Watch& watch);

// Looks whether the incarnation is over; where it is, takes the last reading: after the death of a
// process its page never changes again, and a finished one has counted its last.
void observe_end(Watch& watch);

// The line of a seal; `with_ops` where the full table is due.
ledger::CounterLine counter_line(const Watch& watch, int number, bool with_ops);

Operations operations_of(const std::vector<ledger::CountRow>& rows);
std::vector<tally::CellRow> cell_rows(const std::vector<ledger::CountRow>& rows);

}  // namespace account::keeper
