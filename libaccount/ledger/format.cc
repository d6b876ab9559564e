// Names, limits and run.json.
#include "ledger/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "ledger/ledger.h"

namespace account::ledger {
namespace {

constexpr size_t kRunIdCapBytes = 96;
constexpr size_t kNodeDigits = 8;
constexpr size_t kSegmentDigits = 6;

bool is_run_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Status check_run_id(std::string_view id) {
  const bool fits = !id.empty() && id.size() <= kRunIdCapBytes &&
                    std::all_of(id.begin(), id.end(), is_run_id_character) && id != "." &&
                    id != "..";
  if (fits) return Status();
  return Status(Code::invalid_argument,
                fmt::format("'{}' is no run id: it has 1 to {} characters of A-Z a-z 0-9 . _ -",
                            id.substr(0, kRunIdCapBytes), kRunIdCapBytes),
                "choose another name for the run");
}

Status check_node(std::string_view node) {
  const bool fits =
      node.size() == kNodeDigits && std::all_of(node.begin(), node.end(), is_hex_digit);
  if (fits) return Status();
  return Status(Code::invalid_argument,
                fmt::format("'{}' is no node: it has 8 lower-case hex digits", node.substr(0, 40)));
}

std::string node_folder_name(std::string_view node) {
  return fmt::format("{}{}", kNodePrefix, node);
}

std::string origin_of(std::string_view run, std::string_view node) {
  return fmt::format("account/{}/{}", run, node);
}

std::string segment_name(uint32_t number) { return fmt::format("{:06}.jsonl", number); }

std::optional<uint32_t> segment_number(std::string_view name) {
  uint32_t number = 0;
  const auto [end, fault] =
      std::from_chars(name.data(), name.data() + std::min(name.size(), kSegmentDigits), number);
  if (fault != std::errc() || number == 0 || segment_name(number) != name) return std::nullopt;
  return number;
}

std::string transcript_name(int incarnation, uint64_t step) {
  return fmt::format("{}-{}.jsonl", incarnation, step);
}

Json time_json(int64_t unix_ns) {
  return OpCount(unix_ns > 0 ? static_cast<uint64_t>(unix_ns) : uint64_t{0});
}

Result<int64_t> get_time(const Json& line, std::string_view member) {
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount time, line.get_op_count(member));
  if (time > OpCount(static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))) {
    return Status(Code::corrupt, fmt::format("member '{}' is no time", member));
  }
  return static_cast<int64_t>(time.low());
}

void set_processed(Json& json, const Processed& processed) {
  if (processed.samples > 0) json.set("samples", OpCount(processed.samples));
  if (processed.tokens > 0) json.set("tokens", OpCount(processed.tokens));
}

Result<Processed> get_processed(const Json& json) {
  Processed processed;
  const std::pair<std::string_view, uint64_t*> members[] = {{"samples", &processed.samples},
                                                            {"tokens", &processed.tokens}};
  for (const auto& [member, number] : members) {
    if (json.find(member) == nullptr) continue;
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount count, json.get_op_count(member));
    if (count.high() != 0) {
      return Status(Code::corrupt, fmt::format("member '{}' is out of range", member));
    }
    *number = count.low();
  }
  return processed;
}

std::string processed_text(const Processed& processed) {
  const auto& [samples, tokens] = processed;
  if (samples == 0 && tokens == 0) return "";
  if (tokens == 0) return fmt::format("{} samples", samples);
  if (samples == 0) return fmt::format("{} tokens", tokens);
  return fmt::format("{} samples, {} tokens", samples, tokens);
}

std::string write_run_file(const RunFile& file) {
  return Json::object({{"format", kRunFormat},
                       {"run", file.run},
                       {"node", file.node},
                       {"created_unix_ns", time_json(file.created_unix_ns)}})
             .dump() +
         "\n";
}

Result<RunFile> parse_run_file(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(bytes, kSmallFileCapBytes));
  ACCOUNT_RETURN_IF_ERROR(document.only_members({"format", "run", "node", "created_unix_ns"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kRunFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kRunFormat));
  }
  RunFile file;
  ACCOUNT_ASSIGN_OR_RETURN(file.run, document.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(file.node, document.get_string("node"));
  ACCOUNT_ASSIGN_OR_RETURN(file.created_unix_ns, get_time(document, "created_unix_ns"));
  for (const Status& check : {check_run_id(file.run), check_node(file.node)}) {
    if (!check.ok()) return Status(Code::corrupt, std::string(check.fault()));
  }
  return file;
}

}  // namespace account::ledger
