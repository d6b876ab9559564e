// The strict JSON reader (on nlohmann's SAX interface) and the compact writer.
#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

namespace account {
namespace {

constexpr size_t kMaxDepth = 16;
constexpr int64_t kMaxInteger = (int64_t{1} << 53) - 1;  // beyond it doubles are no longer exact

Status bad_member(std::string_view name, std::string_view fault) {
  return {Code::corrupt, fmt::format("member '{}' {}", name, fault)};
}

// Builds a Json from nlohmann's events and stops at the first thing that is not ours.
class Builder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return put(Json()); }
  bool boolean(bool value) override { return put(Json(value)); }
  // Called for numbers with a minus sign only.
  bool number_integer(number_integer_t value) override {
    if (value == 0) return refuse("-0 is no whole number");
    if (value < -kMaxInteger) return refuse("a number is beyond -(2^53 - 1)");
    return put(Json(static_cast<int64_t>(value)));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<uint64_t>(kMaxInteger)) {
      return refuse("a number is beyond 2^53 - 1; larger ones are decimal strings");
    }
    return put(Json(static_cast<int64_t>(value)));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return refuse(fmt::format("{} is no whole number in range", text.substr(0, 40)));
  }
  bool string(string_t& value) override { return put(Json(std::move(value))); }
  bool binary(binary_t&) override { return refuse("binary value"); }
  bool start_object(std::size_t) override { return open(true); }
  bool end_object() override {
    const std::optional<std::string_view> twin = find_twin(stack_.back().members);
    if (twin) {
      const std::string fault = fmt::format("duplicate key '{}'", twin->substr(0, 60));
      stack_.pop_back();  // the fault is the object's, not its last member's
      return refuse(fault);
    }
    return close();
  }
  bool start_array(std::size_t) override { return open(false); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    stack_.back().members.emplace_back(std::move(value), Json());
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    if (fault_.empty()) fault_ = fmt::format("no valid JSON at byte {}", position);
    return false;
  }

  const std::string& fault() const { return fault_; }
  Json take() { return std::move(root_); }

 private:
  // The few names of most objects are compared as they stand; more are sorted, once at the end,
  // since looking each key up as it comes would be quadratic on hostile input.
  static std::optional<std::string_view> find_twin(const std::vector<Json::Member>& members) {
    constexpr size_t kFew = 8;
    if (members.size() <= kFew) {
      for (size_t i = 1; i < members.size(); ++i) {
        for (size_t k = 0; k < i; ++k) {
          if (members[i].first == members[k].first) return members[i].first;
        }
      }
      return std::nullopt;
    }
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const auto& [name, member] : members) names.push_back(name);
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin == names.end()) return std::nullopt;
    return *twin;
  }
  bool refuse(std::string_view fault) {
    fault_ = path().empty() ? std::string(fault) : fmt::format("at {}: {}", path(), fault);
    return false;
  }
  // Where the reader stands, e.g. "rules[2].operations".
  std::string path() const {
    std::string path;
    for (const Frame& frame : stack_) {
      if (!frame.is_object) {
        path += fmt::format("[{}]", frame.items.size());
      } else if (!frame.members.empty()) {
        path += (path.empty() ? "" : ".") + frame.members.back().first.substr(0, 60);
      }
    }
    return path;
  }
  bool open(bool is_object) {
    if (stack_.size() >= kMaxDepth) return refuse("nested deeper than 16");
    stack_.push_back({is_object, {}, {}});
    return true;
  }
  bool close() {
    Frame done = std::move(stack_.back());
    stack_.pop_back();
    return put(done.is_object ? Json::object(std::move(done.members))
                              : Json::array(std::move(done.items)));
  }
  bool put(Json value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (stack_.back().is_object) {
      stack_.back().members.back().second = std::move(value);
    } else {
      stack_.back().items.push_back(std::move(value));
    }
    return true;
  }

  struct Frame {
    bool is_object;
    std::vector<Json::Member> members;
    std::vector<Json> items;
  };
  std::vector<Frame> stack_;
  Json root_;
  std::string fault_;
};

void append_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

// `indent` < 0: compact.
void append_value(std::string& out, const Json& value, int indent) {
  const auto new_line = [&](int level) {
    if (indent >= 0) out.append("\n").append(static_cast<size_t>(level) * 2, ' ');
  };
  const int inner = indent < 0 ? -1 : indent + 1;
  switch (value.kind()) {
    case Json::Kind::null:
      out += "null";
      return;
    case Json::Kind::boolean:
      out += value.as_bool() ? "true" : "false";
      return;
    case Json::Kind::integer:
      out += std::to_string(value.as_integer());
      return;
    case Json::Kind::string:
      append_string(out, value.as_string());
      return;
    case Json::Kind::array: {
      out.push_back('[');
      bool first = true;
      for (const Json& item : value.items()) {
        if (!first) out.push_back(',');
        first = false;
        new_line(inner);
        append_value(out, item, inner);
      }
      if (!first) new_line(indent);
      out.push_back(']');
      return;
    }
    case Json::Kind::object: {
      out.push_back('{');
      bool first = true;
      for (const auto& [name, member] : value.members()) {
        if (!first) out.push_back(',');
        first = false;
        new_line(inner);
        append_string(out, name);
        out += indent < 0 ? ":" : ": ";
        append_value(out, member, inner);
      }
      if (!first) new_line(indent);
      out.push_back('}');
      return;
    }
  }
}

}  // namespace

Json::Json(bool value) : value_(value) {}
Json::Json(int value) : value_(int64_t{value}) {}
Json::Json(int64_t value) : value_(value) {}
Json::Json(uint64_t value) : value_(static_cast<int64_t>(value)) {}
Json::Json(const char* value) : value_(std::string(value)) {}
Json::Json(std::string value) : value_(std::move(value)) {}
Json::Json(std::string_view value) : value_(std::string(value)) {}
Json::Json(OpCount value) : value_(value.to_decimal()) {}

namespace {

template <typename Value, typename Variant>
const Value& held(const Variant& variant) {
  static const Value kNone{};
  const Value* value = std::get_if<Value>(&variant);
  return value == nullptr ? kNone : *value;
}

}  // namespace

bool Json::as_bool() const { return held<bool>(value_); }
int64_t Json::as_integer() const { return held<int64_t>(value_); }
const std::string& Json::as_string() const { return held<std::string>(value_); }
const std::vector<Json>& Json::items() const { return held<std::vector<Json>>(value_); }
const std::vector<Json::Member>& Json::members() const { return held<std::vector<Member>>(value_); }

Json Json::array(std::vector<Json> items) {
  Json value;
  value.value_ = std::move(items);
  return value;
}

Json Json::object(std::initializer_list<Member> members) {
  return object(std::vector<Member>(members));
}

Json Json::strings(const std::vector<std::string>& texts) {
  return array(std::vector<Json>(texts.begin(), texts.end()));
}

Json Json::counts(const std::map<std::string, OpCount>& by_name) {
  return object(std::vector<Member>(by_name.begin(), by_name.end()));
}

Json Json::object(std::vector<Member> members) {
  Json value;
  value.value_ = std::move(members);
  return value;
}

Json& Json::set(std::string_view name, Json value) {
  if (is_null()) *this = object();
  auto& members = std::get<std::vector<Member>>(value_);
  for (auto& [existing, member] : members) {
    if (existing == name) {
      member = std::move(value);
      return *this;
    }
  }
  members.emplace_back(name, std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) *this = array();
  std::get<std::vector<Json>>(value_).push_back(std::move(value));
  return *this;
}

const Json* Json::find(std::string_view name) const {
  for (const auto& [existing, member] : members()) {
    if (existing == name) return &member;
  }
  return nullptr;
}

namespace {

Result<const Json*> typed_member(const Json& object, std::string_view name, Json::Kind kind,
                                 std::string_view word) {
  const Json* member = object.find(name);
  if (member == nullptr) return bad_member(name, "is missing");
  if (member->kind() != kind) return bad_member(name, fmt::format("is no {}", word));
  return member;
}

}  // namespace

Result<std::string> Json::get_string(std::string_view name) const {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* member, typed_member(*this, name, Kind::string, "string"));
  return member->as_string();
}

Result<int64_t> Json::get_integer(std::string_view name) const {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* member, typed_member(*this, name, Kind::integer, "integer"));
  return member->as_integer();
}

Result<bool> Json::get_bool(std::string_view name) const {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* member, typed_member(*this, name, Kind::boolean, "boolean"));
  return member->as_bool();
}

Result<OpCount> Json::get_op_count(std::string_view name) const {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string text, get_string(name));
  auto count = OpCount::from_decimal(text);
  if (!count.ok()) return bad_member(name, fmt::format("is no count: {}", count.status().fault()));
  return count;
}

Result<const Json*> Json::get_array(std::string_view name) const {
  return typed_member(*this, name, Kind::array, "array");
}

Result<const Json*> Json::get_object(std::string_view name) const {
  return typed_member(*this, name, Kind::object, "object");
}

Status Json::only_members(std::initializer_list<std::string_view> names) const {
  for (const auto& [name, member] : members()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return bad_member(std::string_view(name).substr(0, 60), "is unknown");
    }
  }
  return {};
}

std::string Json::dump() const {
  std::string out;
  append_value(out, *this, -1);
  return out;
}

std::string Json::dump_pretty() const {
  std::string out;
  append_value(out, *this, 0);
  return out;
}

Result<Json> Json::parse(std::string_view text, uint64_t cap_bytes) {
  if (text.size() > cap_bytes) {
    return Status(Code::corrupt, fmt::format("JSON of {} bytes, more than the {} that are allowed",
                                             text.size(), cap_bytes));
  }
  // nlohmann skips a byte order mark; two readers could differ on it.
  if (text.starts_with("\xEF\xBB\xBF")) return Status(Code::corrupt, "no valid JSON at byte 0");
  // It also takes a raw NUL for the end of the text, whatever follows.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return Status(Code::corrupt, fmt::format("no valid JSON at byte {}", nul));
  }
  Builder builder;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
    return Status(Code::corrupt, builder.fault().empty() ? "no valid JSON" : builder.fault());
  }
  return builder.take();
}

}  // namespace account
