// `account stop`, `pause`, `rehearse`: an officer's order, from key to quiet ranks.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/target.h"
#include "cli/verbs.h"
#include "keeper/live_status.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
// In which a job must see the order to rehearse; later it is passed over.
constexpr int64_t kRehearsalSeconds = 600;
constexpr const char* kClauseWords = "The clause of the shutdown protocol that this rests on";

struct StopWords {
  order::Action action = order::Action::stop;
  std::string target, because, key, ordered_by, clause;
  std::optional<std::string> authority, quiet, grace, draft;
  WaitWords wait;
  std::string verb() const { return std::string(order::name(action)); }
  bool lacks_clause(const order::Root& root) const {
    return clause.empty() && action != order::Action::rehearse && !root.protocol_sha256.empty();
  }
};

using Specs = std::set<std::string>;  // "PATH#pin"

// What a run obeys, as its keeper says where it runs here, else as its ledger has it.
Result<Specs> authorities_of(const std::string& run_folder) {
  for (const keeper::LiveStatus& live : keeper::live_runs(FileSystem::real())) {
    if (live.run_folder == run_folder) {
      return Specs(live.authorities.begin(), live.authorities.end());
    }
  }
  ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report report, verify_run(run_folder, {}));
  Specs specs;
  for (const ledger::NodeReport& node : report.nodes) {
    for (const Json& event : node.events) {
      const auto type = event.get_string("type");
      const auto path = event.get_string("path"), pin = event.get_string("pin");
      if (type.ok() && *type == "authority" && path.ok() && pin.ok()) {
        specs.insert(*path + "#" + *pin);
      }
    }
  }
  return specs;
}

// Nothing where the run does not say.
Result<std::optional<std::string>> authority_of(const std::string& run_folder) {
  std::optional<std::string> spec;
  if (run_folder.empty()) return spec;
  ACCOUNT_ASSIGN_OR_RETURN(const Specs specs, authorities_of(run_folder));
  if (specs.size() > 1) {
    return Status(Code::invalid_argument, fmt::format("the run obeys {} authorities", specs.size()),
                  "say with --authority which one orders");
  }
  if (!specs.empty()) spec = *specs.begin();
  return spec;
}

Result<order::Grace> parse_grace(const std::string& word) {
  for (const order::Grace grace : {order::Grace::none, order::Grace::save, order::Grace::hold}) {
    if (word == order::name(grace)) return grace;
  }
  return Status(Code::invalid_argument, fmt::format("--grace: '{}' is none", word),
                "say save (what jobs give is saved, locked), hold (they wait in memory) or none");
}

Result<std::string> payload_of(const StopWords& words, const Target& target,
                               const OpenAuthority& authority) {
  order::Order order;
  order.action = words.action;
  order.authority = authority.chain.authority();
  order.root_version = authority.chain.newest().version;
  order.number = authority.next_number();
  order.issued_unix = Clock::real().unix_ns() / kNanoseconds;
  if (words.action == order::Action::rehearse) {
    order.accept_until_unix = order.issued_unix + kRehearsalSeconds;
  }
  order.nonce = new_nonce();
  order.scope = target.scope;
  order.reason = words.because;
  order.ordered_by = words.ordered_by;
  order.clause = words.clause;
  if (words.quiet) {
    // Beyond what the root allows a job would only hear less than what was written.
    ACCOUNT_ASSIGN_OR_RETURN(
        order.quiet_seconds,
        parse_whole("--quiet", *words.quiet, 1, authority.chain.newest().max_quiet_seconds));
  }
  ACCOUNT_ASSIGN_OR_RETURN(order.grace, parse_grace(words.grace.value_or("save")));
  return order::write_order(order);
}

Status sign_stop(const StopWords& words, const OpenAuthority& authority, sign::Envelope& envelope) {
  if (words.key.empty()) return {};
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_secret_keys({words.key}));
  const std::vector<sign::PublicKey> stop_keys = authority.chain.stop_keys();
  if (!holds(stop_keys, keys[0].key.public_key())) {
    return {Code::unverified,
            fmt::format("key '{}' is no stop key of authority '{}'", keys[0].name,
                        authority.chain.authority()),
            "its stop keys are held by " + authority.names_of(stop_keys)};
  }
  sign::add_signature(envelope, keys[0].key);
  return {};
}

Status check(const StopWords& words) {
  if (words.wait.then && (words.draft || words.wait.no_wait)) {
    return {Code::invalid_argument, "--then without waiting for an answer",
            "leave out --no-wait and --draft"};
  }
  if (words.because.empty()) {
    return {Code::invalid_argument, "--because is empty", "say why; it is read by those stopped"};
  }
  if (words.key.empty() && !words.draft) {
    return {Code::invalid_argument, "--key is required",
            "give a stop key, or --draft FILE to have it signed elsewhere"};
  }
  return {};
}

struct Prepared {
  OpenAuthority authority;
  sign::Envelope envelope;
};

Result<Prepared> prepare(const StopWords& words) {
  ACCOUNT_RETURN_IF_ERROR(check(words));
  ACCOUNT_ASSIGN_OR_RETURN(const Target target, parse_target(words.target));
  std::optional<std::string> spec = words.authority;
  if (!spec) {
    ACCOUNT_ASSIGN_OR_RETURN(spec, authority_of(target.run_folder));
  }
  ACCOUNT_ASSIGN_OR_RETURN(OpenAuthority authority, open_authority(spec));
  ACCOUNT_ASSIGN_OR_RETURN(std::string payload, payload_of(words, target, authority));
  if (words.lacks_clause(authority.chain.newest())) {
    say("account: " + words.verb() +
        ": the authority has a shutdown protocol, and no --clause of it is named; given all the "
        "same");
  }
  sign::Envelope envelope{std::string(order::kOrderType), std::move(payload), {}};
  ACCOUNT_RETURN_IF_ERROR(sign_stop(words, authority, envelope));
  return Prepared{std::move(authority), std::move(envelope)};
}

int give(const StopWords& words) {
  const auto prepared = prepare(words);
  if (!prepared.ok()) return fail(words.verb(), prepared.status());
  if (!words.draft) {
    return deliver(words.verb(), prepared->authority, prepared->envelope, words.wait);
  }
  return put_draft(words.verb(), *words.draft, prepared->envelope, words.wait.json);
}

// The words that all three have.
Verb add(const Verb& program, order::Action action, const std::string& summary,
         const std::shared_ptr<StopWords>& words) {
  words->action = action;
  const Verb verb = program.verb(words->verb(), summary);
  verb.needs("TARGET", words->target, kTargetHelp);
  verb.needs("--because", words->because, "The reason, with the protocol's clause");
  verb.takes("--authority", words->authority,
             "Its directory (default: what the run obeys, then ACCOUNT_AUTHORITY)");
  verb.takes("--key", words->key, "A stop key's .key file");
  verb.takes("--ordered-by", words->ordered_by, "A court, an authority, an officer");
  verb.takes("--draft", words->draft, "Write the order to this file, and deliver nothing");
  add_wait_options(verb, words->wait);
  verb.does([words] { return give(*words); });
  return verb;
}

}  // namespace

void add_stop(const Verb& program) {
  auto words = std::make_shared<StopWords>();
  const Verb verb = add(program, order::Action::stop,
                        "Orders jobs to stop, and waits until they are quiet", words);
  verb.takes("--quiet", words->quiet,
             "Seconds by when no training may run (default: the job's own rule)");
  verb.takes("--grace", words->grace,
             "save (default): ranks may write their state first, encrypted; none: nothing; hold: "
             "ranks wait with everything in memory until a lift lets them go on");
  verb.takes("--clause", words->clause, kClauseWords);
  verb.takes(
      "--then", words->wait.then,
      "A command for /bin/sh where not all are quiet in time, such as scancel; ACCOUNT_ORDER "
      "holds the order's hash");
  verb.footer(
      "It stands until a lift names it: whoever it is about is refused at every start. Exit\n"
      "codes: 0 all are quiet, 5 nobody answered in time or somebody is not quiet yet.\n\n"
      "Example:\n"
      "  account stop account/my-run --because 'evaluation 12 failed (clause 4)' --key me.key");
}

void add_pause(const Verb& program) {
  auto words = std::make_shared<StopWords>();
  const Verb verb = add(program, order::Action::pause,
                        "Orders jobs to wait at a step, and waits until they do", words);
  verb.takes("--clause", words->clause, kClauseWords);
  verb.footer(
      "All ranks wait at one step, and nothing is exported, until `account resume` names the\n"
      "order; whoever it is about is refused at every start meanwhile. Nobody is ended by it. "
      "Exit\n"
      "codes: 0 all wait, 5 nobody answered in time or somebody does not wait yet.\n\n"
      "Example:\n"
      "  account pause account/my-run --because 'looking into evaluation 12' --key me.key");
}

void add_rehearse(const Verb& program) {
  const Verb verb =
      add(program, order::Action::rehearse, "Shows that jobs could be stopped, and lets them go on",
          std::make_shared<StopWords>());
  verb.footer(
      "All ranks agree on a step, come to it, wait two seconds and go on: no step is lost, and\n"
      "nothing is left that stands. Its result is in each node's ledger. Exit codes: 0 all came "
      "to\n"
      "one agreed step, 5 somebody did not or nobody answered.\n\n"
      "Example:\n"
      "  account rehearse account/my-run --because 'weekly drill' --key me.key");
}

}  // namespace account::cli
