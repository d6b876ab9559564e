// `account root show`: who may do what, until when, and the pin to name the authority by.
#include <fmt/format.h>

#include <memory>

#include "base/clock.h"
#include "base/files.h"
#include "cli/output.h"
#include "cli/verbs.h"
#include "order/authority.h"
#include "order/root.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;
constexpr size_t kShortDigits = 16;

std::string day_of(int64_t unix_seconds) { return to_iso8601(unix_seconds * kNanoseconds); }

Json role_json(const order::Root& root, const order::Role& role) {
  Json keys = Json::array();
  for (const sign::PublicKey& key : role.keys) {
    keys.push(Json::object({{"id", key.id()}, {"holder", root.holder_of(key)}}));
  }
  return Json::object({{"threshold", role.threshold}, {"keys", std::move(keys)}});
}

Json texts(const std::vector<std::string>& lines) {
  Json array = Json::array();
  for (const std::string& line : lines) array.push(line);
  return array;
}

struct Shown {
  const order::RootChain& chain;
  std::string path;
  bool expired = false;
  std::vector<std::string> warnings, problems;
};

void put_shown_json(const Shown& shown) {
  const order::Root& root = shown.chain.newest();
  Json roles = Json::object({{"root", role_json(root, root.root)},
                             {"stop", role_json(root, root.stop)},
                             {"lift", role_json(root, root.lift)}});
  if (root.lease) roles.set("lease", role_json(root, *root.lease));
  if (root.recovery) roles.set("recovery", role_json(root, *root.recovery));
  put_json(Json::object({{"authority", root.authority},
                         {"version", root.version},
                         {"pin", shown.chain.pin()},
                         {"issued", day_of(root.issued_unix)},
                         {"expires", day_of(root.expires_unix)},
                         {"expired", shown.expired},
                         {"max_quiet_seconds", root.max_quiet_seconds},
                         {"protocol_sha256", root.protocol_sha256},
                         {"roles", std::move(roles)},
                         {"revoked", texts(root.revoked)},
                         {"warnings", texts(shown.warnings)},
                         {"problems", texts(shown.problems)}}));
}

void put_role(const order::Root& root, const order::Role& role, std::string_view what) {
  put_line(fmt::format("{}: any {} of {}", what, role.threshold, role.keys.size()));
  for (const sign::PublicKey& key : role.keys) {
    put_line(fmt::format("  {}  {}", key.id().substr(0, kShortDigits), root.holder_of(key)));
  }
}

void put_shown(const Shown& shown) {
  const order::Root& root = shown.chain.newest();
  put_line(fmt::format("authority '{}', root version {}", root.authority, root.version));
  put_line(fmt::format("  issued {}, {} {}", day_of(root.issued_unix),
                       shown.expired ? "EXPIRED" : "expires", day_of(root.expires_unix)));
  put_role(root, root.stop, "stop");
  put_role(root, root.lift, "lift");
  put_role(root, root.root, "root");
  if (root.lease) put_role(root, *root.lease, "lease");
  if (root.recovery) put_role(root, *root.recovery, "recovery");
  if (!root.revoked.empty()) put_line(fmt::format("revoked: {}", fmt::join(root.revoked, ", ")));
  put_line(fmt::format("a stop may ask for at most {} s until quiet", root.max_quiet_seconds));
  if (!root.protocol_sha256.empty()) {
    put_line("shutdown protocol: SHA-256 " + root.protocol_sha256);
  }
  put_line(fmt::format("name it as {}#{}", absolute_path(shown.path), shown.chain.pin()));
  for (const std::string& warning : shown.warnings) put_line("think over: " + warning);
  for (const std::string& problem : shown.problems) put_line("problem: " + problem);
}

int show(const std::string& dir, bool json) {
  const auto spec = order::parse_authority_spec(dir);
  if (!spec.ok()) return fail("root show", spec.status());
  const auto chain = order::AuthorityDirectory(FileSystem::real(), *spec).read_roots();
  if (!chain.ok()) return fail("root show", chain.status());
  const int64_t now = Clock::real().unix_ns() / kNanoseconds;
  Shown shown{
      *chain, spec->path, chain->newest().expired(now), order::root_warnings(chain->newest()), {}};
  if (shown.expired) {
    shown.warnings.emplace_back("it is expired: it still stops, and lifts nothing");
  }
  for (const Status& problem : chain->problems()) shown.problems.push_back(problem.to_string());
  json ? put_shown_json(shown) : put_shown(shown);
  return shown.problems.empty() ? kYes : kUnverified;
}

}  // namespace

void add_root_show(const Verb& group) {
  const Verb verb = group.verb("show", "Keys, roles, expiry, and the pin to name it by");
  auto dir = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  verb.needs("DIR", *dir, "The authority's directory, perhaps with #PIN");
  verb.flag("--json", *json, "As JSON");
  verb.footer("Example:\n  account root show /srv/acme");
  verb.does([dir, json] { return show(*dir, *json); });
}

}  // namespace account::cli
