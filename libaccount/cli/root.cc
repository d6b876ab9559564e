// `account root new|next|sign`: who may stop, who may lift, and who may change that.
//
// A root needs several keys that seldom meet on one machine. So what is not yet signed by enough
// of them waits as root.pending.json, which nobody obeys, and travels from signer to signer.
#include "order/root.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace account::cli {
namespace {

using Paths = std::vector<std::string>;
constexpr std::string_view kPendingName = "root.pending.json";
constexpr int64_t kSecondsPerDay = 86'400, kMaxDays = 36'500, kNanoseconds = 1'000'000'000;
constexpr uint64_t kMaxProtocolBytes = uint64_t{64} << 20;
constexpr int64_t kMaxRoleKeys = 16;  // libaccount/doc/root_format.md
// libaccount/doc/authority_format.md: whoever obeys leaves receipts, and removes nobody else's.
constexpr mode_t kFolderMode = 0755, kReceiptsMode = 01777;

struct RootWords {
  std::string dir, name;
  Paths stop, lift, root, lease, recovery, revoke, sign;
  std::optional<std::string> lift_threshold, root_threshold, lease_threshold, days, max_quiet,
      protocol;
  bool json = false;
};

std::string day_of(int64_t unix_seconds) { return to_iso8601(unix_seconds * kNanoseconds); }

// ---- what the words say ---------------------------------------------------------------------

// Replaces the keys of a role where the words name some.
Status set_keys(order::Root& root, const Paths& paths, order::Role& role) {
  if (paths.empty()) return {};
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_public_keys(paths));
  role.keys.clear();
  for (const sign::NamedPublicKey& key : keys) {
    if (holds(role.keys, key.key)) {
      return {Code::invalid_argument,
              fmt::format("key '{}' is given twice for one role", key.name)};
    }
    role.keys.push_back(key.key);
    const bool listed = std::any_of(root.keys.begin(), root.keys.end(),
                                    [&](const auto& known) { return known.key == key.key; });
    if (!listed) root.keys.push_back({key.name, key.key});
  }
  return {};
}

Status set_roles(const RootWords& words, order::Root& root) {
  ACCOUNT_RETURN_IF_ERROR(set_keys(root, words.root, root.root));
  ACCOUNT_RETURN_IF_ERROR(set_keys(root, words.stop, root.stop));
  ACCOUNT_RETURN_IF_ERROR(set_keys(root, words.lift, root.lift));
  if (!words.lease.empty()) {
    root.lease.emplace();
    ACCOUNT_RETURN_IF_ERROR(set_keys(root, words.lease, *root.lease));
  }
  if (!words.recovery.empty()) {
    root.recovery.emplace();
    ACCOUNT_RETURN_IF_ERROR(set_keys(root, words.recovery, *root.recovery));
  }
  if (root.root.keys.empty() || root.stop.keys.empty() || root.lift.keys.size() < 2) {
    return {Code::invalid_argument, "a root needs a --root key, a --stop key and two --lift keys",
            "nobody lifts alone: give --lift at least twice"};
  }
  // Keys that have no role any more are left out.
  std::erase_if(root.keys, [&](const order::Root::Key& key) {
    const bool leases = root.lease && holds(root.lease->keys, key.key);
    const bool opens = root.recovery && holds(root.recovery->keys, key.key);
    return !leases && !opens && !holds(root.root.keys, key.key) &&
           !holds(root.stop.keys, key.key) && !holds(root.lift.keys, key.key);
  });
  return {};
}

Status set_numbers(const RootWords& words, order::Root& root) {
  if (words.lift_threshold) {
    ACCOUNT_ASSIGN_OR_RETURN(
        const int64_t threshold,
        parse_whole("--lift-threshold", *words.lift_threshold, 2, kMaxRoleKeys));
    root.lift.threshold = static_cast<int>(threshold);
  }
  if (words.root_threshold) {
    ACCOUNT_ASSIGN_OR_RETURN(
        const int64_t threshold,
        parse_whole("--root-threshold", *words.root_threshold, 1, kMaxRoleKeys));
    root.root.threshold = static_cast<int>(threshold);
  }
  if (words.lease_threshold) {
    if (!root.lease) {
      return {Code::invalid_argument, "--lease-threshold without lease keys", "give --lease"};
    }
    ACCOUNT_ASSIGN_OR_RETURN(
        const int64_t threshold,
        parse_whole("--lease-threshold", *words.lease_threshold, 1, kMaxRoleKeys));
    root.lease->threshold = static_cast<int>(threshold);
  }
  if (words.max_quiet) {
    ACCOUNT_ASSIGN_OR_RETURN(root.max_quiet_seconds, parse_whole("--max-quiet", *words.max_quiet, 1,
                                                                 order::kMaxQuietSeconds));
  }
  if (words.protocol) {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string text,
                             FileSystem::real().read(*words.protocol, kMaxProtocolBytes));
    root.protocol_sha256 = sign::to_hex(sign::sha256(text));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t days,
                           parse_whole("--days", words.days.value_or("365"), 1, kMaxDays));
  root.issued_unix = Clock::real().unix_ns() / kNanoseconds;
  root.expires_unix = root.issued_unix + days * kSecondsPerDay;
  return {};
}

Result<order::Root> first_root(const RootWords& words) {
  order::Root root;
  root.authority = words.name;
  root.lift.threshold = 2;
  ACCOUNT_RETURN_IF_ERROR(set_roles(words, root));
  ACCOUNT_RETURN_IF_ERROR(set_numbers(words, root));
  // Who changes the root could name new lift keys: as many are asked for as for a lift.
  if (!words.root_threshold) {
    root.root.threshold = std::min(root.lift.threshold, static_cast<int>(root.root.keys.size()));
  }
  return root;
}

Result<order::Root> next_root(const RootWords& words, const order::Root& before) {
  order::Root root = before;
  root.version = before.version + 1;
  ACCOUNT_RETURN_IF_ERROR(set_roles(words, root));
  ACCOUNT_RETURN_IF_ERROR(set_numbers(words, root));
  ACCOUNT_ASSIGN_OR_RETURN(const auto revoked, read_public_keys(words.revoke));
  for (const sign::NamedPublicKey& key : revoked) {
    const bool listed =
        std::find(root.revoked.begin(), root.revoked.end(), key.key.id()) != root.revoked.end();
    if (!listed) root.revoked.push_back(key.key.id());
  }
  return root;
}

// ---- signatures -----------------------------------------------------------------------------

size_t signatures_by(const sign::Envelope& envelope, const order::Role& role) {
  const auto signers = sign::verify_envelope(envelope, order::kRootType, role.keys, 1);
  return signers.ok() ? signers->size() : 0;
}

// "1 more of its 2 root keys"; empty once enough have signed.
std::string missing(const sign::Envelope& envelope, const order::Role& role,
                    std::string_view whose) {
  const size_t have = signatures_by(envelope, role);
  const auto need = static_cast<size_t>(role.threshold);
  if (have >= need) return "";
  return fmt::format("{} more of {} {} root keys", need - have, whose, role.keys.size());
}

std::string missing(const sign::Envelope& envelope, const order::Root& root,
                    const order::Root* before) {
  std::string text = missing(envelope, root.root, "its");
  const std::string old =
      before == nullptr ? "" : missing(envelope, before->root, "the version before's");
  return text + (text.empty() || old.empty() ? "" : " and ") + old;
}

// `before` is nullptr for a first root, and where the version before is not at hand: then only
// its publication can tell a foreign key from one of that version.
Status add_signatures(sign::Envelope& envelope, const order::Root& root, const order::Root* before,
                      const Paths& paths) {
  ACCOUNT_ASSIGN_OR_RETURN(const auto keys, read_secret_keys(paths));
  for (const sign::NamedSecretKey& key : keys) {
    const sign::PublicKey& open = key.key.public_key();
    const bool may = holds(root.root.keys, open) ||
                     (before == nullptr ? root.version > 1 : holds(before->root.keys, open));
    if (!may) {
      return {Code::unverified, fmt::format("key '{}' is no root key of it", key.name),
              "sign with the keys that --root names"};
    }
    const bool signed_already = signatures_by(envelope, {{open}, 1}) > 0;
    if (!signed_already) sign::add_signature(envelope, key.key);
  }
  return {};
}

// ---- publication ----------------------------------------------------------------------------

Status make_folder(const std::string& path, mode_t mode) {
  FileSystem& files = FileSystem::real();
  if (files.exists(path)) return {};
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(path, static_cast<int>(kFolderMode)));
  // The umask of whoever made it must not decide who can obey it.
  if (::chmod(path.c_str(), mode) != 0) {
    return {Code::io, fmt::format("{} cannot be opened to those who obey", path)};
  }
  return {};
}

Status make_folders(const order::AuthorityDirectory& directory) {
  ACCOUNT_RETURN_IF_ERROR(make_folder(directory.path(), kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(make_folder(directory.orders_path(), kFolderMode));
  return make_folder(directory.receipts_path(), kReceiptsMode);
}

Result<order::AuthorityDirectory> directory_at(const std::string& dir) {
  ACCOUNT_ASSIGN_OR_RETURN(order::AuthoritySpec spec, order::parse_authority_spec(dir));
  return order::AuthorityDirectory(FileSystem::real(), std::move(spec));
}

struct Outcome {
  std::string path;     // of the root, or of what is pending
  std::string missing;  // empty: it is published
};

// Publishes what is complete, and leaves the rest as `pending`.
Result<Outcome> settle(const order::AuthorityDirectory& directory, const sign::Envelope& envelope,
                       const order::Root& root, const order::Root* before,
                       const std::string& pending) {
  ACCOUNT_RETURN_IF_ERROR(make_folders(directory));
  Outcome outcome{pending, missing(envelope, root, before)};
  if (!outcome.missing.empty()) {
    ACCOUNT_RETURN_IF_ERROR(write_draft(pending, envelope));
    return outcome;
  }
  ACCOUNT_RETURN_IF_ERROR(directory.publish_root(sign::write_envelope(envelope)));
  note_in_log(directory, "root",
              Json::object({{"version", root.version},
                            {"root", sign::to_hex(sign::sha256(envelope.payload))}}));
  if (FileSystem::real().exists(pending)) {
    ACCOUNT_RETURN_IF_ERROR(FileSystem::real().remove(pending));
  }
  outcome.path = directory.root_path(root.version);
  return outcome;
}

int tell(const RootWords& words, const order::Root& root, const std::string& pin,
         const Outcome& outcome) {
  const bool published = outcome.missing.empty();
  const std::vector<std::string> warnings = order::root_warnings(root);
  if (words.json) {
    Json said = Json::array();
    for (const std::string& warning : warnings) said.push(warning);
    put_json(Json::object({{"authority", root.authority},
                           {"version", root.version},
                           {"published", published},
                           {"path", outcome.path},
                           {"missing", outcome.missing},
                           {"pin", pin},
                           {"expires", day_of(root.expires_unix)},
                           {"warnings", std::move(said)}}));
    return kYes;
  }
  put_line(fmt::format("root of '{}', version {}, until {}", root.authority, root.version,
                       day_of(root.expires_unix)));
  if (published) {
    put_line(outcome.path + "  published");
    put_line(fmt::format("jobs obey it with: account run --authority {}#{} -- ...",
                         absolute_path(words.dir), pin));
  } else {
    put_line(fmt::format("{}  waits for {}: account root sign {} --key ROOT.key", outcome.path,
                         outcome.missing, outcome.path));
  }
  for (const std::string& warning : warnings) put_line("think over: " + warning);
  return kYes;
}

int draw_up(const RootWords& words, const order::AuthorityDirectory& directory,
            const order::Root& root, const order::RootChain* chain, const char* verb) {
  const std::string pending = join_path(directory.path(), kPendingName);
  if (FileSystem::real().exists(pending)) {
    return fail(verb, {Code::invalid_argument, pending + " waits for signatures already",
                       "sign it with `account root sign`, or remove it"});
  }
  const auto payload = order::write_root(root);
  if (!payload.ok()) return fail(verb, payload.status());
  const order::Root* before = chain == nullptr ? nullptr : &chain->newest();
  sign::Envelope envelope{std::string(order::kRootType), *payload, {}};
  const Status added = add_signatures(envelope, root, before, words.sign);
  if (!added.ok()) return fail(verb, added);
  const auto outcome = settle(directory, envelope, root, before, pending);
  if (!outcome.ok()) return fail(verb, outcome.status());
  const std::string pin = chain == nullptr ? sign::to_hex(sign::sha256(*payload)) : chain->pin();
  return tell(words, root, pin, *outcome);
}

int create(const RootWords& words) {
  const auto directory = directory_at(words.dir);
  if (!directory.ok()) return fail("root new", directory.status());
  if (FileSystem::real().exists(directory->root_path(1))) {
    return fail("root new",
                {Code::invalid_argument,
                 fmt::format("{} exists and is not overwritten", directory->root_path(1)),
                 "`account root next` makes the version after it"});
  }
  const auto root = first_root(words);
  if (!root.ok()) return fail("root new", root.status());
  return draw_up(words, *directory, *root, nullptr, "root new");
}

int rotate(const RootWords& words) {
  const auto directory = directory_at(words.dir);
  if (!directory.ok()) return fail("root next", directory.status());
  const auto chain = directory->read_roots();
  if (!chain.ok()) return fail("root next", chain.status());
  const auto root = next_root(words, chain->newest());
  if (!root.ok()) return fail("root next", root.status());
  return draw_up(words, *directory, *root, &*chain, "root next");
}

// ---- sign -----------------------------------------------------------------------------------

struct SignWords {
  std::string file;
  std::optional<std::string> publish;
  Paths keys;
  bool json = false;
};

// Where a complete root goes: what the words say, or the authority's directory that it lies in.
std::optional<std::string> target_of(const SignWords& words) {
  if (words.publish) return words.publish;
  const std::string folder = folder_of(words.file);
  const bool at_home = base_name(words.file) == kPendingName &&
                       FileSystem::real().exists(join_path(folder, "orders"));
  return at_home ? std::optional(folder) : std::nullopt;
}

// Away from the authority's directory only the root itself is at hand.
int sign_away(const SignWords& words, sign::Envelope& envelope, const order::Root& root) {
  const Status added = add_signatures(envelope, root, nullptr, words.keys);
  if (!added.ok()) return fail("root sign", added);
  const Status written = write_draft(words.file, envelope);
  if (!written.ok()) return fail("root sign", written);
  const std::string lacks = missing(envelope, root, nullptr);
  if (words.json) {
    put_json(Json::object({{"published", false}, {"path", words.file}, {"missing", lacks}}));
    return kYes;
  }
  put_line(lacks.empty() ? fmt::format("{}  signed; take it to the authority's directory: account "
                                       "root sign {} --publish DIR",
                                       words.file, base_name(words.file))
                         : fmt::format("{}  signed; waits for {}", words.file, lacks));
  return kYes;
}

int sign_at(const SignWords& words, const std::string& dir, sign::Envelope& envelope,
            const order::Root& root) {
  const auto directory = directory_at(dir);
  if (!directory.ok()) return fail("root sign", directory.status());
  std::optional<order::RootChain> chain;
  if (root.version > 1) {
    auto roots = directory->read_roots();
    if (!roots.ok()) return fail("root sign", roots.status());
    chain = std::move(roots).value();
  }
  const order::Root* before = chain ? &chain->newest() : nullptr;
  const Status added = add_signatures(envelope, root, before, words.keys);
  if (!added.ok()) return fail("root sign", added);
  const auto outcome = settle(*directory, envelope, root, before, words.file);
  if (!outcome.ok()) return fail("root sign", outcome.status());
  RootWords said;
  said.dir = directory->path();
  said.json = words.json;
  return tell(said, root, chain ? chain->pin() : sign::to_hex(root.hash), *outcome);
}

int sign_root(const SignWords& words) {
  const std::optional<std::string> target = target_of(words);
  if (words.keys.empty() && !target) {
    return fail("root sign", {Code::invalid_argument, "there is nothing to sign with",
                              "give --key ROOT.key, or --publish DIR for a complete one"});
  }
  auto envelope = read_draft(words.file, order::kRootType);
  if (!envelope.ok()) return fail("root sign", envelope.status());
  const auto root = order::parse_root(envelope->payload);
  if (!root.ok()) return fail(words.file, root.status());
  return target ? sign_at(words, *target, *envelope, *root) : sign_away(words, *envelope, *root);
}

// ---- words ----------------------------------------------------------------------------------

void add_root_options(const Verb& verb, RootWords& words) {
  verb.takes_many("--stop", words.stop, "KEY.pub that may stop, alone; may be repeated");
  verb.takes_many("--lift", words.lift, "KEY.pub that may lift, with others; repeat it");
  verb.takes_many("--root", words.root, "KEY.pub that may sign the next root; may be repeated");
  verb.takes_many("--recovery", words.recovery,
                  "KEY.pub that opens what a stop lets jobs save, alone; may be repeated");
  verb.takes_many("--lease", words.lease,
                  "KEY.pub that renews leases of jobs that ask for one; may be repeated");
  verb.takes("--lift-threshold", words.lift_threshold, "Lift keys needed for a lift (default 2)");
  verb.takes("--root-threshold", words.root_threshold,
             "Root keys needed for a root (default: as many as for a lift)");
  verb.takes("--lease-threshold", words.lease_threshold,
             "Lease keys needed for a lease (default 1)");
  verb.takes("--days", words.days, "Until it expires (default 365)");
  verb.takes("--protocol", words.protocol,
             "The shutdown protocol, a file whose SHA-256 the root is to hold");
  verb.takes("--max-quiet", words.max_quiet,
             "Seconds that a stop may give a job at most (default 600)");
  verb.takes_many("--sign", words.sign, "ROOT.key to sign with; may be repeated");
  verb.flag("--json", words.json, "As JSON");
}

void add_root_new(const Verb& group) {
  const Verb verb = group.verb("new", "Makes an authority's directory and its first root");
  auto words = std::make_shared<RootWords>();
  verb.needs("DIR", words->dir, "The authority's directory; made if need be");
  verb.needs("--name", words->name, "The authority's name");
  add_root_options(verb, *words);
  verb.footer(
      "Where not all root keys are on this machine, the root waits as DIR/root.pending.json\n"
      "until `account root sign` has added the rest. One stop key is always enough to stop.\n\n"
      "Example:\n"
      "  account root new /srv/acme --name acme --stop officer.pub --stop night.pub \\\n"
      "    --lift ceo.pub --lift cto.pub --lift board.pub \\\n"
      "    --root ceo.pub --root cto.pub --root board.pub \\\n"
      "    --recovery safe.pub --recovery vault.pub --sign ceo.key --sign cto.key");
  verb.does([words] { return create(*words); });
}

void add_root_next(const Verb& group) {
  const Verb verb = group.verb("next", "Makes the next version: other keys, or a later expiry");
  auto words = std::make_shared<RootWords>();
  verb.needs("DIR", words->dir, "The authority's directory");
  add_root_options(verb, *words);
  verb.takes_many("--revoke", words->revoke,
                  "KEY.pub, a stop key of earlier versions that counts no more; may be repeated");
  verb.footer(
      "What is not named stays as it is. Root keys of the version before and of the new one\n"
      "sign it. Stops of earlier keys keep standing unless their key is revoked.\n\n"
      "Example:\n"
      "  account root next /srv/acme --stop officer.pub --stop new.pub --revoke night.pub \\\n"
      "    --sign ceo.key --sign cto.key");
  verb.does([words] { return rotate(*words); });
}

void add_root_sign(const Verb& group) {
  const Verb verb = group.verb("sign", "Adds a signature to a root that waits for it");
  auto words = std::make_shared<SignWords>();
  verb.needs("FILE", words->file, "A root.pending.json, or a copy of it");
  verb.takes_many("--key", words->keys, "ROOT.key to sign with; may be repeated");
  verb.takes("--publish", words->publish, "The authority's directory, where FILE lies elsewhere");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "In the authority's directory it is published as soon as enough have signed.\n\n"
      "Example:\n"
      "  account root sign /srv/acme/root.pending.json --key cto.key");
  verb.does([words] { return sign_root(*words); });
}

}  // namespace

void add_root(const Verb& program) {
  const Verb group = program.verb("root", "Who may stop jobs, and who may lift a stop");
  group.footer("Example:\n  account root show /srv/acme");
  add_root_new(group);
  add_root_next(group);
  add_root_sign(group);
  add_root_show(group);
  add_root_lint(group);
  add_root_log(group);
}

}  // namespace account::cli
