// The authority's directory on a file system.
#include "order/authority.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json.h"
#include "order/fields.h"

namespace account::order {
namespace {

constexpr int64_t kMaxRootVersions = 1024;  // a rotation a month for 85 years
constexpr int kPublic = 0644;
constexpr int kFolder = 0755;

bool is_json_file(std::string_view name) {
  return name.size() > 5 && name.front() != '.' && name.substr(name.size() - 5) == ".json";
}

}  // namespace

Result<AuthoritySpec> parse_authority_spec(std::string_view text) {
  AuthoritySpec spec;
  const size_t hash = text.rfind('#');
  spec.path = text.substr(0, hash);
  if (spec.path.empty()) {
    return Status(Code::invalid_argument, "an authority without a path",
                  "give its directory, as PATH or PATH#SHA256");
  }
  if (hash == std::string_view::npos) return spec;
  spec.pin = text.substr(hash + 1);
  const Status digest = sign::digest_from_hex(spec.pin).status();
  if (!digest.ok()) {
    return Status(Code::invalid_argument, fmt::format("'{}' is no SHA-256", spec.pin.substr(0, 80)),
                  "after # comes the digest of the first root: account root show");
  }
  return spec;
}

AuthorityDirectory::AuthorityDirectory(FileSystem& files, AuthoritySpec spec)
    : files_(files), spec_(std::move(spec)) {}

std::string AuthorityDirectory::root_path(int64_t version) const {
  return join_path(spec_.path, version == 1 ? "root.json" : fmt::format("root.{}.json", version));
}

std::string AuthorityDirectory::orders_path() const { return join_path(spec_.path, "orders"); }

std::string AuthorityDirectory::leases_path() const { return join_path(spec_.path, "leases"); }

std::string AuthorityDirectory::receipts_path() const { return join_path(spec_.path, "receipts"); }

Result<RootChain> AuthorityDirectory::read_roots(int64_t least_version) const {
  std::vector<std::string> envelopes;
  for (int64_t version = 1; version <= kMaxRootVersions; ++version) {
    Result<std::string> bytes = files_.read(root_path(version), kMaxRootBytes);
    if (bytes.status().code() == Code::not_found && version > 1) break;
    if (bytes.status().code() == Code::corrupt && version > 1) {
      envelopes.emplace_back();  // too long to be a root: a problem at this version, no failure
      break;
    }
    if (!bytes.ok()) return bytes.status();
    envelopes.push_back(std::move(bytes).value());
  }
  Result<RootChain> chain = RootChain::verify(envelopes, spec_.pin, least_version);
  if (!chain.ok()) return chain.status().with_context("authority " + spec_.path);
  return chain;
}

Result<std::vector<Found>> AuthorityDirectory::read_folder(std::string_view folder, uint64_t cap,
                                                           std::vector<Refused>& refused) const {
  const std::string path = join_path(spec_.path, folder);
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.list(path));
  std::vector<Found> found;
  for (const std::string& name : names) {
    if (!is_json_file(name)) continue;
    Result<std::string> bytes = files_.read(join_path(path, name), cap);
    const std::string place = join_path(folder, name);
    if (bytes.ok()) {
      found.push_back({place, std::move(bytes).value()});
    } else if (bytes.status().code() == Code::corrupt) {
      refused.push_back({place, bytes.status()});
    } else if (bytes.status().code() != Code::not_found) {  // gone since it was listed
      return bytes.status();
    }
  }
  return found;
}

Result<std::vector<Found>> AuthorityDirectory::read_orders(std::vector<Refused>& refused) const {
  return read_folder("orders", kMaxOrderBytes, refused);
}

Result<std::vector<Found>> AuthorityDirectory::read_leases(std::vector<Refused>& refused) const {
  if (!files_.exists(leases_path())) return std::vector<Found>();
  return read_folder("leases", kMaxLeaseBytes, refused);
}

Result<std::vector<Receipt>> AuthorityDirectory::read_receipts() const {
  std::vector<Receipt> receipts;
  if (!files_.exists(receipts_path())) return receipts;
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.list(receipts_path()));
  for (const std::string& name : names) {
    if (!is_json_file(name)) continue;
    const Result<std::string> bytes =
        files_.read(join_path(receipts_path(), name), kMaxReceiptBytes);
    if (!bytes.ok()) continue;
    Result<Receipt> receipt = parse_receipt(*bytes);
    if (receipt.ok()) receipts.push_back(std::move(receipt).value());
  }
  return receipts;
}

Result<std::vector<Receipt>> AuthorityDirectory::read_receipts(const sign::Digest& order) const {
  ACCOUNT_ASSIGN_OR_RETURN(std::vector<Receipt> receipts, read_receipts());
  std::erase_if(receipts, [&](const Receipt& receipt) { return receipt.order != order; });
  return receipts;
}

Status AuthorityDirectory::publish_root(std::string_view envelope) const {
  std::vector<std::string> envelopes;
  if (files_.exists(root_path(1))) {
    ACCOUNT_ASSIGN_OR_RETURN(const RootChain chain, read_roots());
    if (!chain.problems().empty()) return chain.problems().front();
    for (int64_t version = 1; version <= chain.newest().version; ++version) {
      ACCOUNT_ASSIGN_OR_RETURN(std::string bytes, files_.read(root_path(version), kMaxRootBytes));
      envelopes.push_back(std::move(bytes));
    }
  }
  envelopes.emplace_back(envelope);
  ACCOUNT_ASSIGN_OR_RETURN(const RootChain chain, RootChain::verify(envelopes, spec_.pin));
  if (!chain.problems().empty()) return chain.problems().front();
  ACCOUNT_RETURN_IF_ERROR(files_.make_directories(orders_path(), kFolder));
  return files_.publish(root_path(chain.newest().version), envelope, kPublic);
}

Result<Verified> AuthorityDirectory::publish_order(const sign::Envelope& envelope) const {
  const std::string bytes = order_file(envelope);
  ACCOUNT_ASSIGN_OR_RETURN(const RootChain chain, read_roots());
  ACCOUNT_ASSIGN_OR_RETURN(Verified verified, verify_order(bytes, chain));
  ACCOUNT_RETURN_IF_ERROR(files_.make_directories(orders_path(), kFolder));
  const std::string name = verified.order.hash_hex() + ".json";
  ACCOUNT_RETURN_IF_ERROR(files_.publish(join_path(orders_path(), name), bytes, kPublic));
  return verified;
}

Result<VerifiedLease> AuthorityDirectory::publish_lease(const sign::Envelope& envelope) const {
  const std::string bytes = order_file(envelope);
  ACCOUNT_ASSIGN_OR_RETURN(const RootChain chain, read_roots());
  ACCOUNT_ASSIGN_OR_RETURN(VerifiedLease verified, verify_lease({"", bytes}, chain));
  ACCOUNT_RETURN_IF_ERROR(files_.make_directories(leases_path(), kFolder));
  const std::string name = verified.lease.hash_hex() + ".json";
  ACCOUNT_RETURN_IF_ERROR(files_.publish(join_path(leases_path(), name), bytes, kPublic));
  clear_leases_before(verified, chain);
  return verified;
}

// What cannot be taken away hinders nobody: the newest counts.
void AuthorityDirectory::clear_leases_before(const VerifiedLease& newest,
                                             const RootChain& chain) const {
  std::vector<Refused> refused;
  const auto found = read_leases(refused);
  if (!found.ok()) return;
  std::vector<std::pair<int64_t, std::string>> before;  // number, place
  for (const Found& one : *found) {
    const auto lease = verify_lease(one, chain);
    const bool is_before = lease.ok() && lease->lease.number < newest.lease.number &&
                           to_string(lease->lease.scope) == to_string(newest.lease.scope);
    if (is_before) before.emplace_back(lease->lease.number, one.place);
  }
  if (before.empty()) return;
  before.erase(std::max_element(before.begin(), before.end()));
  for (const auto& [number, place] : before) {
    (void)files_.remove(join_path(spec_.path, place)).ok();
  }
}

Status AuthorityDirectory::put_receipt(const Receipt& receipt) const {
  ACCOUNT_RETURN_IF_ERROR(check_name(receipt.run, "a run"));
  ACCOUNT_RETURN_IF_ERROR(check_name(receipt.node, "a node"));
  const std::string name =
      fmt::format("{}.{}.{}.json", sign::to_hex(receipt.order), receipt.run, receipt.node);
  return files_.publish(join_path(receipts_path(), name), write_receipt(receipt), kPublic);
}

std::vector<Trace> traces_of(const std::vector<Receipt>& receipts) {
  std::vector<Trace> traces;
  traces.reserve(receipts.size());
  for (const Receipt& receipt : receipts) {
    traces.push_back({receipt.order, receipt.authority,
                      fmt::format("receipt of run {}, node {}", receipt.run, receipt.node),
                      receipt.job, Trace::Kind::receipt});
  }
  return traces;
}

}  // namespace account::order
