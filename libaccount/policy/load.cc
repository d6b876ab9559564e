// Where policies come from: built in, or a file. Must not know how they are judged.
#include <fmt/format.h>

#include "base/files.h"
#include "policy/built_in.h"
#include "policy/policy.h"

namespace account::policy {

const std::vector<std::string>& built_in_ids() {
  static const std::vector<std::string> ids = [] {
    std::vector<std::string> names;
    for (const BuiltIn& file : built_in_files()) names.emplace_back(file.id);
    return names;
  }();
  return ids;
}

const std::vector<std::string>& default_ids() {
  static const std::vector<std::string> ids{"us-ca-sb1047-enrolled", "eu-aia-51", "us-ca-sb53"};
  return ids;
}

std::string_view built_in_bytes(std::string_view id) {
  for (const BuiltIn& file : built_in_files()) {
    if (file.id == id) return file.bytes;
  }
  return {};
}

Result<std::string> load_bytes(std::string_view id_or_path) {
  if (const std::string_view bytes = built_in_bytes(id_or_path); !bytes.empty()) {
    return std::string(bytes);
  }
  const std::string path(id_or_path);
  FileSystem& files = FileSystem::real();
  if (path.empty() || !files.exists(path)) {
    return Status(Code::not_found, fmt::format("'{}' is no policy", path),
                  fmt::format("give one of {}, or the path of a policy file",
                              fmt::join(built_in_ids(), ", ")));
  }
  return files.read(path, kFileCapBytes);
}

Result<Policy> load(std::string_view id_or_path) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, load_bytes(id_or_path));
  auto policy = parse(bytes);
  if (!policy.ok()) return policy.status().with_context(id_or_path);
  return policy;
}

}  // namespace account::policy
