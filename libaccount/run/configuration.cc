// Reading account.toml.
#include "run/configuration.h"

#include <algorithm>
#include <array>
#include <cmath>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "base/files.h"
#include "base/words.h"

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

// One text or a list of them, joined by commas as variables are; nothing for another type.
std::optional<std::string> texts_of(const toml::node& node, bool are_paths,
                                    const std::string& file) {
  std::string joined;
  const auto take = [&](const toml::node& item) {
    const auto text = item.value_exact<std::string>();
    if (!text || text->empty() || text->find(',') != std::string::npos) return false;
    if (!joined.empty()) joined += ',';
    joined += are_paths ? resolved(*text, file) : *text;
    return true;
  };
  if (const toml::array* list = node.as_array()) {
    if (!std::all_of(list->begin(), list->end(), take)) return std::nullopt;
    return joined;
  }
  return take(node) ? std::optional(joined) : std::nullopt;
}

std::optional<std::string> value_of(const toml::node& node, Kind kind, const std::string& file) {
  switch (kind) {
    case Kind::text:
      return node.value_exact<std::string>();
    case Kind::path: {
      const auto text = node.value_exact<std::string>();
      return text && !text->empty() ? std::optional(resolved(*text, file)) : std::nullopt;
    }
    case Kind::texts:
      return texts_of(node, false, file);
    case Kind::paths:
      return texts_of(node, true, file);
    case Kind::seconds: {
      const auto number = node.value<double>();
      return number && std::isfinite(*number) ? std::optional(std::to_string(*number))
                                              : std::nullopt;
    }
    case Kind::truth: {
      const auto truth = node.value_exact<bool>();
      return truth ? std::optional<std::string>(*truth ? "1" : "0") : std::nullopt;
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

std::string at(const std::string& path, const toml::source_region& where) {
  return path + ", line " + std::to_string(where.begin.line);
}

// Note: [stray characters] toml++ 3.3 runs into undefined behaviour where a character beyond ASCII
// stands outside of strings and comments (is_unicode_whitespace; found by fuzzing). TOML has none
// there, so that they are refused before it reads. Strings over several lines, which would make
// this harder to tell, no key needs. The offset of what cannot stand there; text.size(): nothing.
size_t first_stray(std::string_view text) {
  char inside = 0;  // the quote of the string, '#' of a comment, or nothing
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      inside = 0;
    } else if (inside == 0) {
      const std::string_view three = text.substr(i, 3);
      const bool is_stray = (static_cast<unsigned char>(c) & 0x80) != 0;
      if (is_stray || three == "\"\"\"" || three == "'''") return i;
      if (c == '"' || c == '\'' || c == '#') inside = c;
    } else if (inside == '"' && c == '\\') {
      ++i;  // whatever is escaped ends no string
    } else if (c == inside && inside != '#') {
      inside = 0;
    }
  }
  return text.size();
}

int strictness(const std::string& setting) {
  return setting == "lock" ? 2 : setting == "stop" ? 1 : 0;
}

}  // namespace

Result<Configuration> parse_configuration(std::string_view text, const std::string& path) {
  if (const size_t stray = first_stray(text); stray < text.size()) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(stray), '\n');
    return Status(Code::invalid_argument,
                  path + ", line " + std::to_string(line) +
                      ": what begins here is no key, no value and no comment",
                  "put it between quotes, on one line");
  }
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return Status(
        Code::invalid_argument,
        at(path, parsed.error().source()) + ": " + std::string(parsed.error().description()),
        "write it as TOML; docs/cli.md has an example");
  }
  Configuration configuration{path, {}};
  for (const auto& [name, node] : parsed.table()) {
    const auto* known =
        std::find_if(kKeys.begin(), kKeys.end(),
                     [&, word = name.str()](const KnownKey& key) { return key.name == word; });
    if (known == kKeys.end()) {
      return Status(Code::invalid_argument,
                    at(path, node.source()) + ": there is no key '" + std::string(name.str()) + "'",
                    "did you mean '" + nearest_word(name.str(), names()) + "'?");
    }
    auto value = value_of(node, known->kind, path);
    if (!value) {
      return Status(
          Code::invalid_argument,
          at(path, node.source()) + ": '" + known->name + "' has a value that it cannot have",
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
