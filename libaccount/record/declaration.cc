// Declarations as files.
#include "record/declaration.h"

#include <fmt/format.h>

#include "ledger/format.h"
#include "record/fields.h"
#include "sign/self_signed.h"

namespace account::record {
namespace {

constexpr sign::StatementKind kKind = {"application/vnd.account.declaration.v1+json",
                                       "account-declaration/1", uint64_t{64} << 10};

std::string file_name(std::string_view id) { return std::string(short_id(id)) + ".json"; }

Result<Declaration> parse(std::string_view bytes, std::string_view name, std::string_view run) {
  ACCOUNT_ASSIGN_OR_RETURN(const sign::SelfSigned statement, sign::parse_self_signed(bytes, kKind));
  const Json& json = statement.json;
  // Under a second name it would count twice.
  if (file_name(statement.id) != name) {
    return Status(Code::corrupt, "the file is not named by its payload");
  }
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "run", "claim", "made_unix_ns", "signer", "public"}));
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
  const Json said = Json::object({{"run", declaration.run},
                                  {"claim", claim_json(declaration.claim)},
                                  {"made_unix_ns", ledger::time_json(declaration.made_unix_ns)},
                                  {"signer", declaration.signer}});
  const auto [bytes, id] = sign::write_self_signed(said, kKind, key);
  const std::string folder = join_path(run_folder, kDeclarationFolder);
  std::string path = join_path(folder, file_name(id));
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder, kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files.write_atomically(path, bytes, kFileMode));
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
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files.read(path, kKind.cap_bytes));
    auto parsed = parse(bytes, name, run);
    if (!parsed.ok()) return parsed.status().with_context(path);
    found.push_back(std::move(parsed).value());
  }
  return found;
}

}  // namespace account::record
