// `account order dossier`: everything that can be shown of one order, from the signed file to the
// ranks that came to rest, with what it does not show. For whoever has to answer for it later.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/deliver.h"
#include "cli/order_story.h"
#include "cli/order_words.h"
#include "cli/output.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "ledger/ledger.h"

namespace account::cli {
namespace {

constexpr int64_t kNanoseconds = 1'000'000'000;

struct DossierWords {
  std::string order;
  std::optional<std::string> authority;
  std::vector<std::string> runs;
  bool json = false;
};

// A run that obeyed it, or says that it did.
struct Obeyer {
  std::string run, folder;
  std::vector<order::Receipt> receipts;  // by node
  std::string trouble;                   // why its ledgers say nothing here; empty: they do
  std::optional<Story> story;
  std::vector<Rehearsal> rehearsals;
  std::map<std::string, int64_t> refused_exports;
  std::vector<PlainSave> plain_saves;
  std::map<std::string, std::string> heads;  // by node: lines and root of its ledger
};

struct Dossier {
  const OpenAuthority* authority = nullptr;
  sign::Digest hash{};
  const order::Verified* order = nullptr;  // nothing: only receipts of it are left
  std::vector<Obeyer> obeyers;
};

const std::vector<std::string>& not_shown() {
  static const std::vector<std::string> kNotShown = {
      "that a job which was not wrapped, or that shares no name, folder, command or weights with "
      "one that was, does not train",
      "that nobody copied weights before the order was read, or by a way that "
      "docs/export_gate.md does not list",
      "receipts, which are not signed: what they say beyond the ledgers is somebody's word",
      "the clocks of the machines, which times are taken from",
  };
  return kNotShown;
}

// ---- gathering ------------------------------------------------------------------------------

void read_ledgers(Obeyer& obeyer, const std::string& hash) {
  if (obeyer.folder.empty() || !FileSystem::real().exists(obeyer.folder)) {
    obeyer.trouble = "its ledgers are not on this machine";
    return;
  }
  const auto report = verify_run(obeyer.folder, {});
  if (!report.ok() || !report->ok()) {
    obeyer.trouble = "its ledgers do not verify: " +
                     (report.ok() ? first_problem(*report) : report.status()).to_string();
    return;
  }
  const Stories told(*report);
  for (Story& story : told.all()) {
    if (story.order == hash) obeyer.story = std::move(story);
  }
  for (const Rehearsal& rehearsal : told.rehearsals()) {
    if (rehearsal.order == hash) obeyer.rehearsals.push_back(rehearsal);
  }
  obeyer.refused_exports = told.refused_exports();
  obeyer.plain_saves = told.plain_saves();
  for (const ledger::NodeReport& node : report->nodes) {
    obeyer.heads[node.node] = fmt::format("{} lines, root {}", node.lines, node.root_hex);
  }
}

std::vector<Obeyer> obeyers_of(const OpenAuthority& authority, const sign::Digest& hash,
                               const std::vector<std::string>& named) {
  std::map<std::string, Obeyer> by_run;
  for (const order::Receipt& receipt : authority.receipts) {
    if (receipt.order != hash) continue;
    Obeyer& obeyer = by_run[receipt.run];
    obeyer.run = receipt.run;
    obeyer.folder = receipt.job.directory;
    obeyer.receipts.push_back(receipt);
  }
  for (const std::string& word : named) {
    const auto found = find_run(word);
    const std::string folder = absolute_path(found.ok() ? *found : word);
    Obeyer& obeyer = by_run[base_name(folder)];
    obeyer.run = base_name(folder);
    obeyer.folder = folder;
  }
  std::vector<Obeyer> obeyers;
  for (auto& [run, obeyer] : by_run) {
    read_ledgers(obeyer, sign::to_hex(hash));
    obeyers.push_back(std::move(obeyer));
  }
  return obeyers;
}

// ---- as text --------------------------------------------------------------------------------

std::string after(int64_t from_ns, int64_t to_ns) {
  if (from_ns == 0 || to_ns == 0) return "never";
  return fmt::format("{:.3f} s later",
                     static_cast<double>(to_ns - from_ns) / static_cast<double>(kNanoseconds));
}

void put_order(const Dossier& dossier) {
  const OpenAuthority& authority = *dossier.authority;
  const order::Root& root = authority.chain.newest();
  if (dossier.order == nullptr) {
    put_line(fmt::format("order {}  only receipts of it are left", sign::to_hex(dossier.hash)));
  } else {
    const order::Order& order = dossier.order->order;
    put_line(fmt::format("order {}  {}", order.hash_hex(), describe(order)));
    put_line(fmt::format("  number {}, issued {}, signed by {}", order.number,
                         order.issued_unix == 0 ? "at a time that it does not say"
                                                : to_iso8601(order.issued_unix * kNanoseconds),
                         authority.names_of(dossier.order->signers)));
  }
  put_line(fmt::format("  of authority '{}' (first root {}), root version {}, protocol {}",
                       authority.chain.authority(), authority.chain.pin(), root.version,
                       root.protocol_sha256.empty() ? "not named" : root.protocol_sha256));
}

void put_receipt(const order::Receipt& receipt) {
  put_line(fmt::format("  node {}: read at {}; on disk {}, {} {}{}", receipt.node,
                       to_iso8601(receipt.verified_unix_ns),
                       after(receipt.verified_unix_ns, receipt.latched_unix_ns), receipt.state,
                       after(receipt.verified_unix_ns, receipt.quiet_unix_ns),
                       receipt.how.empty() ? "" : ", " + receipt.how));
  for (const order::Receipt::Rank& rank : receipt.ranks) {
    put_line(fmt::format("    rank {}: {}, last step {}", rank.rank, rank.state, rank.last_step));
  }
}

void put_obeyer(const Obeyer& obeyer) {
  put_line(fmt::format("run {}", obeyer.run));
  for (const order::Receipt& receipt : obeyer.receipts) put_receipt(receipt);
  if (!obeyer.trouble.empty()) return put_line("  " + obeyer.trouble);
  for (const auto& [node, head] : obeyer.heads) {
    put_line(fmt::format("  the ledger of node {} verifies: {}", node, head));
  }
  if (obeyer.story) put(*obeyer.story);
  for (const Rehearsal& rehearsal : obeyer.rehearsals) put(rehearsal);
  if (!obeyer.story && obeyer.rehearsals.empty()) {
    put_line("  its ledgers know nothing of the order");
  }
  put(obeyer.refused_exports);
  put(obeyer.plain_saves);
}

// ---- as JSON --------------------------------------------------------------------------------

Json order_json(const Dossier& dossier) {
  const OpenAuthority& authority = *dossier.authority;
  const order::Root& root = authority.chain.newest();
  Json json = Json::object({{"order", sign::to_hex(dossier.hash)},
                            {"authority", authority.chain.authority()},
                            {"pin", authority.chain.pin()},
                            {"root_version", root.version},
                            {"protocol_sha256", root.protocol_sha256}});
  if (dossier.order == nullptr) return json;
  const order::Order& order = dossier.order->order;
  json.set("action", order::name(order.action));
  json.set("number", order.number);
  json.set("reason", order.reason);
  json.set("ordered_by", order.ordered_by);
  json.set("signed_by", authority.names_of(dossier.order->signers));
  json.set("envelope", dossier.order->envelope);
  if (!order::ends_others(order.action)) json.set("scope", order::to_json(order.scope));
  return json;
}

Json obeyer_json(const Obeyer& obeyer) {
  Json receipts = Json::array(), rehearsals = Json::array(), heads = Json::object();
  for (const order::Receipt& receipt : obeyer.receipts) receipts.push(order::to_json(receipt));
  for (const Rehearsal& rehearsal : obeyer.rehearsals) rehearsals.push(to_json(rehearsal));
  for (const auto& [node, head] : obeyer.heads) heads.set(node, head);
  return Json::object({{"run", obeyer.run},
                       {"receipts", std::move(receipts)},
                       {"ledgers", std::move(heads)},
                       {"trouble", obeyer.trouble},
                       {"story", obeyer.story ? to_json(*obeyer.story) : Json()},
                       {"rehearsals", std::move(rehearsals)},
                       {"exports_refused", to_json(obeyer.refused_exports)},
                       {"plain_checkpoints", to_json(obeyer.plain_saves)}});
}

void put_dossier_json(const Dossier& dossier) {
  Json runs = Json::array(), open = Json::array();
  for (const Obeyer& obeyer : dossier.obeyers) runs.push(obeyer_json(obeyer));
  for (const std::string& text : not_shown()) open.push(text);
  Json json = order_json(dossier);
  json.set("runs", std::move(runs));
  json.set("not_shown", std::move(open));
  put_json(json);
}

int dossier_of(const DossierWords& words) {
  const auto authority = open_authority(words.authority);
  if (!authority.ok()) return fail("order dossier", authority.status());
  const auto hash = find_order(*authority, words.order);
  if (!hash.ok()) return fail("order dossier", hash.status());
  Dossier dossier;
  dossier.authority = &*authority;
  dossier.hash = *hash;
  const auto known = authority->orders.find(*hash);
  if (known != authority->orders.end()) dossier.order = &known->second;
  dossier.obeyers = obeyers_of(*authority, *hash, words.runs);
  if (words.json) {
    put_dossier_json(dossier);
    return kYes;
  }
  put_order(dossier);
  for (const Obeyer& obeyer : dossier.obeyers) put_obeyer(obeyer);
  if (dossier.obeyers.empty()) put_line("no job has answered it");
  put_line("not shown by this:");
  for (const std::string& text : not_shown()) put_line("  " + text);
  return kYes;
}

}  // namespace

void add_order_dossier(const Verb& group) {
  const Verb verb = group.verb(
      "dossier", "All that shows what became of an order: signature, receipts, ledgers, exports");
  auto words = std::make_shared<DossierWords>();
  verb.needs("ORDER", words->order, "The first digits of an order's hash");
  verb.takes("--authority", words->authority, "Its directory (default: ACCOUNT_AUTHORITY)");
  verb.takes_many("--run", words->runs,
                  "Folder of a run, beside those that its receipts name; may be repeated");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "Example:\n  account order dossier 1f00ba5e --authority /srv/acme --json > dossier.json");
  verb.does([words] { return dossier_of(*words); });
}

}  // namespace account::cli
