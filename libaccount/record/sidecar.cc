// Sidecars as bytes.
#include "record/sidecar.h"

#include <fmt/format.h>

#include "ledger/format.h"

namespace account::record {
namespace {

constexpr std::string_view kFormat = "account-sidecar/1";
constexpr size_t kRootDigits = 64;

}  // namespace

bool is_save(std::string_view text) { return ledger::check_node(text).ok(); }  // of the same form

std::string sidecar_path(std::string_view checkpoint) {
  while (checkpoint.size() > 1 && checkpoint.ends_with('/')) checkpoint.remove_suffix(1);
  return std::string(checkpoint) + std::string(kSidecarSuffix);
}

Json to_json(const Sidecar& sidecar) {
  return Json::object({{"run", sidecar.run},
                       {"node", sidecar.cut.node},
                       {"size", sidecar.cut.size},
                       {"root", sidecar.cut.root},
                       {"name", sidecar.cut.name},
                       {"step", sidecar.cut.step},
                       {"save", sidecar.save}});
}

Result<Sidecar> sidecar_from_json(const Json& json) {
  Sidecar sidecar;
  ACCOUNT_ASSIGN_OR_RETURN(sidecar.run, json.get_string("run"));
  ACCOUNT_ASSIGN_OR_RETURN(sidecar.cut.node, json.get_string("node"));
  for (const Status& name :
       {ledger::check_run_id(sidecar.run), ledger::check_node(sidecar.cut.node)}) {
    if (!name.ok()) return Status(Code::corrupt, std::string(name.fault()));
  }
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t size, json.get_integer("size"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t step, json.get_integer("step"));
  ACCOUNT_ASSIGN_OR_RETURN(sidecar.cut.root, json.get_string("root"));
  if (size < 1 || step < 0 || sidecar.cut.root.size() != kRootDigits) {
    return Status(Code::corrupt, "its head is none");
  }
  sidecar.cut.size = static_cast<uint64_t>(size);
  sidecar.cut.step = static_cast<uint64_t>(step);
  ACCOUNT_ASSIGN_OR_RETURN(sidecar.cut.name, json.get_string("name"));
  ACCOUNT_ASSIGN_OR_RETURN(sidecar.save, json.get_string("save"));
  if (!is_save(sidecar.save)) return Status(Code::corrupt, "its save is not 8 hex digits");
  return sidecar;
}

std::string write_sidecar(const Sidecar& sidecar) {
  Json json = Json::object({{"format", kFormat}});
  const Json body = to_json(sidecar);
  for (const auto& [name, value] : body.members()) json.set(name, value);
  return json.dump() + "\n";
}

Result<Sidecar> parse_sidecar(std::string_view bytes) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(bytes, kSidecarCapBytes));
  ACCOUNT_RETURN_IF_ERROR(
      json.only_members({"format", "run", "node", "size", "root", "name", "step", "save"}));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string format, json.get_string("format"));
  if (format != kFormat) {
    return Status(Code::corrupt, fmt::format("its format is '{}', not '{}'", format, kFormat));
  }
  return sidecar_from_json(json);
}

Result<Sidecar> read_sidecar(FileSystem& files, const std::string& checkpoint) {
  const std::string path = sidecar_path(checkpoint);
  const auto bytes = files.read(path, kSidecarCapBytes);
  if (!bytes.ok() && bytes.status().code() == Code::not_found) {
    return Status(Code::not_found, fmt::format("the checkpoint has no {}", path),
                  "fetch it with the checkpoint; one that was never counted is a parent: "
                  "`account parent declare`");
  }
  if (!bytes.ok()) return bytes.status();
  auto parsed = parse_sidecar(*bytes);
  if (!parsed.ok()) return parsed.status().with_context(path);
  return parsed;
}

}  // namespace account::record
