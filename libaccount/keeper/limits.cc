// From a crossed limit to its acknowledgement.
#include "keeper/limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/random.h"

namespace account::keeper {
namespace {

constexpr int64_t kLookPauseNs = 1'000'000'000;
constexpr std::string_view kFormat = "account-acknowledgement/1";
constexpr size_t kTextCap = 1000;
constexpr uint32_t kMillion = 1'000'000;

// "1", "0.95", "0.000001" as millionths; nothing for anything else.
std::optional<uint32_t> parse_share(std::string_view text) {
  constexpr size_t kDigits = 6;
  if (text == "1" || text == "1.0") return kMillion;
  if (!text.starts_with("0.") || text.size() > 2 + kDigits || text.size() == 2) return std::nullopt;
  uint32_t millionths = 0;
  for (size_t i = 0; i < kDigits; ++i) {
    const char digit = 2 + i < text.size() ? text[2 + i] : '0';
    if (digit < '0' || digit > '9') return std::nullopt;
    millionths = millionths * 10 + static_cast<uint32_t>(digit - '0');
  }
  if (millionths == 0) return std::nullopt;
  return millionths;
}

std::string share_text(uint32_t millionths) {
  std::string digits = fmt::format("{:06}", millionths);
  while (digits.ends_with('0')) digits.pop_back();
  return "0." + digits;
}

std::string text_of(const Json& line, std::string_view member) {
  const auto text = line.get_string(member);
  return text.ok() ? *text : "";
}

}  // namespace

std::string Limit::spec() const {
  return fmt::format("{}:{}{}", policy, pauses ? "pause" : "stop",
                     millionths == kMillion ? "" : "@" + share_text(millionths));
}

Result<PolicyWish> parse_policy_wish(std::string_view text) {
  const size_t colon = text.rfind(':');
  PolicyWish wish;
  wish.id_or_path = text;
  if (colon == std::string_view::npos) return wish;
  std::string_view action = text.substr(colon + 1);
  std::string_view share = "1";
  if (const size_t at = action.find('@'); at != std::string_view::npos) {
    share = action.substr(at + 1);
    action = action.substr(0, at);
  }
  // A colon in the name of a file.
  if (action != "warn" && action != "pause" && action != "stop") return wish;
  const auto millionths = parse_share(share);
  if (!millionths || (action == "warn" && share != "1")) {
    return Status(Code::invalid_argument,
                  fmt::format("'{}': '{}' is no share of a threshold", text, share),
                  "give one as in ID:stop@0.95, above 0 and up to 1, or leave it out; a warning "
                  "comes at 80 % by itself");
  }
  wish.id_or_path = text.substr(0, colon);
  if (action == "warn") return wish;
  wish.limit = Limit{"", action == "pause", *millionths};
  return wish;
}

Json to_json(const Acknowledgement& said) {
  Json limits = Json::array();
  for (const std::string& spec : said.limits) limits.push(spec);
  return Json::object({{"format", kFormat},
                       {"limits", limits},
                       {"by", said.by},
                       {"reason", said.reason},
                       {"time_unix_ns", OpCount(static_cast<uint64_t>(said.time_unix_ns))}});
}

Result<Acknowledgement> parse_acknowledgement(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kAcknowledgementCapBytes));
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"format", "limits", "by", "reason", "time_unix_ns"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  Acknowledgement said;
  ACCOUNT_ASSIGN_OR_RETURN(said.by, json.get_string("by"));
  ACCOUNT_ASSIGN_OR_RETURN(said.reason, json.get_string("reason"));
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount time, json.get_op_count("time_unix_ns"));
  said.time_unix_ns = static_cast<int64_t>(time.low());
  ACCOUNT_ASSIGN_OR_RETURN(const Json* limits, json.get_array("limits"));
  for (const Json& limit : limits->items()) {
    if (limit.kind() != Json::Kind::string) return Status(Code::corrupt, "a limit is no text");
    said.limits.push_back(limit.as_string());
  }
  return said;
}

Result<std::string> write_acknowledgement(FileSystem& files, const std::string& run_folder,
                                          const Acknowledgement& said) {
  if (said.by.empty() || said.reason.empty() || said.by.size() + said.reason.size() > kTextCap) {
    return Status(
        Code::invalid_argument,
        fmt::format("an acknowledgement has a name and a reason, of {} bytes at most", kTextCap),
        "say who answers for going on, and why");
  }
  constexpr int kFolderMode = 0755, kMode = 0644;
  const std::string folder = join_path(run_folder, kAcknowledgedFolder);
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder, kFolderMode));
  std::string path = join_path(folder, to_hex(random_bytes(4)) + ".json");
  ACCOUNT_RETURN_IF_ERROR(files.publish(path, to_json(said).dump_pretty() + "\n", kMode));
  return path;
}

std::map<std::string, std::string> pending_limits(const std::vector<Json>& events) {
  std::map<std::string, std::string> pending;
  std::set<std::string> acknowledged;
  for (const Json& event : events) {
    const std::string type = text_of(event, "type"), spec = text_of(event, "limit");
    if (type == "limit") pending.emplace(spec, text_of(event, "reason"));
    if (type == "acknowledged") acknowledged.insert(spec);
  }
  for (const std::string& spec : acknowledged) pending.erase(spec);
  return pending;
}

Limits::Limits(FileSystem& files, const Clock& clock, std::string run_folder)
    : files_(files), clock_(clock), run_folder_(std::move(run_folder)) {}

void Limits::remember(const std::vector<Json>& events) {
  for (const Json& event : events) {
    if (text_of(event, "type") == "acknowledged") acknowledged_.insert(text_of(event, "limit"));
  }
  for (auto& [spec, reason] : pending_limits(events)) pending_.emplace(spec, reason);
  read_files();
}

std::string Limits::how_to_go_on() const {
  return fmt::format("account policy acknowledge {} --by NAME --reason TEXT", run_folder_);
}

Status Limits::permission() const {
  if (pending_.empty()) return {};
  const auto& [spec, reason] = *pending_.begin();
  return {Code::threshold_reached, fmt::format("{} ({})", reason, spec),
          "it goes on once somebody answers for that: " + how_to_go_on()};
}

void Limits::crossed(const Limit& limit, std::string_view reason, Json facts) {
  const std::string spec = limit.spec();
  if (acknowledged_.contains(spec) || !pending_.emplace(spec, reason).second) return;
  facts.set("limit", spec);
  facts.set("reason", std::string(reason));
  lines_.push_back({"limit", std::move(facts)});
  remarks_.push_back(fmt::format("{}: the job {} ({}); to go on: {}", reason,
                                 limit.pauses ? "waits" : "stops", spec, how_to_go_on()));
}

void Limits::turn(const JobTotals::View& view) {
  hear_peers(view);
  if (clock_.monotonic_ns() < next_look_ns_ || pending_.empty()) return;
  next_look_ns_ = clock_.monotonic_ns() + kLookPauseNs;
  read_files();
}

// What one node was answered counts on all, also where the limit is crossed later than there.
void Limits::hear_peers(const JobTotals::View& view) {
  for (const NodeTotal& other : view.others) {
    for (const std::string& spec : other.acknowledged) {
      if (acknowledged_.contains(spec)) continue;
      acknowledge(spec, Json::object({{"heard_from", other.node}}));
    }
  }
  for (const NodeTotal& other : view.others) {
    for (const auto& [spec, reason] : other.limits) {
      if (pending_.contains(spec) || acknowledged_.contains(spec)) continue;
      const auto wish = parse_policy_wish(spec);
      if (!wish.ok() || !wish->limit) continue;
      Limit limit = *wish->limit;
      limit.policy = wish->id_or_path;
      crossed(limit, reason, Json::object({{"heard_from", other.node}}));
    }
  }
}

void Limits::read_files() {
  const std::string folder = join_path(run_folder_, kAcknowledgedFolder);
  const auto names = files_.list(folder);
  if (!names.ok()) return;  // nobody has said anything yet
  for (const std::string& name : *names) {
    if (!name.ends_with(".json") || read_.contains(name)) continue;
    const std::string path = join_path(folder, name);
    const auto bytes = files_.read(path, kAcknowledgementCapBytes);
    if (!bytes.ok()) continue;  // tried again
    read_.insert(name);
    const auto said = parse_acknowledgement(*bytes);
    if (!said.ok()) {
      remarks_.push_back(said.status().with_context(path).to_string() +
                         "; it acknowledges nothing");
      continue;
    }
    for (const std::string& spec : said->limits) {
      if (!pending_.contains(spec)) continue;  // nobody answers for what has not happened yet
      acknowledge(spec, Json::object({{"by", said->by}, {"reason", said->reason}}));
    }
  }
}

void Limits::acknowledge(const std::string& spec, Json body) {
  pending_.erase(spec);
  acknowledged_.insert(spec);
  const std::string by = text_of(body, "by");
  remarks_.push_back(fmt::format("{} is acknowledged{}", spec, by.empty() ? "" : " by " + by));
  body.set("limit", spec);
  lines_.push_back({"acknowledged", std::move(body)});
}

bool Limits::stops() const {
  return std::ranges::any_of(pending_, [](const auto& entry) {
    const auto wish = parse_policy_wish(entry.first);
    return wish.ok() && wish->limit && !wish->limit->pauses;
  });
}

std::optional<Braking> Limits::wanted() const {
  if (pending_.empty()) return std::nullopt;
  Braking braking;
  braking.about = pending_.begin()->first;
  braking.reason = pending_.begin()->second;
  braking.waits = !stops();
  return braking;
}

void Limits::note_quiet(const Brake& brake) {
  Json limits = Json::array();
  for (const auto& [spec, reason] : pending_) limits.push(spec);
  Json body = brake.ledger_body();
  body.set("orders", Json::array());
  body.set("limits", limits);
  lines_.push_back({"quiet", std::move(body)});
  remarks_.push_back(fmt::format("{} ({}): {}", stops() ? "stopped" : "waiting",
                                 brake.decision().how, brake.spoken()));
}

}  // namespace account::keeper
