// Strict JSON for signed and recorded bytes.
//
// The reader refuses what two readers could understand differently: duplicate keys, bytes that are
// no UTF-8, numbers that are not whole or beyond +-(2^53 - 1), nesting deeper than 16, trailing
// text, and (by the caller's cap) oversize input. Larger numbers are decimal strings.
// The writer is compact and keeps members in the order in which they were set, so that a document
// written twice has the same bytes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "account/op_count.h"
#include "account/status.h"

namespace account {

class Json {
 public:
  enum class Kind { null, boolean, integer, string, array, object };
  using Member = std::pair<std::string, Json>;

  Json() = default;
  Json(std::nullptr_t) {}        // NOLINT(misc-explicit-constructor)
  Json(bool value);              // NOLINT(misc-explicit-constructor)
  Json(int value);               // NOLINT(misc-explicit-constructor)
  Json(int64_t value);           // NOLINT(misc-explicit-constructor)
  Json(uint64_t value);          // NOLINT(misc-explicit-constructor)
  Json(const char* value);       // NOLINT(misc-explicit-constructor)
  Json(std::string value);       // NOLINT(misc-explicit-constructor)
  Json(std::string_view value);  // NOLINT(misc-explicit-constructor)
  Json(OpCount value);           // decimal string; NOLINT(misc-explicit-constructor)
  static Json array(std::vector<Json> items = {});
  static Json object(std::initializer_list<Member> members = {});
  static Json object(std::vector<Member> members);  // whose names must be distinct
  static Json strings(const std::vector<std::string>& texts);
  static Json counts(const std::map<std::string, OpCount>& by_name);

  static Result<Json> parse(std::string_view text, uint64_t cap_bytes);

  Kind kind() const { return static_cast<Kind>(value_.index()); }
  bool is_null() const { return kind() == Kind::null; }

  // Building. set() replaces a member of that name; both turn null into object or array.
  Json& set(std::string_view name, Json value);
  Json& push(Json value);

  // Reading. find() returns nullptr where there is no such member. The typed getters fail with
  // Code::corrupt and name the member: "member 'size' is missing", "... is no string".
  const Json* find(std::string_view name) const;
  Result<std::string> get_string(std::string_view name) const;
  Result<int64_t> get_integer(std::string_view name) const;
  Result<bool> get_bool(std::string_view name) const;
  Result<OpCount> get_op_count(std::string_view name) const;  // a decimal string
  Result<const Json*> get_array(std::string_view name) const;
  Result<const Json*> get_object(std::string_view name) const;
  // Fails with Code::corrupt, naming it, if there is a member that is not in `names`.
  Status only_members(std::initializer_list<std::string_view> names) const;

  // Of any other kind: false, 0, and what is empty.
  bool as_bool() const;
  int64_t as_integer() const;
  const std::string& as_string() const;
  const std::vector<Json>& items() const;
  const std::vector<Member>& members() const;

  std::string dump() const;         // compact, one line
  std::string dump_pretty() const;  // two spaces, for people and --json

 private:
  // In the order of Kind.
  std::variant<std::monostate, bool, int64_t, std::string, std::vector<Json>, std::vector<Member>>
      value_;
};

}  // namespace account
