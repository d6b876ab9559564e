// The part of TOML that account.toml is written in: `key = value` lines and comments, where a value
// is a string, a list of strings, a number, true or false. No tables, dotted or quoted keys, dates,
// or strings over several lines: they are refused by name of file and line.
//
// Note: [no TOML library] Those that Debian 12 has (toml++ 3.3, toml11 3.7) run into undefined
// behaviour on malformed files, as a minute of fuzzing shows; docs/decisions.md. What is between
// double quotes is read as JSON, whose escapes TOML's are but for \U.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "account/status.h"

namespace account {

struct TomlEntry {
  std::string key;
  std::variant<std::string, std::vector<std::string>, double, bool> value;
  int line = 0;
};

// In the order of the text; no key twice. invalid_argument, beginning with "line N: ".
Result<std::vector<TomlEntry>> parse_toml(std::string_view text);

}  // namespace account
