// The real clocks, and dates as text.
#include "base/clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace account {
namespace {

class RealClock final : public Clock {
 public:
  int64_t unix_ns() const override { return read(CLOCK_REALTIME); }
  int64_t monotonic_ns() const override { return read(CLOCK_MONOTONIC); }

 private:
  static int64_t read(clockid_t id) {
    timespec t{};
    clock_gettime(id, &t);
    return static_cast<int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
  }
};

}  // namespace

const Clock& Clock::real() {
  static const RealClock clock;
  return clock;
}

std::string to_iso8601(int64_t unix_ns) {
  using namespace std::chrono;
  const sys_seconds seconds{floor<std::chrono::seconds>(nanoseconds(unix_ns))};
  const auto day = floor<days>(seconds);
  const year_month_day date{day};
  const hh_mm_ss time{seconds - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::string to_iso_date(int64_t unix_ns) { return to_iso8601(unix_ns).substr(0, 10); }

Result<int64_t> days_from_iso_date(std::string_view date) {
  const auto refuse = [&] {
    return Status(Code::invalid_argument, fmt::format("'{}' is no date", date.substr(0, 40)),
                  "write it as YYYY-MM-DD, e.g. 2026-11-24");
  };
  if (date.size() != 10 || date[4] != '-' || date[7] != '-') return refuse();
  int parts[3] = {0, 0, 0};
  size_t part = 0;
  for (const char c : date) {
    if (c == '-') {
      ++part;
    } else if (c >= '0' && c <= '9' && part < 3) {
      parts[part] = parts[part] * 10 + (c - '0');
    } else {
      return refuse();
    }
  }
  const std::chrono::year_month_day day{std::chrono::year(parts[0]),
                                        std::chrono::month(static_cast<unsigned>(parts[1])),
                                        std::chrono::day(static_cast<unsigned>(parts[2]))};
  if (part != 2 || !day.ok()) return refuse();
  return std::chrono::sys_days(day).time_since_epoch().count();
}

Result<int64_t> unix_ns_from_iso8601(std::string_view text) {
  constexpr size_t kDay = 10;
  constexpr int64_t kNsASecond = 1'000'000'000, kSecondsADay = 24 * 3600;
  constexpr int64_t kMostDays = 106'750;  // nanoseconds reach not much farther
  const auto day = days_from_iso_date(text.substr(0, kDay));
  if (day.ok() && (*day < -kMostDays || *day > kMostDays)) {
    return Status(Code::corrupt,
                  "'" + std::string(text.substr(0, kDay)) + "' is beyond the years 1678 to 2261");
  }
  const int64_t midnight = day.ok() ? *day * kSecondsADay * kNsASecond : 0;
  if (day.ok() && text.size() == kDay) return midnight;
  int hours = 0, minutes = 0, seconds = 0;
  const std::string rest(text.substr(std::min(kDay, text.size())));
  if (day.ok() && std::sscanf(rest.c_str(), "T%2d:%2d:%2dZ", &hours, &minutes, &seconds) == 3) {
    const int64_t time = midnight + ((hours * 60 + minutes) * 60 + seconds) * kNsASecond;
    if (to_iso8601(time) == text) return time;  // no sign, space, or second 61
  }
  return Status(Code::invalid_argument, fmt::format("'{}' is no time", text.substr(0, 40)),
                "write it as 2026-11-24T10:12:08Z or 2026-11-24, in UTC");
}

}  // namespace account
