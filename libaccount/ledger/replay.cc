// The rules that each line of a ledger keeps towards the lines before it.
#include "ledger/replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "ledger/format.h"

namespace account::ledger {
namespace {

// "note" by any keeper, the others as ledger_format.md says (Orders, Limits).
constexpr std::string_view kEventTypes[] = {"note",  "authority",     "authority_unreadable",
                                            "start", "start_refused", "lift",
                                            "order", "order_refused", "quiet",
                                            "limit", "acknowledged",  "rehearsal",
                                            "lease", "lease_ended"};

Status wrong(std::string fault) { return Status(Code::corrupt, std::move(fault)); }
Status tree_differs(std::string fault) { return Status(Code::unverified, std::move(fault)); }

void append(StepRuns& to, const StepRuns& more) {
  for (const auto runs : {&StepRuns::operations, &StepRuns::samples, &StepRuns::tokens}) {
    (to.*runs).insert((to.*runs).end(), (more.*runs).begin(), (more.*runs).end());
  }
}

}  // namespace

bool is_event_type(std::string_view type) {
  return std::find(std::begin(kEventTypes), std::end(kEventTypes), type) != std::end(kEventTypes);
}

Status Replay::take(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json line, Json::parse(bytes, kLineCapBytes));
  if (line.kind() != Json::Kind::object) return wrong("the line is no JSON object");
  ACCOUNT_ASSIGN_OR_RETURN(const std::string type, line.get_string("type"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t time, get_time(line, "time_unix_ns"));
  // One of the two was changed, and only the next seal knows which.
  if (time < time_unix_ns_) return tree_differs("its time is before that of the line before");
  time_unix_ns_ = time;
  if (sessions_ == 0 && type != "open") return wrong("the first line opens no ledger");
  if (closed_ && type != "open") return wrong("a line follows the closing one");
  ACCOUNT_RETURN_IF_ERROR(take_typed(type, line));
  tree_.append(bytes);
  // Covered: what stands before a seal whose root matched. The seal itself is covered by the next.
  if (type == "seal" || type == "open") first_unsealed_ = tree_.size() - 1;
  return Status();
}

Status Replay::take_typed(const std::string& type, const Json& line) {
  if (type == "open") return take_open(line);
  if (type == "seal") return take_seal(line);
  if (type == "incarnation") return take_incarnation(line);
  if (type == "transcript") return take_transcript(line);
  if (type == "gap") return take_gap(line);
  if (type == "ended") return take_ended(line);
  if (type == "closed") {
    closed_ = true;
    return Status();
  }
  if (is_event_type(type)) {
    events_.push_back(line);
    return Status();
  }
  return wrong(fmt::format("'{}' is no type of line that this version knows", type.substr(0, 60)));
}

Status Replay::take_open(const Json& json) {
  ACCOUNT_ASSIGN_OR_RETURN(const OpenLine line, decode_open(json));
  if (line.run != identity_.run || line.node != identity_.node) {
    return wrong(fmt::format("the line opens the ledger of run '{}', node {}, not of '{}', {}",
                             line.run, line.node, identity_.run, identity_.node));
  }
  if (line.run_file_sha256 != identity_.run_file_sha256) {
    return wrong("run.json is not the file that the ledger was opened with");
  }
  if (line.session != sessions_ + 1) {
    return wrong(fmt::format("session {} follows session {}", line.session, sessions_));
  }
  ACCOUNT_RETURN_IF_ERROR(check_previous(line));
  ACCOUNT_ASSIGN_OR_RETURN(key_, sign::PublicKey::from_bytes(line.key));
  if (sessions_ > 0) {
    remarks_.push_back(closed_
                           ? fmt::format("session {}: new key after an orderly end", line.session)
                           : fmt::format("session {}: new key after a crash", line.session));
  }
  if (line.cut_bytes > 0) {
    remarks_.push_back(
        fmt::format("session {}: cut {} unacknowledged bytes", line.session, line.cut_bytes));
  }
  key_ids_.push_back(key_->id());
  ++sessions_;
  closed_ = false;
  return Status();
}

// A new session quotes the last note of the one before it, signed by the old key over exactly the
// lines that stand before the new session.
Status Replay::check_previous(const OpenLine& line) {
  const std::string_view reason = sessions_ == 0 ? kFirst : closed_ ? kAfterEnd : kAfterCrash;
  if (line.reason != reason) {
    return wrong(fmt::format("the session's reason is '{}', not '{}'", line.reason, reason));
  }
  if (sessions_ == 0) {
    return line.previous.empty() ? Status() : wrong("the first session quotes a note");
  }
  const auto note = sign::verify_checkpoint(line.previous, *key_);
  if (!note.ok()) return note.status().with_context("the note quoted");
  const bool covers = note->size == tree_.size() && note->root == tree_.root() &&
                      note->origin == origin_of(identity_.run, identity_.node);
  if (covers) return Status();
  return tree_differs("the note quoted does not cover the lines before this session");
}

Status Replay::take_incarnation(const Json& json) {
  ACCOUNT_ASSIGN_OR_RETURN(const NumberedIncarnation entry, decode_incarnation(json));
  if (entry.number != static_cast<int>(incarnations_.size()) + 1) {
    return wrong(fmt::format("incarnation {} follows {}", entry.number, incarnations_.size()));
  }
  for (const auto& [number, known] : incarnations_) {
    if (known.line.id == entry.line.id) {
      return wrong(fmt::format("incarnations {} and {} have the same id", number, entry.number));
    }
  }
  Tracked& tracked = incarnations_[entry.number];
  tracked.line = entry.line;
  tracked.first_unix_ns = tracked.last_unix_ns = time_unix_ns_;
  return Status();
}

Status Replay::take_seal(const Json& json) {
  ACCOUNT_ASSIGN_OR_RETURN(SealLine line, decode_seal(json));
  if (line.root != tree_.root()) {
    return tree_differs("the lines before this seal are not the ones that were sealed");
  }
  for (CounterEntry& entry : line.counters) {
    const int number = entry.incarnation;
    const Status taken = take_counters(std::move(entry));
    if (!taken.ok()) return taken.with_context(fmt::format("incarnation {}", number));
  }
  return Status();
}

Status Replay::take_counters(CounterEntry entry) {
  ACCOUNT_ASSIGN_OR_RETURN(Tracked * known, tracked(entry.incarnation));
  if (entry.steps_closed < known->steps_closed) return wrong("the number of closed steps fell");
  if (entry.processed.samples < known->processed.samples ||
      entry.processed.tokens < known->processed.tokens) {
    return wrong("the number of samples or tokens fell");
  }
  ACCOUNT_RETURN_IF_ERROR(check_never_fell(known->rows, entry.rows));
  if (entry.ops) {
    ACCOUNT_RETURN_IF_ERROR(check_never_fell(known->full, *entry.ops));
    known->full = std::move(*entry.ops);
  }
  known->rows = std::move(entry.rows);
  if (keep_steps_) append(known->steps, entry.steps);
  known->steps_closed = entry.steps_closed;
  known->processed = entry.processed;
  known->last_unix_ns = time_unix_ns_;
  return Status();
}

Status Replay::take_transcript(const Json& json) {
  ACCOUNT_ASSIGN_OR_RETURN(TranscriptLine line, decode_transcript(json));
  ACCOUNT_RETURN_IF_ERROR(tracked(line.incarnation).status());
  const bool twice = std::any_of(transcripts_.begin(), transcripts_.end(),
                                 [&](const TranscriptLine& t) { return t.file == line.file; });
  if (twice) return wrong(fmt::format("transcript {} stands in the ledger twice", line.file));
  transcripts_.push_back(std::move(line));
  return Status();
}

Status Replay::take_gap(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.get_string("kind").status());
  if (json.find("bound_operations") != nullptr) {
    ACCOUNT_RETURN_IF_ERROR(json.get_op_count("bound_operations").status());
  }
  gaps_.push_back(json);
  return Status();
}

Status Replay::take_ended(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"type", "time_unix_ns", "incarnation", "how"}));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t number, json.get_integer("incarnation"));
  ACCOUNT_ASSIGN_OR_RETURN(Tracked * known, tracked(static_cast<int>(number)));
  ACCOUNT_ASSIGN_OR_RETURN(known->ended, json.get_string("how"));
  known->last_unix_ns = time_unix_ns_;
  return Status();
}

Result<Tracked*> Replay::tracked(int number) {
  const auto found = incarnations_.find(number);
  if (found != incarnations_.end()) return &found->second;
  return wrong(fmt::format("incarnation {} was never begun", number));
}

}  // namespace account::ledger
