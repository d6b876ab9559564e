#include "cli/deliver.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "keeper/live_status.h"
#include "order/authority_log.h"

namespace account::cli {
namespace {

using std::chrono::steady_clock;

constexpr int64_t kDefaultWaitSeconds = 60, kMaxWaitSeconds = 86'400;
constexpr auto kLookAgain = std::chrono::milliseconds(50);
// By then a keeper that hears of nothing has looked (once in 1.25 s, keeper/authorities.cc), and
// has latched what it found.
constexpr auto kSettle = std::chrono::seconds(3);
constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr int64_t kSayItNs = 5 * kNanoseconds;

// A rehearsal may be over without having shown what it was to show.
bool is_well(const order::Order& order, const order::Receipt& receipt) {
  return receipt.at_rest() &&
         (order.action != order::Action::rehearse || receipt.state == "rehearsed");
}

// A job that runs on this node and that the stop is about: its nodes ought to answer.
struct Expected {
  std::string run;
  std::vector<std::string> nodes;
  bool obeys = true;  // this authority
};

bool obeys(const keeper::LiveStatus& live, const std::string& pin) {
  return std::any_of(live.authorities.begin(), live.authorities.end(),
                     [&](const std::string& spec) { return spec.ends_with("#" + pin); });
}

// Of a wide scope those that obey the authority; a job that is named is expected even if it does
// not, so that its officer hears of it.
std::vector<Expected> expected_of(const order::Scope& scope, const std::string& pin) {
  std::vector<Expected> runs;
  for (const keeper::LiveStatus& live : keeper::live_runs(FileSystem::real())) {
    order::Traits traits;
    traits.run = live.run;
    traits.model = live.model;
    const bool heard = obeys(live, pin);
    const bool named = scope.kind == order::Scope::Kind::job;
    if (!order::covers(scope, traits) || !(heard || named)) continue;
    std::vector<std::string> nodes = live.nodes_seen;
    nodes.push_back(live.node);
    runs.push_back({live.run, std::move(nodes), heard});
  }
  return runs;
}

bool runs_here(const std::string& run) {
  const auto live = keeper::live_runs(FileSystem::real());
  return std::any_of(live.begin(), live.end(), [&](const auto& one) { return one.run == run; });
}

// Waits for receipts and says each line once.
class Answers {
 public:
  Answers(const OpenAuthority& authority, const order::Order& order, bool speak)
      : authority_(authority),
        order_(order),
        speak_(speak),
        expected_(expected_of(order.scope, authority.chain.pin())) {}

  // Once delivered. True when all that were expected and all that answered are quiet; of a
  // rehearsal, when they are through with it, one way or the other.
  // Jobs whose steps take longer say so, and are waited for unless the patience is `firm`.
  bool wait(std::chrono::seconds patience, bool firm) {
    const auto began = steady_clock::now();
    while (true) {
      look();
      const auto waited = steady_clock::now() - began;
      if (all_quiet() && (knows_all() || waited >= kSettle)) return true;
      if (waited >= kSettle) forget_the_ended();
      const bool expects_more = !firm && Clock::real().unix_ns() < latest_deadline();
      if (waited >= patience && !expects_more) return false;
      std::this_thread::sleep_for(kLookAgain);
    }
  }

  const std::vector<order::Receipt>& receipts() const { return receipts_; }

  // Who has not come to rest, for people.
  std::string missing() const {
    std::vector<std::string> names;
    for (const Expected& run : expected_) {
      for (const std::string& node : run.nodes) {
        if (find(run.run, node) == nullptr) {
          names.push_back(fmt::format("run {} on node {} ({})", run.run, node,
                                      run.obeys ? "no answer" : "does not obey this authority"));
        }
      }
    }
    for (const order::Receipt& receipt : receipts_) {
      if (is_well(order_, receipt)) continue;
      names.push_back(
          fmt::format("run {} on node {} ({})", receipt.run, receipt.node, receipt.state));
    }
    return fmt::format("{}", fmt::join(names, ", "));
  }

 private:
  // Of those that have not come to rest; with the seconds that a keeper takes to say that it has.
  int64_t latest_deadline() const {
    int64_t latest = 0;
    for (const order::Receipt& receipt : receipts_) {
      if (!receipt.at_rest()) latest = std::max(latest, receipt.quiet_by_unix_ns);
    }
    return latest == 0 ? 0 : latest + kSayItNs;
  }

  const order::Receipt* find(const std::string& run, const std::string& node) const {
    const auto found = std::find_if(receipts_.begin(), receipts_.end(),
                                    [&](const auto& r) { return r.run == run && r.node == node; });
    return found == receipts_.end() ? nullptr : &*found;
  }

  // A job of which all nodes are known needs no time for others to turn up.
  bool knows_all() const {
    return order_.scope.kind == order::Scope::Kind::job && !expected_.empty();
  }

  bool all_quiet() const {
    const bool answered = std::all_of(expected_.begin(), expected_.end(), [&](const Expected& run) {
      return std::all_of(run.nodes.begin(), run.nodes.end(),
                         [&](const auto& node) { return find(run.run, node) != nullptr; });
    });
    return answered && !receipts_.empty() &&
           std::all_of(receipts_.begin(), receipts_.end(),
                       [](const auto& receipt) { return receipt.at_rest(); });
  }

  // A job that was over before the order reached it will not answer.
  void forget_the_ended() {
    std::erase_if(expected_, [&](const Expected& run) {
      const bool answered = std::any_of(run.nodes.begin(), run.nodes.end(), [&](const auto& node) {
        return find(run.run, node) != nullptr;
      });
      return !answered && !runs_here(run.run);
    });
  }

  void look() {
    auto found = authority_.directory.read_receipts(order_.hash);
    if (!found.ok()) return;  // a look later may succeed; in the end nobody has answered
    receipts_ = std::move(found).value();
    std::erase_if(receipts_, [&](const auto& r) { return r.authority != authority_.chain.pin(); });
    if (!speak_) return;
    for (const order::Receipt& receipt : receipts_) tell(receipt);
    (void)flush_data();
  }

  void tell(const order::Receipt& receipt) {
    const std::string job = fmt::format("run {}, node {}", receipt.run, receipt.node);
    if (!receipt.at_rest()) return tell_once(fmt::format("{}: {}", job, receipt.state));
    const std::string how = receipt.how.empty() ? "" : fmt::format(" ({})", receipt.how);
    if (order_.action == order::Action::rehearse) {
      const int64_t took = receipt.quiet_unix_ns - receipt.verified_unix_ns;
      const std::string after =
          receipt.quiet_unix_ns == 0
              ? ""
              : fmt::format(", all waiting {:.2f} s after it was read",
                            static_cast<double>(took) / static_cast<double>(kNanoseconds));
      return tell_once(
          fmt::format("{}: {} at step {}{}{}", job, receipt.state, receipt.stop_edge, how, after));
    }
    for (const order::Receipt::Rank& rank : receipt.ranks) {
      tell_once(fmt::format("rank {}: {}, last step {}{}; {}", rank.rank, rank.state,
                            rank.last_step, how, job));
    }
    if (receipt.ranks.empty()) tell_once(fmt::format("{}: {}{}", job, receipt.state, how));
  }

  void tell_once(const std::string& line) {
    if (said_.insert(line).second) put_line(line);
  }

  const OpenAuthority& authority_;
  const order::Order& order_;
  const bool speak_;
  std::vector<Expected> expected_;
  std::vector<order::Receipt> receipts_;
  std::set<std::string> said_;
};

std::string path_of(const OpenAuthority& authority, const order::Order& order) {
  return join_path(authority.directory.orders_path(), order.hash_hex() + ".json");
}

Json order_json(const OpenAuthority& authority, const order::Verified& verified) {
  const order::Order& order = verified.order;
  Json json = Json::object({{"order", order.hash_hex()},
                            {"action", order::name(order.action)},
                            {"authority", order.authority},
                            {"number", order.number},
                            {"path", path_of(authority, order)}});
  return json;
}

const char* what_they_are(const order::Order& order) {
  if (order.waits()) return "waiting";
  return order.action == order::Action::rehearse ? "through with it" : "quiet";
}

// What the officer said to do where the jobs do not answer: whatever it comes to, it is in the log.
void run_then(const OpenAuthority& authority, const order::Order& order, const std::string& command,
              const std::string& missing) {
  say(fmt::format("account: not all have answered; now: {}", command));
  (void)flush_data();
  setenv("ACCOUNT_ORDER", order.hash_hex().c_str(), 1);
  const int status = std::system(command.c_str());
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  note_in_log(authority.directory, "then",
              Json::object({{"order", order.hash_hex()},
                            {"missing", missing},
                            {"command", command},
                            {"exit_code", code}}));
  say(fmt::format("account: it ended with exit code {}", code));
}

int after_stop(const OpenAuthority& authority, const order::Verified& verified,
               const WaitWords& words, int64_t patience_seconds) {
  const order::Order& order = verified.order;
  const std::string_view verb = order::name(order.action);
  Answers answers(authority, order, !words.json);
  const bool over = !words.no_wait &&
                    answers.wait(std::chrono::seconds(patience_seconds), words.wait.has_value());
  const bool well = over && answers.missing().empty();
  if (words.json) {
    Json receipts = Json::array();
    for (const order::Receipt& one : answers.receipts()) receipts.push(order::to_json(one));
    Json json = order_json(authority, verified);
    json.set("scope", order::to_json(order.scope));
    json.set(order.action == order::Action::rehearse ? "rehearsed" : "quiet", well);
    json.set("receipts", std::move(receipts));
    put_json(json);
  }
  if (words.no_wait) return kYes;
  if (well) {
    if (!words.json) put_line(fmt::format("all are {}", what_they_are(order)));
    return kYes;
  }
  if (words.then) run_then(authority, order, *words.then, answers.missing());
  const char* stands = order.action == order::Action::rehearse
                           ? "whoever reads it within 10 minutes rehearses"
                           : "the order stands, and whoever it is about is refused at its next "
                             "start";
  say(answers.missing().empty()
          ? fmt::format("account: {}: no job has answered within {} s; {}", verb, patience_seconds,
                        stands)
          : fmt::format("account: {}: not {} within {} s: {}; see `account status` there, "
                        "and the receipts in {}",
                        verb, what_they_are(order), patience_seconds, answers.missing(),
                        authority.directory.receipts_path()));
  return kUnknown;
}

int after_lift(const OpenAuthority& authority, const order::Verified& verified,
               const WaitWords& words) {
  const order::Order& order = verified.order;
  const bool resumes = order.action == order::Action::resume;
  const std::string until = to_iso8601(order.accept_until_unix * kNanoseconds);
  if (words.json) {
    Json lifted = Json::array();
    for (const sign::Digest& hash : order.lifts) lifted.push(sign::to_hex(hash));
    Json json = order_json(authority, verified);
    json.set("lifts", std::move(lifted));
    if (!resumes) json.set("accept_until", until);
    put_json(json);
    return kYes;
  }
  for (const sign::Digest& hash : order.lifts) {
    const auto stop = authority.orders.find(hash);
    put_line(fmt::format("  {} {}: {}", resumes ? "ends" : "lifts", short_hash(hash),
                         stop == authority.orders.end() ? "a stop whose order is gone"
                                                        : describe(stop->second.order)));
  }
  const bool awaited = std::ranges::any_of(order.lifts, [&](const sign::Digest& hash) {
    const auto stop = authority.orders.find(hash);
    return stop != authority.orders.end() && stop->second.order.waits();
  });
  if (awaited) put_line("jobs that wait go on once they have read it");
  if (!resumes) put_line(fmt::format("it permits a restart until {}; it restarts nothing", until));
  return kYes;
}

}  // namespace

void add_wait_options(const Verb& verb, WaitWords& words) {
  verb.takes("--wait", words.wait,
             "Seconds to wait for all to have answered (default 60, or as long as their steps "
             "need)");
  verb.flag("--no-wait", words.no_wait, "Deliver, and leave");
  verb.flag("--json", words.json, "As JSON, once it is over");
}

std::string describe(const order::Order& order) {
  if (order::ends_others(order.action)) {
    const char* what = order.action == order::Action::resume ? "pause" : "stop";
    return fmt::format("{} of {} {}{}", order::name(order.action), order.lifts.size(), what,
                       order.lifts.size() == 1 ? "" : "s");
  }
  std::string text = fmt::format(
      "{} of {}", order.action == order::Action::rehearse ? "rehearsal" : order::name(order.action),
      order::to_string(order.scope));
  if (order.waits() && order.action == order::Action::stop) text += ", held in memory";
  if (!order.ordered_by.empty()) text += " by " + order.ordered_by;
  if (!order.clause.empty()) text += " under " + order.clause;
  return order.reason.empty() ? text : text + ": " + order.reason;
}

int deliver(const std::string& verb, const OpenAuthority& authority, const sign::Envelope& envelope,
            const WaitWords& words) {
  int64_t patience = kDefaultWaitSeconds;
  if (words.wait) {
    const auto seconds = parse_whole("--wait", *words.wait, 0, kMaxWaitSeconds);
    if (!seconds.ok()) return fail(verb, seconds.status());
    patience = *seconds;
  }
  const auto verified = authority.directory.publish_order(envelope);
  if (!verified.ok()) {
    note_in_log(authority.directory, "refused",
                Json::object({{"order", sign::to_hex(sign::sha256(envelope.payload))},
                              {"fault", verified.status().fault()}}));
    return fail(verb, verified.status());
  }
  note_in_log(authority.directory, "order", order::log_facts(*verified));
  const order::Order& order = verified->order;
  const bool ends = order::ends_others(order.action);
  if (!ends && !words.wait) patience = std::max(patience, order.quiet_seconds + 30);
  if (!words.json) {
    put_line(fmt::format("order {}  {}", order.hash_hex(), describe(order)));
    put_line(fmt::format("  of authority '{}', number {}, by {}", order.authority, order.number,
                         authority.names_of(verified->signers)));
    if (!flush_data()) return kUsage;
  }
  return ends ? after_lift(authority, *verified, words)
              : after_stop(authority, *verified, words, patience);
}

int put_draft(const std::string& verb, const std::string& path, const sign::Envelope& envelope,
              bool json) {
  const auto order = order::parse_order(envelope.payload);
  if (!order.ok()) return fail(verb, order.status());
  const Status written = write_draft(path, envelope);
  if (!written.ok()) return fail(verb, written);
  const size_t signatures = envelope.signatures.size();
  if (json) {
    put_json(Json::object({{"order", order->hash_hex()},
                           {"draft", path},
                           {"signatures", static_cast<int64_t>(signatures)}}));
    return kYes;
  }
  put_line(fmt::format("order {}  {}", order->hash_hex(), describe(*order)));
  put_line(
      fmt::format("{}  {} signature{}, not delivered: account order sign {} --key K.key, then "
                  "account order send {} --authority DIR",
                  path, signatures, signatures == 1 ? "" : "s", path, path));
  return kYes;
}

}  // namespace account::cli
