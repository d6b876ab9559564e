// The report: what a run or a record says, for people, as one HTML page without scripts or links to
// elsewhere, as a summary for a model card, as a table and as JSON. Must not verify anything: it is
// given what was verified.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "ledger/ledger.h"
#include "policy/policy.h"
#include "record/record.h"

namespace account::report {

struct Page {
  std::string title;    // run id, or the record's model
  std::string library;  // "account 0.1.0 (...)"
  int64_t made_unix_ns = 0;
  record::Record record;
  std::vector<ledger::Report>
      reports;        // of the runs it sums up, with their steps; none of a record
  std::string level;  // "L1 endorsed"
  bool trusted = false;
  std::vector<policy::Judgement> judgements;
  std::vector<std::string> remarks;
};

std::string to_html(const Page& page);
// Markdown, with a block that Hugging Face's model cards take as metadata in front.
std::string to_summary(const Page& page);
// A model card (Markdown; empty where there is none yet) that says the same: in its metadata, and
// in a block of its own. What it said before of training compute is replaced, all else is kept.
std::string to_card(const Page& page, std::string_view card);
// "run,rank,node,category,phase,dtype,op,calls,executed,model,lower", one line a counter; of a
// record, which has no ops, less.
std::string to_csv(const Page& page);
Json to_json(const Page& page);

// ---- parts, for the writers above ------------------------------------------------------------

using Breakdown = std::map<std::string, OpCount>;
// Executed operations of all runs, by the words of keys.h and by op.
struct Breakdowns {
  Breakdown category, phase, dtype, op;
};
Breakdowns break_down(const Page& page);

// What training took in over all runs that say so, and what it executed for each token: operations
// of categories train and unassigned. 0: nothing was said.
struct Intake {
  Processed processed;
  OpCount operations_per_token;
};
Intake intake(const Page& page);

// Operations of each step, over all ranks, or, of many steps, the mean of equally many.
struct StepCurve {
  uint64_t steps = 0;         // over all restarts and runs, one after the other
  std::vector<double> means;  // of one step; at most kMostPoints
  static constexpr uint64_t kMostPoints = 240;
};
StepCurve step_curve(const Page& page);

std::string escaped(std::string_view text);  // for HTML text and attributes in double quotes
// Round thresholds as they are written ("3e25"), others in short.
std::string threshold_text(OpCount threshold);

// Inline SVG.
std::string threshold_chart(const Page& page);
std::string step_chart(const StepCurve& curve);
std::string bar_chart(const Breakdown& by, std::string_view what);
std::string lineage_tree(const record::Record& record);

}  // namespace account::report
