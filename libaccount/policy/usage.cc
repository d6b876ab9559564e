// Reading of usage files.
#include "policy/usage.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <vector>

#include "policy/devices.h"

namespace account::policy {
namespace {

constexpr uint64_t kSecondsAnHour = 3600;

using Row = std::vector<std::string>;

std::optional<uint64_t> whole(std::string_view text) {
  uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// RFC 4180, with either separator; a field in quotes may hold separators, not line feeds.
Result<Row> split(std::string_view line, char separator) {
  Row row(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"') {
      row.back().push_back(line[i++]);
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (line[i] == separator && !quoted) {
      row.emplace_back();
    } else {
      row.back().push_back(line[i]);
    }
  }
  if (quoted) return Status(Code::corrupt, "a quote is not closed");
  return row;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// "[days-]hours:minutes:seconds", as sacct writes it.
std::optional<uint64_t> parse_elapsed(std::string_view text) {
  uint64_t days = 0;
  if (const size_t dash = text.find('-'); dash != std::string_view::npos) {
    const auto parsed = whole(text.substr(0, dash));
    if (!parsed) return std::nullopt;
    days = *parsed;
    text.remove_prefix(dash + 1);
  }
  uint64_t seconds = 0;
  int parts = 0;
  while (true) {
    const size_t colon = text.find(':');
    const auto part = whole(text.substr(0, colon));
    if (!part || ++parts > 3) return std::nullopt;
    seconds = seconds * 60 + *part;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  if (parts < 2) return std::nullopt;
  return days * 24 * kSecondsAnHour + seconds;
}

// "cpu=64,gres/gpu=8,gres/gpu:h100=8": the untyped number is all of them.
struct Allocated {
  uint64_t devices = 0;
  std::string type;
};
Result<Allocated> parse_tres(std::string_view text) {
  constexpr std::string_view kGpu = "gres/gpu";
  std::optional<uint64_t> all;
  Allocated typed;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (!item.starts_with(kGpu)) continue;
    item.remove_prefix(kGpu.size());
    const size_t equals = item.find('=');
    const auto number =
        equals == std::string_view::npos ? std::nullopt : whole(item.substr(equals + 1));
    if (!number || (item[0] != '=' && item[0] != ':')) {
      return Status(Code::corrupt, "its AllocTRES is not as sacct writes it");
    }
    if (item[0] == '=') {
      all = *number;
    } else {
      typed.devices += *number;
      typed.type = item.substr(1, equals - 1);
    }
  }
  return Allocated{all.value_or(typed.devices), typed.type};
}

class Table {
 public:
  static Result<Table> of(std::string_view header) {
    Table table;
    table.separator_ = header.find('|') != std::string_view::npos ? '|' : ',';
    ACCOUNT_ASSIGN_OR_RETURN(table.names_, split(header, table.separator_));
    for (std::string& name : table.names_) name = lower(name);
    const bool jobs = table.has("alloctres") && (table.has("elapsedraw") || table.has("elapsed"));
    const bool bills = table.has("device_hours") || (table.has("hours") && table.has("devices"));
    if (jobs || bills) return table;
    return Status(Code::corrupt, "line 1: it has no columns that tell device time",
                  "it needs AllocTRES and ElapsedRaw or Elapsed (sacct --parsable2), device_hours, "
                  "or hours and devices");
  }

  Status take(std::string_view line, Usage& usage) {
    ACCOUNT_ASSIGN_OR_RETURN(row_, split(line, separator_));
    if (row_.size() != names_.size()) {
      return {Code::corrupt,
              fmt::format("it has {} fields, and the header {}", row_.size(), names_.size())};
    }
    // A job's steps are within the job.
    if (field("jobid").find('.') != std::string::npos) return {};
    return has("alloctres") ? take_job(usage) : take_bill(usage);
  }

 private:
  bool has(std::string_view name) const {
    return std::find(names_.begin(), names_.end(), name) != names_.end();
  }
  std::string field(std::string_view name) const {
    const auto found = std::find(names_.begin(), names_.end(), name);
    return found == names_.end() ? "" : row_[static_cast<size_t>(found - names_.begin())];
  }

  Status take_job(Usage& usage) const {
    const auto elapsed =
        has("elapsedraw") ? whole(field("elapsedraw")) : parse_elapsed(field("elapsed"));
    if (!elapsed) return {Code::corrupt, "its elapsed time is none"};
    ACCOUNT_ASSIGN_OR_RETURN(const Allocated allocated, parse_tres(field("alloctres")));
    return add(*elapsed, allocated.devices, allocated.type, usage);
  }

  Status take_bill(Usage& usage) const {
    const bool product = !has("device_hours");
    ACCOUNT_ASSIGN_OR_RETURN(const uint64_t seconds,
                             parse_hours(field(product ? "hours" : "device_hours")));
    const auto devices = product ? whole(field("devices")) : std::optional<uint64_t>(1);
    if (!devices) return {Code::corrupt, "its number of devices is none"};
    return add(seconds, *devices, field("device"), usage);
  }

  static Status add(uint64_t seconds, uint64_t devices, const std::string& device, Usage& usage) {
    const auto product = checked_multiply(seconds, devices);
    const auto sum = checked_add(usage.total_seconds(), product.value_or(OpCount::max()));
    if (!sum || sum->high() != 0) return {Code::corrupt, "the device time is beyond 2^64 seconds"};
    if (*product == OpCount()) return {};
    usage.device_seconds[device] += product->low();
    ++usage.rows;
    return {};
  }

  char separator_ = ',';
  Row names_, row_;
};

}  // namespace

uint64_t Usage::total_seconds() const {
  uint64_t total = 0;
  for (const auto& [device, seconds] : device_seconds) total += seconds;
  return total;
}

Result<uint64_t> parse_hours(std::string_view text) {
  constexpr size_t kDigits = 6;  // behind the point
  const size_t point = text.find('.');
  const std::string_view digits = text.substr(0, point);
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  const auto hours = whole(digits);
  const bool has_fraction = point != std::string_view::npos;
  const auto rest = has_fraction && fraction.size() <= kDigits && !fraction.empty()
                        ? whole(fraction.append(kDigits - fraction.size(), '0'))
                        : std::optional<uint64_t>(0);
  constexpr uint64_t kMostHours = uint64_t{1} << 50;
  const bool sound = !has_fraction || (!fraction.empty() && fraction.size() == kDigits);
  if (!hours || !rest || !sound || *hours > kMostHours) {
    return Status(Code::corrupt, fmt::format("'{}' are no hours", text),
                  "write them as 1200 or 1200.5, with at most six digits behind the point");
  }
  constexpr uint64_t kMillion = 1'000'000;
  return *hours * kSecondsAnHour + (*rest * kSecondsAnHour + kMillion - 1) / kMillion;
}

Result<Usage> parse_usage(std::string_view bytes) {
  std::optional<Table> table;
  Usage usage;
  for (uint64_t number = 1; !bytes.empty(); ++number) {
    const size_t end = bytes.find('\n');
    std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    if (!table) {
      ACCOUNT_ASSIGN_OR_RETURN(table, Table::of(line));
      continue;
    }
    const Status taken = table->take(line, usage);
    if (!taken.ok()) return taken.with_context(fmt::format("line {}", number));
  }
  if (usage.rows == 0) {
    return Status(Code::corrupt, "it holds no device time", "give the file of the jobs that ran");
  }
  return usage;
}

Result<OpCount> ceiling_of(const Usage& usage, const std::string& device) {
  OpCount ceiling;
  for (const auto& [name, seconds] : usage.device_seconds) {
    const std::string& asked = name.empty() ? device : name;
    if (asked.empty()) {
      return Status(Code::invalid_argument, "the usage does not say of which device it is",
                    "give --device, as torch.cuda.get_device_name() has it, such as 'H100 SXM'");
    }
    auto rate = highest_rate(asked);
    // What the file calls it may be nobody's name for it: then the user's word counts.
    if (!rate.ok() && !device.empty()) rate = highest_rate(device);
    if (!rate.ok()) return rate.status();
    ceiling = saturating_add(ceiling, saturating_multiply(*rate, seconds));
  }
  return ceiling;
}

}  // namespace account::policy
