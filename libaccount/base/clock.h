// Time, behind an interface so that tests own it. Must not know who asks.
#pragma once

#include <cstdint>
#include <string>

#include "account/export.h"
#include "account/status.h"

namespace account {

class ACCOUNT_API Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t unix_ns() const = 0;  // wall clock; may jump
  virtual int64_t monotonic_ns()
      const = 0;  // CLOCK_MONOTONIC; same epoch for all processes of a node

  static const Clock& real();  // lives for ever; thread-safe
};

class FakeClock final : public Clock {
 public:
  int64_t unix_ns() const override { return unix_ns_; }
  int64_t monotonic_ns() const override { return monotonic_ns_; }
  void advance(int64_t ns) { unix_ns_ += ns, monotonic_ns_ += ns; }
  void set_unix_ns(int64_t ns) { unix_ns_ = ns; }

 private:
  int64_t unix_ns_ = 1'800'000'000'000'000'000;
  int64_t monotonic_ns_ = 1'000'000'000;
};

// "2026-11-24T10:12:08Z" (UTC, whole seconds) and "2026-11-24".
std::string to_iso8601(int64_t unix_ns);
std::string to_iso_date(int64_t unix_ns);
// Of such a time, or of a day, whose beginning it is.
Result<int64_t> unix_ns_from_iso8601(std::string_view text);
// Days since 1970-01-01 of a "YYYY-MM-DD" that exists.
Result<int64_t> days_from_iso_date(std::string_view date);

}  // namespace account
