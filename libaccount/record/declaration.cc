// Declarations as files.
#include "record/declaration.h"

#include <fmt/format.h>

#include "ledger/format.h"
#include "record/fields.h"

namespace account::record {
namespace {

constexpr std::string_view kType = "application/vnd.account.declaration.v1+json";
constexpr std::string_view kFormat = "account-declaration/1";
constexpr uint64_t kCapBytes = uint64_t{64} << 10;

std::string file_name(std::string_view payload) {
  return std::string(short_id(sign::to_hex(sign::sha256(payload)))) + ".json";
}

Result<Declaration> parse(std::string_view bytes, std::string_view name, std::string_view run) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::Envelope envelope,
                           sign::parse_lone_envelope(bytes, kCapBytes));
  // Under a second name it would count twice.
  if (file_name(envelope.payload) != name) {
    return Status(Code::corrupt, "the file is not named by its payload");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(envelope.payload, kCapBytes));
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "run", "claim", "made_unix_ns", "signer", "public"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string encoded, json.get_string("public"));
  ACCOUNT_ASSIGN_OR_RETURN(const Bytes raw, from_base64(encoded));
  ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key, sign::PublicKey::from_bytes(raw));
  ACCOUNT_RETURN_IF_ERROR(sign::verify_envelope(envelope, kType, {key}, 1).status());
  Declaration declaration;
  ACCOUNT_ASSIGN_OR_RETURN(declaration.run, json.get_string("run"));
  if (declaration.run != run) {
    return Status(Code::corrupt,
                  fmt::format("it is about run '{}', not '{}'", declaration.run, run));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const Json* claim, json.get_object("claim"));
  ACCOUNT_ASSIGN_OR_RETURN(declaration.claim, parse_claim(*claim));
  ACCOUNT_ASSIGN_OR_RETURN(declaration.made_unix_ns, ledger::get_time(json, "made_unix_ns"));
  ACCOUNT_ASSIGN_OR_RETURN(declaration.signer, json.get_string("signer"));
  return declaration;
}

}  // namespace

Result<std::string> declare(FileSystem& files, const std::string& run_folder,
                            const Declaration& declaration, const sign::SecretKey& key) {
  const Json payload = Json::object({{"format", kFormat},
                                     {"run", declaration.run},
                                     {"claim", claim_json(declaration.claim)},
                                     {"made_unix_ns", ledger::time_json(declaration.made_unix_ns)},
                                     {"signer", declaration.signer},
                                     {"public", to_base64(key.public_key().bytes())}});
  sign::Envelope envelope{std::string(kType), payload.dump(), {}};
  sign::add_signature(envelope, key);
  const std::string folder = join_path(run_folder, kDeclarationFolder);
  std::string path = join_path(folder, file_name(envelope.payload));
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder, kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files.write_atomically(path, sign::write_envelope(envelope), kFileMode));
  return path;
}

Result<std::vector<Declaration>> read_declarations(FileSystem& files, const std::string& run_folder,
                                                   std::string_view run) {
  std::vector<Declaration> found;
  const std::string folder = join_path(run_folder, kDeclarationFolder);
  if (!files.exists(folder)) return found;
  ACCOUNT_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.list(folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".json")) continue;  // half of one that was being written
    const std::string path = join_path(folder, name);
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files.read(path, kCapBytes));
    auto parsed = parse(bytes, name, run);
    if (!parsed.ok()) return parsed.status().with_context(path);
    found.push_back(std::move(parsed).value());
  }
  return found;
}

}  // namespace account::record
