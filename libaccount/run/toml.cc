// Reading it, one character after the other.
#include "run/toml.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"

namespace account {
namespace {

bool is_word(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '.';
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<std::vector<TomlEntry>> entries() {
    std::vector<TomlEntry> all;
    for (skip_lines(); !at_end(); skip_lines()) {
      TomlEntry entry;
      entry.line = line_;
      entry.key = word();
      if (entry.key.empty() || entry.key.find('.') != std::string::npos) {
        return fault("here is no key that account.toml could have", "write lines of 'key = value'");
      }
      const bool is_twice = std::any_of(all.begin(), all.end(),
                                        [&](const TomlEntry& one) { return one.key == entry.key; });
      if (is_twice) return fault("'" + entry.key + "' stands there twice", "leave one of them");
      skip_blanks();
      if (!take('=')) return fault("behind '" + entry.key + "' is no '='", "write 'key = value'");
      skip_blanks();
      ACCOUNT_RETURN_IF_ERROR(value(entry));
      skip_blanks();
      skip_comment();
      if (!at_end() && !take('\n')) {
        return fault("there is more behind the value of '" + entry.key + "'",
                     "begin the next key on a line of its own");
      }
      all.push_back(std::move(entry));
    }
    return all;
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  char next() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    if (c == '\n') ++line_;
    ++at_;
    return true;
  }

  void skip_blanks() {
    while (next() == ' ' || next() == '\t' || text_.substr(at_, 2) == "\r\n") ++at_;
  }
  void skip_comment() {
    if (next() == '#') at_ = std::min(text_.find('\n', at_), text_.size());
  }
  // All that says nothing, over any number of lines.
  void skip_lines() {
    do {
      skip_blanks();
      skip_comment();
    } while (take('\n'));
  }

  std::string word() {
    const size_t begin = at_;
    while (!at_end() && is_word(text_[at_])) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  Status fault(const std::string& what, const std::string& next_step) const {
    return {Code::invalid_argument, "line " + std::to_string(line_) + ": " + what, next_step};
  }

  Result<std::string> string() {
    const char quote = next();
    const size_t begin = at_++;
    while (!at_end() && next() != quote && next() != '\n') {
      at_ += quote == '"' && next() == '\\' && at_ + 1 < text_.size() ? 2 : 1;
    }
    if (at_end() || next() != quote) return fault("a string has no end", "close it on its line");
    ++at_;
    const std::string_view whole = text_.substr(begin, at_ - begin);
    std::string quoted(whole);
    if (quote == '\'') {  // nothing is escaped there; JSON asks for it
      quoted = "\"";
      for (const char c : whole.substr(1, whole.size() - 2)) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
      }
      quoted += '"';
    }
    // It is read as JSON, which refuses control characters and what is no UTF-8.
    const auto json = Json::parse(quoted, quoted.size());
    if (json.ok()) return json->as_string();
    return fault("a string holds what no string can", "escape it as JSON does, or leave it out");
  }

  Status list(TomlEntry& entry) {
    std::vector<std::string> texts;
    take('[');
    for (skip_lines(); next() == '"' || next() == '\''; skip_lines()) {
      ACCOUNT_ASSIGN_OR_RETURN(std::string text, string());
      texts.push_back(std::move(text));
      skip_lines();
      if (!take(',')) break;
    }
    if (!take(']')) return fault("a list has no end", "write it as [\"a\", \"b\"]");
    entry.value = std::move(texts);
    return {};
  }

  Status value(TomlEntry& entry) {
    if (next() == '[') return list(entry);
    if (next() == '"' || next() == '\'') {
      ACCOUNT_ASSIGN_OR_RETURN(entry.value, string());
      return {};
    }
    const std::string text = word();
    if (text == "true" || text == "false") {
      entry.value = text == "true";
      return {};
    }
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc() || rest != end || !std::isfinite(number)) {
      return fault("'" + entry.key + "' has no value", "put texts and paths between quotes");
    }
    entry.value = number;
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

Result<std::vector<TomlEntry>> parse_toml(std::string_view text) { return Reader(text).entries(); }

}  // namespace account
