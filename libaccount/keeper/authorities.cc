// Reading authorities.
#include "keeper/authorities.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "base/random.h"

namespace account::keeper {
namespace {

constexpr int64_t kPollNs = 1'000'000'000;
constexpr int64_t kJitterNs = 250'000'000;  // so that many nodes do not ask one server together
// What makes an order visible: a rename into place, a link swap, a file that was closed.
constexpr uint32_t kChanges = IN_MOVED_TO | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE;

int64_t jitter() {
  const std::string bytes = random_bytes(2);
  const auto value =
      static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
  return kJitterNs * value / 0xffff;
}

}  // namespace

Result<Authorities> Authorities::open(FileSystem& files, const std::vector<std::string>& specs,
                                      const std::map<std::string, std::string>& pins) {
  Authorities authorities;
  authorities.notify_ = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  for (const std::string& text : specs) {
    ACCOUNT_ASSIGN_OR_RETURN(order::AuthoritySpec spec, order::parse_authority_spec(text));
    // As it is pinned, and as an officer finds it from elsewhere.
    spec.path = std::filesystem::absolute(spec.path).string();
    if (const auto pinned = pins.find(spec.path); pinned != pins.end()) {
      if (spec.pin.empty()) spec.pin = pinned->second;
      if (spec.pin != pinned->second) {
        return Status(Code::unverified,
                      "authority " + spec.path + " is pinned by this run's ledger to root " +
                          pinned->second.substr(0, 16) + ", not to " + spec.pin.substr(0, 16),
                      "only a rotation signed by that root replaces it");
      }
    }
    const std::string path = spec.path;
    order::AuthorityDirectory directory(files, std::move(spec));
    auto chain = directory.read_roots();
    if (!chain.ok()) return chain.status().with_context("authority " + path);
    auto found = directory.read_orders(authorities.refused_);
    if (!found.ok()) return found.status().with_context("authority " + path);
    auto receipts = directory.read_receipts();
    if (authorities.notify_ >= 0) {
      inotify_add_watch(authorities.notify_, directory.orders_path().c_str(), kChanges);
      inotify_add_watch(authorities.notify_, path.c_str(), kChanges);
    }
    authorities.all_.push_back(
        {std::move(directory),
         {std::move(chain).value(), std::move(found).value(), {}},
         receipts.ok() ? std::move(receipts).value() : std::vector<order::Receipt>()});
  }
  return authorities;
}

Authorities::Authorities(Authorities&& other) noexcept
    : all_(std::move(other.all_)),
      refused_(std::move(other.refused_)),
      problems_(std::move(other.problems_)),
      notify_(std::exchange(other.notify_, -1)),
      next_ns_(other.next_ns_) {}

Authorities::~Authorities() {
  if (notify_ >= 0) ::close(notify_);
}

bool Authorities::due(int64_t monotonic_ns) {
  bool changed = false;
  char buffer[4096];
  while (notify_ >= 0 && ::read(notify_, buffer, sizeof(buffer)) > 0) changed = true;
  if (!changed && monotonic_ns < next_ns_) return false;
  next_ns_ = monotonic_ns + kPollNs + jitter();
  return true;
}

void Authorities::read() {
  refused_.clear();
  problems_.clear();
  for (One& one : all_) {
    const auto seen = static_cast<int64_t>(one.orders.chain.roots().size());
    auto chain = one.directory.read_roots(seen);
    if (chain.ok() && chain->pin() != one.orders.chain.pin()) {
      chain = Status(Code::unverified, "the first root was replaced",
                     "only a rotation signed by the root before replaces it");
    }
    if (chain.ok()) {
      one.orders.chain = std::move(chain).value();
    } else {
      problems_.push_back(chain.status().with_context("authority " + one.directory.path()));
    }
    auto found = one.directory.read_orders(refused_);
    if (found.ok()) {
      one.orders.found = std::move(found).value();
    } else {
      problems_.push_back(found.status().with_context("authority " + one.directory.path()));
    }
  }
}

Status Authorities::put_receipt(const order::Receipt& receipt) const {
  for (const One& one : all_) {
    if (one.orders.chain.pin() == receipt.authority) return one.directory.put_receipt(receipt);
  }
  return {Code::not_found, "no authority with the pin " + receipt.authority.substr(0, 16)};
}

}  // namespace account::keeper
