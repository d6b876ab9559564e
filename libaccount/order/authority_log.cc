#include "order/authority_log.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

namespace account::order {
namespace {

constexpr size_t kHostCap = 256, kAccountCap = 16384;
constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kLookAgain = std::chrono::milliseconds(20);

std::string user_name() {
  std::array<char, kAccountCap> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 &&
      found != nullptr) {
    return entry.pw_name;
  }
  return fmt::format("uid {}", geteuid());
}

std::string writer() {
  std::array<char, kHostCap> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return user_name() + "@" + host.data();
}

Result<std::unique_ptr<FileLock>> lock(FileSystem& files, const std::string& path) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    auto held = files.lock(path);
    if (held.ok() || held.status().code() != Code::unavailable) return held;
    if (std::chrono::steady_clock::now() >= until) return held.status();
    std::this_thread::sleep_for(kLookAgain);
  }
}

Status fault_at(const std::string& path, int64_t number, std::string_view what) {
  return {Code::corrupt, fmt::format("{}: line {} {}", path, number, what)};
}

// What `line`, the `number`-th, says, and whether it follows the one before.
Result<LogLine> parse_line(const std::string& path, std::string_view text, int64_t number,
                           const sign::Digest& before) {
  LogLine line;
  line.digest = sign::sha256(text);
  auto facts = Json::parse(text, kMaxLogBytes);
  if (!facts.ok()) return fault_at(path, number, "is no JSON");
  line.facts = std::move(facts).value();
  ACCOUNT_ASSIGN_OR_RETURN(line.number, line.facts.get_integer("number"));
  ACCOUNT_ASSIGN_OR_RETURN(line.time, line.facts.get_string("time"));
  ACCOUNT_ASSIGN_OR_RETURN(line.what, line.facts.get_string("what"));
  ACCOUNT_ASSIGN_OR_RETURN(line.by, line.facts.get_string("by"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string previous, line.facts.get_string("previous"));
  if (line.number != number) {
    return fault_at(path, number, fmt::format("says that it is number {}", line.number));
  }
  if (previous != sign::to_hex(before)) {
    return fault_at(path, number, "does not follow the one before: something was changed");
  }
  return line;
}

}  // namespace

Json log_facts(const Verified& verified) {
  Json keys = Json::array();
  for (const sign::PublicKey& key : verified.signers) keys.push(key.id());
  return Json::object({{"order", verified.order.hash_hex()},
                       {"action", name(verified.order.action)},
                       {"keys", std::move(keys)}});
}

AuthorityLog::AuthorityLog(FileSystem& files, const Clock& clock, std::string authority)
    : files_(files), clock_(clock), path_(join_path(std::move(authority), "log.jsonl")) {}

Result<LogReport> AuthorityLog::read() const {
  LogReport report;
  const auto bytes = files_.read(path_, kMaxLogBytes);
  if (bytes.status().code() == Code::not_found) return report;
  if (!bytes.ok()) return bytes.status();
  std::string_view rest = *bytes;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view text = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    auto line = parse_line(path_, text, number, report.head());
    if (!line.ok()) {
      report.faults.push_back(line.status());
      // The next line still has to name this one, whatever it was.
      LogLine unread;
      unread.number = number;
      unread.digest = sign::sha256(text);
      line = std::move(unread);
    }
    report.lines.push_back(std::move(line).value());
    report.torn = end == std::string_view::npos;
    if (report.torn) {
      report.faults.push_back(fault_at(path_, number, "is cut short"));
    }
  }
  return report;
}

Status AuthorityLog::append(std::string_view what, Json facts) const {
  ACCOUNT_ASSIGN_OR_RETURN(const auto held, lock(files_, path_ + ".lock"));
  ACCOUNT_ASSIGN_OR_RETURN(const LogReport so_far, read());
  Json line = Json::object({{"number", static_cast<int64_t>(so_far.lines.size()) + 1},
                            {"previous", sign::to_hex(so_far.head())},
                            {"time", to_iso8601(clock_.unix_ns())},
                            {"what", what},
                            {"by", writer()}});
  for (const Json::Member& fact : facts.members()) line.set(fact.first, fact.second);
  ACCOUNT_ASSIGN_OR_RETURN(const auto file, files_.open_append(path_));
  ACCOUNT_RETURN_IF_ERROR(file->append((so_far.torn ? "\n" : "") + line.dump() + "\n"));
  return file->sync();
}

}  // namespace account::order
