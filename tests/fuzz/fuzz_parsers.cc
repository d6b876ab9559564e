// One libFuzzer program for all parsers: ACCOUNT_PARSER names the one that it feeds, "list" prints
// their names. run.py gives each its corpus and its time.
//
// Besides not crashing: what a parser accepts and can write again, it must read back the same.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/json.h"
#include "count/transcript.h"
#include "gate/locked.h"
#include "gate/recovery.h"
#include "keeper/job_totals.h"
#include "keeper/limits.h"
#include "keeper/live_status.h"
#include "keeper/mail_frame.h"
#include "ledger/endorsement.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "order/authority.h"
#include "order/lease.h"
#include "order/order.h"
#include "order/root.h"
#include "policy/devices.h"
#include "policy/policy.h"
#include "policy/prices.h"
#include "policy/usage.h"
#include "record/record.h"
#include "record/safetensors.h"
#include "record/sidecar.h"
#include "run/configuration.h"
#include "sign/sign.h"
#include "support/crash_disk.h"
#include "tally/tally.h"

namespace account {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

constexpr uint64_t kCap = 1 << 20;

void json(std::string_view bytes) {
  const auto value = Json::parse(bytes, kCap);
  if (!value.ok()) return;
  const std::string written = value->dump();
  const auto again = Json::parse(written, kCap);
  require(again.ok() && again->dump() == written, "JSON reads back as it was written");
}

void envelope(std::string_view bytes) {
  const auto read = sign::parse_envelope(bytes, kCap);
  if (!read.ok()) return;
  const auto again = sign::parse_envelope(sign::write_envelope(*read), kCap);
  require(again.ok() && again->payload == read->payload, "an envelope reads back");
}

void order(std::string_view bytes) {
  const auto read = order::parse_order(bytes);
  if (!read.ok()) return;
  const auto written = order::write_order(*read);
  if (!written.ok()) return;  // a stop may say what nobody would write
  const auto again = order::parse_order(*written);
  require(again.ok() && again->action == read->action, "an order reads back");
}

void root(std::string_view bytes) {
  const auto read = order::parse_root(bytes);
  if (!read.ok()) return;
  const auto written = order::write_root(*read);
  require(written.ok() && order::parse_root(*written).ok(), "a root reads back");
  (void)order::root_warnings(*read);
}

void lease(std::string_view bytes) {
  const auto read = order::parse_lease(bytes);
  if (!read.ok()) return;
  const auto written = order::write_lease(*read);
  require(written.ok() && order::parse_lease(*written).ok(), "a lease reads back");
}

void receipt(std::string_view bytes) { (void)order::parse_receipt(bytes).ok(); }
void authority_spec(std::string_view bytes) { (void)order::parse_authority_spec(bytes).ok(); }

void public_key(std::string_view bytes) {
  const auto read = sign::parse_public_key_file(bytes);
  if (!read.ok()) return;
  const auto again = sign::parse_public_key_file(sign::public_key_file(*read));
  require(again.ok() && again->key == read->key, "a public key reads back");
}
void secret_key(std::string_view bytes) { (void)sign::parse_secret_key_file(bytes).ok(); }
void protected_key(std::string_view bytes) { (void)sign::parse_protected_key_file(bytes).ok(); }

void checkpoint(std::string_view bytes) { (void)sign::parse_checkpoint(bytes).ok(); }
void cosigned(std::string_view bytes) { (void)sign::parse_cosigned(bytes).ok(); }

void run_file(std::string_view bytes) { (void)ledger::parse_run_file(bytes).ok(); }
void endorsement(std::string_view bytes) { (void)ledger::parse_endorsement(bytes).ok(); }
void sidecar(std::string_view bytes) { (void)record::parse_sidecar(bytes).ok(); }
void record(std::string_view bytes) { (void)record::parse_record(bytes).ok(); }
void policy(std::string_view bytes) { (void)policy::parse(bytes).ok(); }
void prices(std::string_view bytes) { (void)policy::parse_prices(bytes).ok(); }
void devices(std::string_view bytes) { (void)policy::parse_devices(bytes).ok(); }
void usage(std::string_view bytes) { (void)policy::parse_usage(bytes).ok(); }
void node_total(std::string_view bytes) { (void)keeper::parse_total(bytes).ok(); }
void configuration(std::string_view bytes) {
  (void)parse_configuration(bytes, "/project/account.toml").ok();
}
void live_status(std::string_view bytes) { (void)keeper::parse_live_status(bytes).ok(); }
void acknowledgement(std::string_view bytes) { (void)keeper::parse_acknowledgement(bytes).ok(); }
void recovery(std::string_view bytes) { (void)gate::parse_recovery(bytes).ok(); }

void transcript(std::string_view bytes) {
  uint64_t rows = 0;
  (void)count::recount(bytes, rows).ok();
}

void mail(std::string_view bytes) {
  if (const auto request = keeper::decode_request(bytes); request.ok()) {
    const auto written = keeper::encode(*request);
    require(!written.ok() || keeper::decode_request(*written).ok(), "a request reads back");
  }
  if (const auto reply = keeper::decode_reply(bytes); reply.ok()) {
    const auto written = keeper::encode(*reply);
    require(!written.ok() || keeper::decode_reply(*written).ok(), "a reply reads back");
  }
}

// The whole reader of a run: the bytes are its run.json, up to the first empty line, and the only
// segment of its ledger behind that.
void ledger(std::string_view bytes) {
  const size_t cut = std::min(bytes.find("\n\n"), bytes.size());
  testing::DiskImage image;
  image["/r/"] = "";
  image["/r/node-1f00ba5e/"] = "";
  image["/r/node-1f00ba5e/ledger/"] = "";
  image["/r/node-1f00ba5e/run.json"] =
      std::string(bytes.substr(0, std::min(cut + 1, bytes.size())));
  image["/r/node-1f00ba5e/ledger/000001.jsonl"] =
      std::string(bytes.substr(std::min(cut + 2, bytes.size())));
  testing::CrashDisk disk(std::move(image), false);
  (void)ledger::verify(disk, "/r", std::nullopt, count::recount).ok();
}

// Those that read a file by position.
const std::string& scratch(std::string_view bytes) {
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("account-fuzz-" + std::to_string(::getpid())))
          .string();
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  return path;
}

void locked(std::string_view bytes) {
  const std::string& path = scratch(bytes);
  (void)gate::read_locked_header(path).ok();
  const std::string key(sign::kStreamKeyBytes, 'k');
  (void)gate::read_locked(path, key, [](std::string_view) { return Status(); }).ok();
}

void safetensors(std::string_view bytes) { (void)record::read_safetensors(scratch(bytes)).ok(); }

// A rank's whole page, less what the bytes change: an offset, a length, and as many bytes,
// repeated.
void tally_page(std::string_view bytes) {
  static const std::string whole = [] {
    tally::Identity identity;
    identity.rank = 0;
    const auto page = tally::Page::create({scratch("") + "-pages/1"}, identity);
    const auto read = FileSystem::real().read((*page)->path(), kCap);
    require(read.ok(), "a page can be read");
    std::filesystem::remove_all(scratch("") + "-pages");
    return *read;
  }();
  std::string changed = whole;
  constexpr size_t kHead = 5;
  while (bytes.size() > kHead) {
    uint32_t offset = 0;
    std::memcpy(&offset, bytes.data(), sizeof(offset));
    const size_t length = std::min<size_t>(static_cast<uint8_t>(bytes[4]), bytes.size() - kHead);
    offset %= static_cast<uint32_t>(changed.size() - length);
    std::memcpy(changed.data() + offset, bytes.data() + kHead, length);
    bytes.remove_prefix(kHead + length);
  }
  const auto page = tally::PageView::open(scratch(changed));
  if (page.ok()) (void)(*page)->read();
}

struct Parser {
  const char* name;
  void (*feed)(std::string_view);
};
constexpr Parser kParsers[] = {
    {"json", json},
    {"envelope", envelope},
    {"order", order},
    {"root", root},
    {"lease", lease},
    {"receipt", receipt},
    {"authority_spec", authority_spec},
    {"public_key", public_key},
    {"secret_key", secret_key},
    {"protected_key", protected_key},
    {"checkpoint", checkpoint},
    {"cosigned", cosigned},
    {"run_file", run_file},
    {"ledger", ledger},
    {"endorsement", endorsement},
    {"transcript", transcript},
    {"sidecar", sidecar},
    {"record", record},
    {"safetensors", safetensors},
    {"policy", policy},
    {"prices", prices},
    {"devices", devices},
    {"usage", usage},
    {"node_total", node_total},
    {"live_status", live_status},
    {"configuration", configuration},
    {"acknowledgement", acknowledgement},
    {"mail", mail},
    {"recovery", recovery},
    {"locked", locked},
    {"tally_page", tally_page},
};

void (*chosen)(std::string_view) = nullptr;

}  // namespace
}  // namespace account

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("ACCOUNT_PARSER");
  for (const account::Parser& parser : account::kParsers) {
    if (name != nullptr && std::string_view(name) == parser.name) account::chosen = parser.feed;
    if (name != nullptr && std::string_view(name) == "list") std::puts(parser.name);
  }
  if (account::chosen == nullptr)
    std::exit(name != nullptr && std::string_view(name) == "list" ? 0 : 1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  account::chosen({reinterpret_cast<const char*>(data), size});
  return 0;
}
