// `account root lint`: would the loss of one single key cost the authority something for good?
#include <fmt/format.h>

#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "order/authority.h"
#include "order/root.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000, kSecondsPerDay = 86'400;
constexpr int64_t kShortDays = 30;

// A directory's newest root, or what stands in a file, signed by enough or not.
Result<order::Root> root_at(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(order::AuthoritySpec spec, order::parse_authority_spec(path));
  if (FileSystem::real().list(spec.path).ok()) {
    const order::AuthorityDirectory directory(FileSystem::real(), std::move(spec));
    ACCOUNT_ASSIGN_OR_RETURN(const order::RootChain chain, directory.read_roots());
    return chain.newest();
  }
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope, read_draft(path, order::kRootType));
  auto root = order::parse_root(envelope.payload);
  return root.ok() ? root : Result<order::Root>(root.status().with_context(path));
}

// How many keys of a role may be lost before it can do no more.
size_t spare(const order::Role& role) {
  return role.keys.size() - static_cast<size_t>(role.threshold);
}

int lint(const std::string& path, bool json) {
  const auto root = root_at(path);
  if (!root.ok()) return fail("root lint", root.status());
  std::vector<std::string> faults = order::root_frailties(*root);
  const int64_t now = Clock::real().unix_ns() / kNanoseconds;
  const int64_t days = (root->expires_unix - now) / kSecondsPerDay;
  if (root->expired(now)) {
    faults.emplace_back("it is expired: it still stops, and lifts nothing");
  } else if (days < kShortDays) {
    faults.push_back(fmt::format("it expires in {} days, and lifts nothing from then on", days));
  }
  if (json) {
    Json spares = Json::object({{"root", uint64_t{spare(root->root)}},
                                {"stop", uint64_t{spare(root->stop)}},
                                {"lift", uint64_t{spare(root->lift)}}});
    if (root->recovery) spares.set("recovery", uint64_t{spare(*root->recovery)});
    put_json(Json::object({{"authority", root->authority},
                           {"version", root->version},
                           {"days_left", std::max<int64_t>(days, 0)},
                           {"may_still_be_lost", std::move(spares)},
                           {"faults", Json::strings(faults)}}));
  } else {
    put_line(
        fmt::format("root of '{}', version {}, {} days left; keys that may still be lost: "
                    "{} stop, {} lift, {} root, {}",
                    root->authority, root->version, std::max<int64_t>(days, 0), spare(root->stop),
                    spare(root->lift), spare(root->root),
                    root->recovery ? fmt::format("{} recovery", spare(*root->recovery))
                                   : "and no recovery key: a stop saves nothing"));
    for (const std::string& fault : faults) put_line("fault: " + fault);
  }
  if (faults.empty()) return kYes;
  return fail(path,
              {Code::invalid_argument,
               fmt::format("its root has {} fault{}", faults.size(), faults.size() == 1 ? "" : "s"),
               "make the next one with more keys: account root next"});
}

}  // namespace

void add_root_lint(const Verb& group) {
  const Verb verb = group.verb("lint", "Refuses a root that the loss of one key would cripple");
  auto path = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  verb.needs("PATH", *path, "The authority's directory, or a file such as root.pending.json");
  verb.flag("--json", *json, "As JSON");
  verb.footer(
      "Exit codes: 0 any one key may be lost, and a month is left; 1 otherwise.\n\n"
      "Example:\n"
      "  account root lint /srv/acme");
  verb.does([path, json] { return lint(*path, *json); });
}

}  // namespace account::cli
