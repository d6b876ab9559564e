// Reading account.toml.
#include "run/configuration.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "base/rights.h"
#include "base/words.h"
#include "run/toml.h"
#include "run/uncounted.h"

namespace account {
namespace {

constexpr uint64_t kCapBytes = uint64_t{1} << 20;

enum class Kind { text, path, texts, paths, seconds, truth };

struct KnownKey {
  const char* name;
  const char* variable;
  Kind kind;
};
constexpr std::array kKeys = {
    KnownKey{"authority", "ACCOUNT_AUTHORITY", Kind::paths},
    KnownKey{"cluster", "ACCOUNT_CLUSTER", Kind::text},
    KnownKey{"customer", "ACCOUNT_CUSTOMER", Kind::text},
    KnownKey{"developer", "ACCOUNT_DEVELOPER", Kind::text},
    KnownKey{"dir", "ACCOUNT_DIR", Kind::path},
    KnownKey{"exchange", "ACCOUNT_EXCHANGE", Kind::path},
    KnownKey{"lease", "ACCOUNT_LEASE", Kind::text},
    KnownKey{"metrics", "ACCOUNT_METRICS", Kind::path},
    KnownKey{"model", "ACCOUNT_MODEL", Kind::text},
    KnownKey{"node", "ACCOUNT_NODE", Kind::text},
    KnownKey{"parents", "ACCOUNT_PARENTS", Kind::paths},
    KnownKey{"policies", "ACCOUNT_POLICIES", Kind::texts},
    KnownKey{"quiet", "ACCOUNT_QUIET", Kind::truth},
    KnownKey{"require", "ACCOUNT_REQUIRE", Kind::text},
    KnownKey{"resume", "ACCOUNT_RESUME", Kind::path},
    KnownKey{"run", "ACCOUNT_RUN", Kind::text},
    KnownKey{"seal_seconds", "ACCOUNT_SEAL_SECONDS", Kind::seconds},
    KnownKey{"setting", "ACCOUNT_SETTING", Kind::text},
};

// Relative to the file's folder.
std::string resolved(const std::string& word, const std::string& file) {
  return word.starts_with('/') ? word : join_path(folder_of(file), word);
}

// A list, or one text, joined by commas as variables are. Nothing where one could not be told from
// two.
std::optional<std::string> joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    if (text.empty() || text.find(',') != std::string::npos) return std::nullopt;
    all += (all.empty() ? "" : ",") + text;
  }
  return all;
}

std::optional<std::string> value_of(const TomlEntry& entry, Kind kind, const std::string& file) {
  const auto* text = std::get_if<std::string>(&entry.value);
  switch (kind) {
    case Kind::text:
      return text == nullptr ? std::nullopt : std::optional(*text);
    case Kind::path:
      return text == nullptr || text->empty() ? std::nullopt : std::optional(resolved(*text, file));
    case Kind::texts:
    case Kind::paths: {
      const auto* list = std::get_if<std::vector<std::string>>(&entry.value);
      if (text == nullptr && list == nullptr) return std::nullopt;
      std::vector<std::string> texts = list == nullptr ? std::vector{*text} : *list;
      for (std::string& one : texts) {
        if (kind == Kind::paths && !one.empty()) one = resolved(one, file);
      }
      return joined(texts);
    }
    case Kind::seconds: {
      const auto* number = std::get_if<double>(&entry.value);
      return number == nullptr ? std::nullopt : std::optional(std::to_string(*number));
    }
    case Kind::truth: {
      const auto* truth = std::get_if<bool>(&entry.value);
      return truth == nullptr ? std::nullopt : std::optional<std::string>(*truth ? "1" : "0");
    }
  }
  return std::nullopt;
}

std::string_view describe(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "a text in quotes";
    case Kind::path:
      return "a path in quotes";
    case Kind::texts:
      return "a text, or a list of texts, without commas in them";
    case Kind::paths:
      return "a path, or a list of paths, without commas in them";
    case Kind::seconds:
      return "a number of seconds";
    case Kind::truth:
      return "true or false";
  }
  return "";
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const KnownKey& key : kKeys) all.emplace_back(key.name);
  return all;
}

bool is_off(const Environment& environment) { return environment("ACCOUNT").value_or("") == "off"; }

// What a node asks of jobs, beside what it only proposes.
bool asks(const Configuration& node) {
  const auto says = [&](const char* variable) { return node.values.count(variable) != 0; };
  const auto setting = node.values.find("ACCOUNT_SETTING");
  return says("ACCOUNT_AUTHORITY") || says("ACCOUNT_LEASE") || says("ACCOUNT_REQUIRE") ||
         (setting != node.values.end() && strictness(setting->second) > 0);
}

}  // namespace

int strictness(const std::string& setting) {
  constexpr std::array kSettings = {"count", "stop", "lock"};
  const auto found = std::find(kSettings.begin(), kSettings.end(), setting);
  return static_cast<int>(found - kSettings.begin());
}

Result<Configuration> parse_configuration(std::string_view text, const std::string& path) {
  const auto entries = parse_toml(text);
  if (!entries.ok()) {
    return Status(Code::invalid_argument, path + ", " + std::string(entries.status().fault()),
                  std::string(entries.status().next_step()));
  }
  Configuration configuration{path, {}};
  for (const TomlEntry& entry : *entries) {
    const std::string place = path + ", line " + std::to_string(entry.line) + ": ";
    const auto* known = std::find_if(kKeys.begin(), kKeys.end(),
                                     [&](const KnownKey& key) { return key.name == entry.key; });
    if (known == kKeys.end()) {
      const auto meant = nearest_word(entry.key, names());
      return Status(Code::invalid_argument, place + "there is no key '" + entry.key + "'",
                    meant ? "did you mean '" + *meant + "'?"
                          : "docs/cli.md, account.toml, lists all; take it out");
    }
    auto value = value_of(entry, known->kind, path);
    if (!value) {
      return Status(Code::invalid_argument,
                    place + "'" + known->name + "' has a value that it cannot have",
                    "give " + std::string(describe(known->kind)));
    }
    if (!value->empty()) configuration.values[known->variable] = std::move(*value);
  }
  return configuration;
}

Result<Configuration> read_configuration(const Environment& environment) {
  if (is_off(environment)) return Configuration();
  const auto named = environment("ACCOUNT_CONFIG");
  const std::string path = absolute_path(named.value_or("account.toml"));
  FileSystem& files = FileSystem::real();
  if (!named && !files.exists(path)) return Configuration();
  auto text = files.read(path, kCapBytes);
  if (!text.ok()) return text.status().with_context("the configuration");
  return parse_configuration(*text, path);
}

Result<Configuration> read_node_configuration(const std::string& path, uid_t also) {
  const auto status = [&]() -> Result<Configuration> {
    struct stat facts{};
    if (lstat(path.c_str(), &facts) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return Configuration();
      return Status(Code::io, "cannot look at " + path + ": " + std::strerror(errno),
                    "let every user read it (chmod a+rX)");
    }
    ACCOUNT_RETURN_IF_ERROR(only_root_writes(path, also));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string text, FileSystem::real().read(path, kCapBytes));
    return parse_configuration(text, path);
  }();
  if (!status.ok()) return status.status().with_context("the node's configuration");
  return status;
}

Environment configured(Environment environment, Configuration configuration) {
  return [environment = std::move(environment), values = std::move(configuration.values)](
             const char* name) -> std::optional<std::string> {
    const bool asks_file = std::string_view(name) == kConfiguredAuthority;
    const auto entry = values.find(asks_file ? "ACCOUNT_AUTHORITY" : name);
    auto said = environment(name);
    if (entry == values.end()) return said;
    if (!said) return entry->second;
    // There is only one word for these.
    if (entry->first == "ACCOUNT_LEASE" || entry->first == "ACCOUNT_REQUIRE") return entry->second;
    if (entry->first == "ACCOUNT_AUTHORITY") return join_lists(*said, entry->second);
    const bool is_setting = entry->first == "ACCOUNT_SETTING";
    if (is_setting && strictness(entry->second) > strictness(*said)) return entry->second;
    return said;
  };
}

Status may_be_off(const Environment& environment, const Configuration& node) {
  if (!is_off(environment)) return {};
  const std::string next = "unset ACCOUNT";
  if (asks(node)) {
    return {
        Code::invalid_argument,
        "ACCOUNT=off is not for jobs of this node: " + node.path + " names what each has to obey",
        next};
  }
  if (environment("ACCOUNT_REQUIRE")) {
    return {Code::invalid_argument, "ACCOUNT=off counts nothing, and ACCOUNT_REQUIRE asks for it",
            next};
  }
  return {};
}

Result<Environment> configured_environment() {
  const Environment environment = process_environment();
  ACCOUNT_ASSIGN_OR_RETURN(Configuration node, read_node_configuration());
  ACCOUNT_RETURN_IF_ERROR(may_be_off(environment, node));
  ACCOUNT_ASSIGN_OR_RETURN(Configuration project, read_configuration(environment));
  return configured(configured(environment, std::move(project)), std::move(node));
}

Status may_go_uncounted() {
  const Environment own = process_environment();
  ACCOUNT_ASSIGN_OR_RETURN(const Configuration node, read_node_configuration());
  const std::string next = "mend what keeps it from counting: account doctor";
  if (asks(node)) {
    return {Code::unavailable, node.path + " names what each job here has to obey", next};
  }
  // A project's file that cannot be used breaks nobody's training.
  auto project = read_configuration(own);
  const Environment environment = project.ok() ? configured(own, std::move(project).value()) : own;
  for (const char* name : {"ACCOUNT_AUTHORITY", "ACCOUNT_REQUIRE"}) {
    if (environment(name)) {
      return {Code::unavailable, std::string(name) + " asks that this job is counted", next};
    }
  }
  return {};
}

}  // namespace account
