// Spelling and reading of the ledger's lines, strictly: a member too many or too few is refused.
#include "ledger/lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "ledger/format.h"

namespace account::ledger {
namespace {

constexpr std::string_view kReasons[] = {"start", "time", "save", "order", "end", "rank_ended"};

Result<int> get_small(const Json& line, std::string_view member, int least) {
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t value, line.get_integer(member));
  if (value < least || value > std::numeric_limits<int>::max()) {
    return Status(Code::corrupt, fmt::format("member '{}' is out of range", member));
  }
  return static_cast<int>(value);
}

Result<uint64_t> get_unsigned(const Json& line, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t value, line.get_integer(member));
  if (value < 0) return Status(Code::corrupt, fmt::format("member '{}' is negative", member));
  return static_cast<uint64_t>(value);
}

// Where an entry's runs of steps stand.
struct StepsMember {
  std::string_view name;
  std::vector<StepRun> StepRuns::* runs;
};
constexpr StepsMember kStepsMembers[] = {{"steps", &StepRuns::operations},
                                         {"step_samples", &StepRuns::samples},
                                         {"step_tokens", &StepRuns::tokens}};

Json encode_step(const StepRun& run) {
  std::vector<Json> items = {run.first, run.count};
  if (run.exact) {
    items.emplace_back(run.value);
  } else {
    for (const OpCount& count : {run.sum, run.least, run.greatest}) items.emplace_back(count);
  }
  return Json::array(std::move(items));
}

Result<StepRun> decode_step(const Json& item) {
  const auto& items = item.items();
  const auto is = [&](size_t i, Json::Kind kind) { return items[i].kind() == kind; };
  bool fits = item.kind() == Json::Kind::array && (items.size() == 3 || items.size() == 5) &&
              is(0, Json::Kind::integer) && is(1, Json::Kind::integer) &&
              items[0].as_integer() >= 0 && items[1].as_integer() >= 1;
  for (size_t i = 2; fits && i < items.size(); ++i) fits = is(i, Json::Kind::string);
  if (!fits) return Status(Code::corrupt, "a run of steps is no list of 3 or 5 numbers");
  StepRun run;
  run.first = static_cast<uint64_t>(items[0].as_integer());
  run.count = static_cast<uint64_t>(items[1].as_integer());
  run.exact = items.size() == 3;
  OpCount* const exact[] = {&run.value};
  OpCount* const summed[] = {&run.sum, &run.least, &run.greatest};
  for (size_t i = 2; i < items.size(); ++i) {
    const auto number = OpCount::from_decimal(items[i].as_string());
    if (!number.ok()) return Status(Code::corrupt, std::string(number.status().fault()));
    *(run.exact ? exact : summed)[i - 2] = *number;
  }
  return run;
}

Result<CounterEntry> decode_counters(const Json& item) {
  ACCOUNT_RETURN_IF_ERROR(item.only_members({"incarnation", "steps_closed", "rows", "ops", "steps",
                                             "step_samples", "step_tokens", "samples", "tokens"}));
  CounterEntry entry;
  ACCOUNT_ASSIGN_OR_RETURN(entry.incarnation, get_small(item, "incarnation", 1));
  ACCOUNT_ASSIGN_OR_RETURN(entry.steps_closed, get_unsigned(item, "steps_closed"));
  if (item.find("ops") != nullptr) {
    if (item.find("rows") != nullptr) {
      return Status(Code::corrupt, "an entry has both rows and ops");
    }
    ACCOUNT_ASSIGN_OR_RETURN(entry.ops, decode_ops(*item.find("ops")));
    entry.rows = without_ops(*entry.ops);
  } else {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* rows, item.get_object("rows"));
    ACCOUNT_ASSIGN_OR_RETURN(entry.rows, decode_rows(*rows));
  }
  for (const auto& [member, runs] : kStepsMembers) {
    if (item.find(member) == nullptr) continue;
    ACCOUNT_ASSIGN_OR_RETURN(const Json* steps, item.get_array(member));
    for (const Json& step : steps->items()) {
      ACCOUNT_ASSIGN_OR_RETURN(const StepRun run, decode_step(step));
      (entry.steps.*runs).push_back(run);
    }
  }
  ACCOUNT_ASSIGN_OR_RETURN(entry.processed, get_processed(item));
  return entry;
}

}  // namespace

std::string_view name(SealReason reason) { return kReasons[static_cast<size_t>(reason)]; }

Json encode(const OpenLine& line, int64_t unix_ns) {
  Json json = Json::object({{"type", "open"},
                            {"time_unix_ns", time_json(unix_ns)},
                            {"format", kLedgerFormat},
                            {"session", line.session},
                            {"reason", line.reason},
                            {"run", line.run},
                            {"node", line.node},
                            {"run_file_sha256", line.run_file_sha256},
                            {"library", line.library},
                            {"policies", Json::array(line.policies)},
                            {"key", to_base64(line.key)}});
  if (!line.previous.empty()) json.set("previous", line.previous);
  if (line.cut_bytes > 0) {
    json.set("cut_bytes", line.cut_bytes).set("cut_sha256", line.cut_sha256);
  }
  return json;
}

Result<OpenLine> decode_open(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members(
      {"type", "time_unix_ns", "format", "session", "reason", "run", "node", "run_file_sha256",
       "library", "policies", "key", "previous", "cut_bytes", "cut_sha256"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kLedgerFormat) {
    return Status(Code::corrupt,
                  fmt::format("the ledger's format is '{}', not '{}'", format, kLedgerFormat));
  }
  OpenLine line;
  ACCOUNT_ASSIGN_OR_RETURN(line.session, json.get_integer("session"));
  ACCOUNT_ASSIGN_OR_RETURN(line.reason, json.get_string("reason"));
  ACCOUNT_ASSIGN_OR_RETURN(line.run, json.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(line.node, json.get_string("node"));
  ACCOUNT_ASSIGN_OR_RETURN(line.run_file_sha256, json.get_string("run_file_sha256"));
  ACCOUNT_ASSIGN_OR_RETURN(line.library, json.get_string("library"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* policies, json.get_array("policies"));
  line.policies = policies->items();
  ACCOUNT_ASSIGN_OR_RETURN(const std::string key, json.get_string("key"));
  ACCOUNT_ASSIGN_OR_RETURN(line.key, from_base64(key));
  if (json.find("previous") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(line.previous, json.get_string("previous"));
  }
  if (json.find("cut_bytes") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(line.cut_bytes, get_unsigned(json, "cut_bytes"));
    ACCOUNT_ASSIGN_OR_RETURN(line.cut_sha256, json.get_string("cut_sha256"));
  }
  return line;
}

Json encode(int number, const IncarnationLine& line, int64_t unix_ns) {
  Json json = Json::object({{"type", "incarnation"},
                            {"time_unix_ns", time_json(unix_ns)},
                            {"incarnation", number},
                            {"id", line.id},
                            {"rank", line.rank},
                            {"world_size", line.world_size},
                            {"local_rank", line.local_rank},
                            {"restart_count", static_cast<int64_t>(line.restart_count)}});
  if (!line.parent.empty()) json.set("parent", line.parent);
  if (!line.model.empty()) json.set("model", line.model);
  if (!line.framework.empty()) json.set("framework", line.framework);
  return json;
}

Result<NumberedIncarnation> decode_incarnation(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"type", "time_unix_ns", "incarnation", "id", "rank", "world_size",
                         "local_rank", "restart_count", "parent", "model", "framework"}));
  NumberedIncarnation entry;
  IncarnationLine& line = entry.line;
  ACCOUNT_ASSIGN_OR_RETURN(entry.number, get_small(json, "incarnation", 1));
  ACCOUNT_ASSIGN_OR_RETURN(line.id, json.get_string("id"));
  ACCOUNT_ASSIGN_OR_RETURN(line.rank, get_small(json, "rank", -1));
  ACCOUNT_ASSIGN_OR_RETURN(line.world_size, get_small(json, "world_size", -1));
  ACCOUNT_ASSIGN_OR_RETURN(line.local_rank, get_small(json, "local_rank", -1));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t restarts, json.get_integer("restart_count"));
  if (restarts < 0 || restarts > std::numeric_limits<uint32_t>::max()) {
    return Status(Code::corrupt, "member 'restart_count' is out of range");
  }
  line.restart_count = static_cast<uint32_t>(restarts);
  const std::pair<std::string_view, std::string*> optional[] = {
      {"parent", &line.parent}, {"model", &line.model}, {"framework", &line.framework}};
  for (const auto& [member, text] : optional) {
    if (json.find(member) == nullptr) continue;
    ACCOUNT_ASSIGN_OR_RETURN(*text, json.get_string(member));
  }
  return entry;
}

Json encode(const CounterLine& line) {
  const Table table = table_of(line.rows);
  Json json =
      Json::object({{"incarnation", line.incarnation}, {"steps_closed", line.steps_closed}});
  if (line.with_ops) {
    json.set("ops", encode_ops(table));
  } else {
    json.set("rows", encode_rows(without_ops(table)));
  }
  for (const auto& [member, runs] : kStepsMembers) {
    std::vector<Json> steps;
    for (const StepRun& run : line.steps.*runs) steps.push_back(encode_step(run));
    if (!steps.empty()) json.set(member, Json::array(std::move(steps)));
  }
  set_processed(json, line.processed);
  return json;
}

Json seal_line(SealReason reason, const sign::Digest& root, std::vector<Json> counters,
               int64_t unix_ns) {
  return Json::object({{"type", "seal"},
                       {"time_unix_ns", time_json(unix_ns)},
                       {"reason", name(reason)},
                       {"root", sign::to_hex(root)},
                       {"counters", Json::array(std::move(counters))}});
}

namespace {

// {"incarnation": 5, "same": 3}: all else is as in the entry of incarnation 3, earlier in this
// line.
Result<CounterEntry> decode_same(const Json& item, const std::vector<CounterEntry>& before) {
  ACCOUNT_RETURN_IF_ERROR(item.only_members({"incarnation", "same"}));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t same, item.get_integer("same"));
  const auto found = std::find_if(before.begin(), before.end(), [&](const CounterEntry& entry) {
    return entry.incarnation == same;
  });
  if (found == before.end()) {
    return Status(Code::corrupt,
                  fmt::format("an entry is to be the same as that of {}, which has none", same));
  }
  CounterEntry entry = *found;
  ACCOUNT_ASSIGN_OR_RETURN(entry.incarnation, get_small(item, "incarnation", 1));
  return entry;
}

}  // namespace

Json same_entry(int incarnation, int same) {
  return Json::object({{"incarnation", incarnation}, {"same", same}});
}

Result<SealLine> decode_seal(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"type", "time_unix_ns", "reason", "root", "counters"}));
  SealLine line;
  ACCOUNT_ASSIGN_OR_RETURN(line.reason, json.get_string("reason"));
  if (std::find(std::begin(kReasons), std::end(kReasons), line.reason) == std::end(kReasons)) {
    return Status(Code::corrupt, fmt::format("'{}' is no reason to seal", line.reason));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string root, json.get_string("root"));
  ACCOUNT_ASSIGN_OR_RETURN(line.root, sign::digest_from_hex(root));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* counters, json.get_array("counters"));
  for (const Json& item : counters->items()) {
    ACCOUNT_ASSIGN_OR_RETURN(CounterEntry entry, item.find("same") == nullptr
                                                     ? decode_counters(item)
                                                     : decode_same(item, line.counters));
    line.counters.push_back(std::move(entry));
  }
  return line;
}

Json encode(const TranscriptLine& line, int64_t unix_ns) {
  return Json::object({{"type", "transcript"},
                       {"time_unix_ns", time_json(unix_ns)},
                       {"incarnation", line.incarnation},
                       {"step", line.step},
                       {"file", line.file},
                       {"rows", line.rows},
                       {"sha256", line.sha256},
                       {"not_kept", line.not_kept}});
}

Result<TranscriptLine> decode_transcript(const Json& json) {
  ACCOUNT_RETURN_IF_ERROR(json.only_members(
      {"type", "time_unix_ns", "incarnation", "step", "file", "rows", "sha256", "not_kept"}));
  TranscriptLine line;
  ACCOUNT_ASSIGN_OR_RETURN(line.incarnation, get_small(json, "incarnation", 1));
  ACCOUNT_ASSIGN_OR_RETURN(line.step, get_unsigned(json, "step"));
  ACCOUNT_ASSIGN_OR_RETURN(line.file, json.get_string("file"));
  ACCOUNT_ASSIGN_OR_RETURN(line.rows, get_unsigned(json, "rows"));
  ACCOUNT_ASSIGN_OR_RETURN(line.sha256, json.get_string("sha256"));
  ACCOUNT_ASSIGN_OR_RETURN(line.not_kept, get_unsigned(json, "not_kept"));
  // The name follows from the line, so that no line can point outside the folder.
  if (line.file != transcript_name(line.incarnation, line.step)) {
    return Status(Code::corrupt, "the transcript's file is not named by incarnation and step");
  }
  return line;
}

Json line_of(std::string_view type, const Json& body, int64_t unix_ns) {
  Json json = Json::object({{"type", type}, {"time_unix_ns", time_json(unix_ns)}});
  for (const auto& [member, value] : body.members()) {
    if (member != "type" && member != "time_unix_ns") json.set(member, value);
  }
  return json;
}

}  // namespace account::ledger
