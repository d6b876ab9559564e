// `account root log`: what was done with an authority, and whether its log still hangs together.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "order/authority_log.h"

namespace account::cli {
namespace {

struct LogWords {
  std::string dir, since;
  bool json = false;
};

std::string text_of(const Json& facts, std::string_view member) {
  const auto text = facts.get_string(member);
  return text.ok() ? *text : "";
}

std::string spoken(const order::LogLine& line, const OpenAuthority& authority) {
  const std::string order = text_of(line.facts, "order");
  if (line.what == "root") {
    const auto version = line.facts.get_integer("version");
    return fmt::format("root version {}, {}", version.ok() ? *version : 0,
                       sign::short_id(text_of(line.facts, "root")));
  }
  if (line.what == "refused") {
    return fmt::format("refused {}: {}", sign::short_id(order), text_of(line.facts, "fault"));
  }
  if (line.what == "lease") {
    return fmt::format("lease {} of {}, until {}", sign::short_id(text_of(line.facts, "lease")),
                       text_of(line.facts, "about"), text_of(line.facts, "expires"));
  }
  if (line.what == "then") {
    const auto code = line.facts.get_integer("exit_code");
    return fmt::format("after {}: {} (exit code {})", sign::short_id(order),
                       text_of(line.facts, "command"), code.ok() ? *code : -1);
  }
  const auto hash = sign::digest_from_hex(order);
  const auto known = hash.ok() ? authority.orders.find(*hash) : authority.orders.end();
  return fmt::format("order {} {}", sign::short_id(order),
                     known == authority.orders.end() ? text_of(line.facts, "action")
                                                     : describe(known->second.order));
}

// What the log and the directory do not have in common. No fault: an order may be put there by
// hand, and taken away once nobody needs it.
std::vector<std::string> differences(const order::LogReport& log, const OpenAuthority& authority) {
  std::set<std::string> logged;
  for (const order::LogLine& line : log.lines) {
    if (line.what == "order") logged.insert(text_of(line.facts, "order"));
  }
  std::vector<std::string> remarks;
  for (const auto& [hash, verified] : authority.orders) {
    if (logged.erase(sign::to_hex(hash)) == 0) {
      remarks.push_back(
          fmt::format("order {} ({}) has no line", short_hash(hash), describe(verified.order)));
    }
  }
  for (const std::string& gone : logged) {
    remarks.push_back(fmt::format("order {} is not in orders/ any more", sign::short_id(gone)));
  }
  return remarks;
}

Status judge(const order::LogReport& log, const LogWords& words, const std::string& path) {
  if (!log.faults.empty()) {
    return {Code::corrupt, std::string(log.faults.front().fault()),
            "compare it with a copy; what stands is in orders/ and in the runs' ledgers"};
  }
  if (words.since.empty()) return {};
  const bool found = std::ranges::any_of(log.lines, [&](const order::LogLine& line) {
    return sign::to_hex(line.digest) == words.since;
  });
  if (found) return {};
  return {Code::corrupt, fmt::format("{} has no line {}", path, words.since),
          "it was rewritten since, or this is another authority's"};
}

int show_log(const LogWords& words) {
  const auto authority = open_authority(words.dir);
  if (!authority.ok()) return fail("root log", authority.status());
  const order::AuthorityLog file(FileSystem::real(), Clock::real(), authority->directory.path());
  const auto log = file.read();
  if (!log.ok()) return fail("root log", log.status());
  const std::vector<std::string> remarks = differences(*log, *authority);
  const Status judgement = judge(*log, words, file.path());
  if (words.json) {
    Json lines = Json::array();
    for (const order::LogLine& line : log->lines) lines.push(line.facts);
    put_json(Json::object({{"ok", judgement.ok()},
                           {"lines", std::move(lines)},
                           {"head", sign::to_hex(log->head())},
                           {"remarks", Json::strings(remarks)}}));
  } else {
    for (const order::LogLine& line : log->lines) {
      put_line(fmt::format("{:>4}  {}  {}  {}", line.number, line.time, line.by,
                           line.what.empty() ? "cannot be read" : spoken(line, *authority)));
    }
    for (const std::string& remark : remarks) put_line("note: " + remark);
    put_line(fmt::format("head {}", sign::to_hex(log->head())));
  }
  return end_with("root log", judgement);
}

}  // namespace

void add_root_log(const Verb& group) {
  const Verb verb = group.verb("log", "What was done with an authority, line by line");
  auto words = std::make_shared<LogWords>();
  verb.needs("DIR", words->dir, "The authority's directory");
  verb.takes("--since", words->since,
             "A head that this printed before: the log must still have it");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Roots, orders, refusals and what --then ran, with the user and machine that say so. Keep\n"
      "the head elsewhere. Exit codes: 0 the lines hang together, 2 something was changed.\n\n"
      "Example:\n"
      "  account root log /srv/acme");
  verb.does([words] { return show_log(*words); });
}

}  // namespace account::cli
