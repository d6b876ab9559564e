// A transcript row's two spellings.
#include "count/transcript_row.h"

#include <cstring>
#include <vector>

#include "base/json.h"

namespace account::count {
namespace {

constexpr size_t kLongestLine = size_t{8} * 1024;

// What a formula's first output is called in a line; the table calls it "->".
constexpr std::string_view kOutput = "output";

// The names of a row's arguments, in its order.
std::vector<std::string> argument_names(const Row& row) {
  std::vector<std::string> names;
  for (std::string_view rest = row.arguments; !rest.empty();) {
    const ArgumentName argument = take_argument(rest);
    std::string& word = names.emplace_back(argument.name == "->" ? kOutput : argument.name);
    if (argument.fact != Fact::sizes) word.append("#").append(name(argument.fact));
  }
  return names;
}

template <size_t N>
bool put_name(char (&field)[N], std::string_view name) noexcept {
  if (name.size() >= N) return false;
  std::memcpy(field, name.data(), name.size());
  return true;
}

template <size_t N>
std::string_view get_name(const char (&field)[N]) noexcept {
  return {field, strnlen(field, N)};
}

// FNV-1a over 64-bit words; only tells rows apart whose bytes are compared as well.
uint64_t identity_of(const RowBytes& row) noexcept {
  constexpr size_t kFrom = offsetof(RowBytes, op);
  const auto* bytes = reinterpret_cast<const char*>(&row);
  uint64_t hash = 0xCBF29CE484222325ull;
  for (size_t at = kFrom; at < sizeof(row); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, sizeof(word));
    hash = (hash ^ word) * 0x100000001B3ull;
    hash ^= hash >> 29;
  }
  return hash;
}

Json list_of(const Argument& argument) {
  if (argument.absent()) return Json();
  Json list = Json::array();
  for (const int64_t value : argument.list()) list.push(value);
  return list;
}

Status parse_argument(const Json& json, std::string_view name, Argument& argument) {
  const auto refuse = [&](const char* why) {
    return Status(Code::corrupt, "argument '" + std::string(name) + "' " + why);
  };
  if (json.is_null()) return Status();
  if (json.kind() != Json::Kind::array) return refuse("is no list");
  if (json.items().size() > kMaxValues) return refuse("has too many numbers");
  for (size_t i = 0; i < json.items().size(); ++i) {
    const Json& item = json.items()[i];
    if (item.kind() != Json::Kind::integer) return refuse("holds something else than numbers");
    argument.values[i] = item.as_integer();
  }
  argument.size = static_cast<int8_t>(json.items().size());
  return Status();
}

template <class Word>
Result<Word> parse_word(const Json& json, std::string_view member,
                        std::optional<Word> (*from_name)(std::string_view) noexcept) {
  ACCOUNT_ASSIGN_OR_RETURN(const std::string word, json.get_string(member));
  if (const auto value = from_name(word)) return *value;
  return Status(Code::corrupt, "'" + word + "' is no " + std::string(member));
}

Status parse_arguments(const Json& json, TranscriptCall& call) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json* arguments, json.get_object("arguments"));
  const auto names = argument_names(*call.row);
  if (arguments->members().size() != names.size()) {
    return Status(Code::corrupt,
                  "member 'arguments' has other members than the op's formula reads");
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& [name, value] = arguments->members()[i];
    if (name != names[i]) return Status(Code::corrupt, "argument '" + name + "' is out of place");
    ACCOUNT_RETURN_IF_ERROR(parse_argument(value, name, call.arguments.at[i]));
  }
  call.arguments.size = static_cast<int>(names.size());
  return Status();
}

}  // namespace

bool encode(const TranscriptCall& call, RowBytes& bytes) noexcept {
  std::memset(&bytes, 0, sizeof(bytes));
  bytes.calls = call.calls;
  const auto put = [](OpCount value, uint64_t& low, uint64_t& high) {
    low = value.low();
    high = value.high();
  };
  put(call.figures.executed, bytes.executed_low, bytes.executed_high);
  put(call.figures.model, bytes.model_low, bytes.model_high);
  put(call.figures.lower, bytes.lower_low, bytes.lower_high);
  if (!put_name(bytes.op, call.row->op) || !put_name(bytes.overload, call.row->overload)) {
    return false;
  }
  bytes.dtype = static_cast<uint8_t>(call.dtype);
  bytes.phase = static_cast<uint8_t>(call.phase);
  bytes.category = static_cast<uint8_t>(call.category);
  bytes.arguments = static_cast<uint8_t>(call.arguments.size);
  size_t used = 0;
  for (int i = 0; i < call.arguments.size; ++i) {
    const Argument& argument = call.arguments[i];
    bytes.sizes[i] = argument.size;
    for (const int64_t value : argument.list()) {
      if (used == kRowValues) return false;
      bytes.values[used++] = value;
    }
  }
  bytes.identity = identity_of(bytes);
  return true;
}

std::optional<TranscriptCall> decode(const RowBytes& bytes) noexcept {
  TranscriptCall call;
  call.row = find_row(get_name(bytes.op), get_name(bytes.overload));
  if (call.row == nullptr || bytes.dtype >= kDTypeCount || bytes.phase >= kPhaseCount ||
      bytes.category >= kCategoryCount || bytes.arguments > kMaxArguments) {
    return std::nullopt;
  }
  call.dtype = static_cast<DType>(bytes.dtype);
  call.phase = static_cast<Phase>(bytes.phase);
  call.category = static_cast<Category>(bytes.category);
  call.calls = bytes.calls;
  call.figures = {OpCount::from_limbs(bytes.executed_low, bytes.executed_high),
                  OpCount::from_limbs(bytes.model_low, bytes.model_high),
                  OpCount::from_limbs(bytes.lower_low, bytes.lower_high)};
  call.arguments.size = bytes.arguments;
  size_t used = 0;
  for (size_t i = 0; i < bytes.arguments; ++i) {
    Argument& argument = call.arguments.at[i];
    argument.size = bytes.sizes[i];
    if (argument.size < -1 || argument.size > kMaxValues) return std::nullopt;
    for (int value = 0; value < argument.size; ++value) {
      if (used == kRowValues) return std::nullopt;
      argument.values[static_cast<size_t>(value)] = bytes.values[used++];
    }
  }
  return call;
}

std::string to_json_line(const TranscriptCall& call) {
  Json arguments = Json::object();
  const auto names = argument_names(*call.row);
  for (size_t i = 0; i < names.size(); ++i) {
    arguments.set(names[i], list_of(call.arguments.at[i]));
  }
  return Json::object({{"op", call.row->op},
                       {"overload", call.row->overload},
                       {"dtype", name(call.dtype)},
                       {"phase", name(call.phase)},
                       {"category", name(call.category)},
                       {"arguments", arguments},
                       {"calls", call.calls},
                       {"executed", call.figures.executed},
                       {"model", call.figures.model},
                       {"lower", call.figures.lower}})
             .dump() +
         "\n";
}

Result<TranscriptCall> from_json_line(std::string_view line) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(line, kLongestLine));
  ACCOUNT_RETURN_IF_ERROR(json.only_members({"op", "overload", "dtype", "phase", "category",
                                             "arguments", "calls", "executed", "model", "lower"}));
  TranscriptCall call;
  ACCOUNT_ASSIGN_OR_RETURN(const std::string op, json.get_string("op"));
  ACCOUNT_ASSIGN_OR_RETURN(const std::string overload, json.get_string("overload"));
  call.row = find_row(op, overload);
  if (call.row == nullptr) {
    return Status(Code::corrupt,
                  "no formula for '" + op + (overload.empty() ? "" : "." + overload) + "'",
                  "if the run's libaccount is newer than this one, use that one's account program");
  }
  ACCOUNT_ASSIGN_OR_RETURN(call.dtype, parse_word<DType>(json, "dtype", dtype_from_name));
  ACCOUNT_ASSIGN_OR_RETURN(call.phase, parse_word<Phase>(json, "phase", phase_from_name));
  ACCOUNT_ASSIGN_OR_RETURN(call.category,
                           parse_word<Category>(json, "category", category_from_name));
  ACCOUNT_RETURN_IF_ERROR(parse_arguments(json, call));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t calls, json.get_integer("calls"));
  if (calls < 1) return Status(Code::corrupt, "member 'calls' is below 1");
  call.calls = static_cast<uint64_t>(calls);
  ACCOUNT_ASSIGN_OR_RETURN(call.figures.executed, json.get_op_count("executed"));
  ACCOUNT_ASSIGN_OR_RETURN(call.figures.model, json.get_op_count("model"));
  ACCOUNT_ASSIGN_OR_RETURN(call.figures.lower, json.get_op_count("lower"));
  return call;
}

}  // namespace account::count
