// Locked files, written and read.
#include "gate/locked.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "gate/recovery.h"

namespace account::gate {
namespace {

constexpr std::string_view kMagic = "ACCLOCK1";
constexpr std::string_view kFormat = "account-locked/1", kKeyFormat = "account-locked-key/1";
constexpr size_t kLengthBytes = 4, kMaxHeaderBytes = size_t{64} * 1024;
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kIdBytes = 16;
constexpr uint64_t kMaxKeyFileBytes = 4096;
constexpr int kOwnersMode = 0600;
constexpr int64_t kNanoseconds = 1'000'000'000;

Status fault(std::string what) { return {Code::corrupt, std::move(what)}; }

std::string little_endian(uint32_t number) {
  std::string bytes(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) bytes[i] = static_cast<char>(number >> (8 * i));
  return bytes;
}

std::string header_json(const LockedHeader& header) {
  Json sealed = Json::array();
  for (const LockedHeader::Sealed& one : header.sealed) {
    sealed.push(Json::object({{"key_id", one.key_id}, {"sealed", to_base64(one.bytes)}}));
  }
  return Json::object({{"format", kFormat},
                       {"id", header.id},
                       {"run", header.run},
                       {"order", sign::to_hex(header.order)},
                       {"step", header.step},
                       {"rank", header.rank},
                       {"world_size", header.world_size},
                       {"created", to_iso8601(header.created_unix * kNanoseconds)},
                       {"sealed", std::move(sealed)}})
      .dump();
}

Result<int> small_number(const Json& document, std::string_view name) {
  constexpr int64_t kMost = 1 << 30;
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t number, document.get_integer(name));
  if (number < 0 || number > kMost) return fault(std::string(name) + " is out of range");
  return static_cast<int>(number);
}

Result<LockedHeader> parse_header(std::string_view text) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(text, kMaxHeaderBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
  if (format != kFormat) return fault("format '" + format.substr(0, 40) + "'");
  ACCOUNT_RETURN_IF_ERROR(document.only_members(
      {"format", "id", "run", "order", "step", "rank", "world_size", "created", "sealed"}));
  LockedHeader header;
  ACCOUNT_ASSIGN_OR_RETURN(header.id, document.get_string("id"));
  ACCOUNT_ASSIGN_OR_RETURN(header.run, document.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string order, document.get_string("order"));
  ACCOUNT_ASSIGN_OR_RETURN(header.order, sign::digest_from_hex(order));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t step, document.get_integer("step"));
  if (step < 0) return fault("a step below 0");
  header.step = static_cast<uint64_t>(step);
  ACCOUNT_ASSIGN_OR_RETURN(header.rank, small_number(document, "rank"));
  ACCOUNT_ASSIGN_OR_RETURN(header.world_size, small_number(document, "world_size"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string created, document.get_string("created"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t created_ns, unix_ns_from_iso8601(created));
  header.created_unix = created_ns / kNanoseconds;
  ACCOUNT_ASSIGN_OR_RETURN(const Json* sealed, document.get_array("sealed"));
  if (sealed->items().empty() || sealed->items().size() > kMaxRecoveryKeys) {
    return fault("it is sealed to no key, or to too many");
  }
  for (const Json& item : sealed->items()) {
    ACCOUNT_RETURN_IF_ERROR(item.only_members({"key_id", "sealed"}));
    LockedHeader::Sealed one;
    ACCOUNT_ASSIGN_OR_RETURN(one.key_id, item.get_string("key_id"));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, item.get_string("sealed"));
    ACCOUNT_ASSIGN_OR_RETURN(one.bytes, from_base64(encoded));
    header.sealed.push_back(std::move(one));
  }
  return header;
}

// Where the stream begins, and what it is bound to.
struct Opened {
  std::unique_ptr<ReadFile> file;
  LockedHeader header;
  std::string bound;  // everything before the stream
};

Result<Opened> open_locked(const std::string& path) {
  Opened opened;
  ACCOUNT_ASSIGN_OR_RETURN(opened.file, open_read(path));
  std::string& bound = opened.bound;
  bound.resize(kMagic.size() + kLengthBytes);
  ACCOUNT_RETURN_IF_ERROR(opened.file->read_at(0, bound.data(), bound.size()));
  if (!bound.starts_with(kMagic)) return fault(path + " is no locked file");
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>(bound[kMagic.size() + i])) << (8 * i);
  }
  if (length > kMaxHeaderBytes) return fault(path + ": its header is too long");
  const size_t begin = bound.size();
  bound.resize(begin + length);
  ACCOUNT_RETURN_IF_ERROR(opened.file->read_at(begin, bound.data() + begin, length));
  auto header = parse_header(std::string_view(bound).substr(begin));
  if (!header.ok()) return header.status().with_context(path);
  opened.header = std::move(header).value();
  return opened;
}

}  // namespace

LockedWriter::LockedWriter(std::string path, std::unique_ptr<AppendFile> file,
                           sign::SealingStream stream, std::string bound)
    : path_(std::move(path)),
      file_(std::move(file)),
      stream_(std::move(stream)),
      bound_(std::move(bound)) {}

Result<LockedWriter> LockedWriter::create(const std::string& path, LockedHeader about,
                                          const std::vector<sign::PublicKey>& recovery) {
  if (recovery.empty()) {
    return Status(Code::invalid_argument, "the authority's root names no recovery key",
                  "account root next --recovery KEY.pub");
  }
  std::string key = random_bytes(sign::kStreamKeyBytes);
  about.id = to_hex(random_bytes(kIdBytes));
  about.created_unix = Clock::real().unix_ns() / kNanoseconds;
  for (const sign::PublicKey& one : recovery) {
    about.sealed.push_back({one.id(), sign::seal_to(one, key)});
  }
  const std::string json = header_json(about);
  std::string bound(kMagic);
  bound += little_endian(static_cast<uint32_t>(json.size())) + json;
  FileSystem& files = FileSystem::real();
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder_of(path), 0755));
  const std::string partial = path + std::string(kPartialSuffix);
  if (files.exists(partial)) ACCOUNT_RETURN_IF_ERROR(files.remove(partial));  // of a rank that died
  ACCOUNT_ASSIGN_OR_RETURN(auto file, files.open_append(partial));
  LockedWriter writer(path, std::move(file), sign::SealingStream(key), bound);
  sign::wipe(key);
  ACCOUNT_RETURN_IF_ERROR(writer.put(bound));
  ACCOUNT_RETURN_IF_ERROR(writer.put(writer.stream_.header()));
  return writer;
}

Status LockedWriter::put(std::string_view bytes) {
  ACCOUNT_RETURN_IF_ERROR(file_->append(bytes));
  digest_.update(bytes);
  written_ += bytes.size();
  return {};
}

Status LockedWriter::put_piece(bool last) {
  const std::string sealed = stream_.seal(piece_, bound_, last);
  bound_.clear();
  sign::wipe(piece_);
  piece_.clear();
  return put(sealed);
}

Status LockedWriter::write(std::string_view bytes) {
  while (!bytes.empty()) {
    // A full piece waits until there is more: the last one must be known as such.
    if (piece_.size() == kPieceBytes) ACCOUNT_RETURN_IF_ERROR(put_piece(false));
    const size_t taken = std::min(bytes.size(), kPieceBytes - piece_.size());
    piece_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
  }
  return {};
}

Status LockedWriter::commit() {
  ACCOUNT_RETURN_IF_ERROR(put_piece(true));
  ACCOUNT_RETURN_IF_ERROR(file_->sync());
  file_.reset();
  return put_in_place(path_ + std::string(kPartialSuffix), path_);
}

Result<LockedHeader> read_locked_header(const std::string& path) {
  ACCOUNT_ASSIGN_OR_RETURN(Opened opened, open_locked(path));
  return std::move(opened.header);
}

Result<std::string> unseal_key(const LockedHeader& header, const sign::SecretKey& recovery) {
  for (const LockedHeader::Sealed& one : header.sealed) {
    if (one.key_id != recovery.public_key().id()) continue;
    ACCOUNT_ASSIGN_OR_RETURN(std::string key, sign::open_sealed(recovery, one.bytes));
    if (key.size() == sign::kStreamKeyBytes) return key;
    return fault("a data key is 32 bytes");
  }
  return Status(
      Code::unverified,
      "it is not sealed to key " + std::string(sign::short_id(recovery.public_key().id())),
      "use one of the recovery keys that the root named when it was written");
}

Status write_opened_key(const std::string& path, const LockedHeader& header, std::string_view key) {
  std::string text =
      Json::object({{"format", kKeyFormat}, {"id", header.id}, {"key", to_base64(key)}}).dump() +
      "\n";
  const Status written =
      FileSystem::real().write_atomically(path + std::string(kKeySuffix), text, kOwnersMode);
  sign::wipe(text);
  return written;
}

Result<std::string> read_opened_key(const std::string& path, const LockedHeader& header) {
  const std::string file = path + std::string(kKeySuffix);
  if (!FileSystem::real().exists(file)) {
    return Status(Code::unavailable, path + " is locked",
                  "whoever holds a recovery key opens it: account order unlock " + folder_of(path) +
                      " --recovery KEY.key");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text, FileSystem::real().read(file, kMaxKeyFileBytes));
  const auto key = [&]() -> Result<std::string> {
    ACCOUNT_ASSIGN_OR_RETURN(const Json document, Json::parse(text, kMaxKeyFileBytes));
    ACCOUNT_RETURN_IF_ERROR(document.only_members({"format", "id", "key"}));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string format, document.get_string("format"));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string id, document.get_string("id"));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, document.get_string("key"));
    ACCOUNT_ASSIGN_OR_RETURN(std::string bytes, from_base64(encoded));
    if (format != kKeyFormat || bytes.size() != sign::kStreamKeyBytes) return fault("no data key");
    if (id != header.id) return fault("the data key of another file");
    return bytes;
  }();
  return key.ok() ? key : Result<std::string>(key.status().with_context(file));
}

Status read_locked(const std::string& path, std::string_view key, const Sink& sink) {
  ACCOUNT_ASSIGN_OR_RETURN(const Opened opened, open_locked(path));
  uint64_t at = opened.bound.size();
  const uint64_t end = opened.file->size();
  std::string start(sign::kStreamHeaderBytes, '\0');
  ACCOUNT_RETURN_IF_ERROR(opened.file->read_at(at, start.data(), start.size()));
  at += start.size();
  sign::OpeningStream stream(key, start);
  std::string bound = opened.bound, sealed;
  while (true) {
    sealed.resize(std::min<uint64_t>(kPieceBytes + sign::kStreamOverhead, end - at));
    ACCOUNT_RETURN_IF_ERROR(opened.file->read_at(at, sealed.data(), sealed.size()));
    at += sealed.size();
    auto piece = stream.open(sealed, bound);
    if (!piece.ok()) return piece.status().with_context(path);
    bound.clear();
    const Status taken = sink(piece->bytes);
    sign::wipe(piece->bytes);
    ACCOUNT_RETURN_IF_ERROR(taken);
    if (piece->last != (at == end)) return fault(path + " is cut short, or something follows it");
    if (piece->last) return {};
  }
}

}  // namespace account::gate
