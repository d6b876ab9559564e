// Reading account.toml.
#include "run/configuration.h"

#include <algorithm>
#include <array>

#include "base/files.h"
#include "base/words.h"
#include "run/toml.h"

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

int strictness(const std::string& setting) {
  return setting == "lock" ? 2 : setting == "stop" ? 1 : 0;
}

}  // namespace

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
      return Status(Code::invalid_argument, place + "there is no key '" + entry.key + "'",
                    "did you mean '" + nearest_word(entry.key, names()) + "'?");
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
  if (environment("ACCOUNT").value_or("") == "off") return Configuration();
  const auto named = environment("ACCOUNT_CONFIG");
  const std::string path = absolute_path(named.value_or("account.toml"));
  FileSystem& files = FileSystem::real();
  if (!named && !files.exists(path)) return Configuration();
  auto text = files.read(path, kCapBytes);
  if (!text.ok()) return text.status().with_context("the configuration");
  return parse_configuration(*text, path);
}

Environment configured(Environment environment, Configuration configuration) {
  return [environment = std::move(environment), values = std::move(configuration.values)](
             const char* name) -> std::optional<std::string> {
    const bool asks_file = std::string_view(name) == kConfiguredAuthority;
    const auto entry = values.find(asks_file ? "ACCOUNT_AUTHORITY" : name);
    if (asks_file) {
      return entry == values.end() ? std::nullopt : std::optional(entry->second);
    }
    auto said = environment(name);
    if (entry == values.end()) return said;
    if (!said) return entry->second;
    if (entry->first == "ACCOUNT_LEASE") return entry->second;  // there is only one word for it
    if (entry->first == "ACCOUNT_AUTHORITY") return join_lists(*said, entry->second);
    const bool is_setting = entry->first == "ACCOUNT_SETTING";
    if (is_setting && strictness(entry->second) > strictness(*said)) return entry->second;
    return said;
  };
}

Result<Environment> configured_environment() {
  const Environment environment = process_environment();
  ACCOUNT_ASSIGN_OR_RETURN(Configuration configuration, read_configuration(environment));
  return configured(environment, std::move(configuration));
}

}  // namespace account
