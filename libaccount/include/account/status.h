// How the library reports failure: as a value, never by throwing.
//
//   account::Status s = run.step();
//   if (!s.ok()) { log(s.to_string()); }
//
// A Status is one pointer wide and costs nothing when ok. It carries a stable code, one sentence
// that names the thing and the fault, and (where there is one) the next thing to do.
// Result<T> is a T or such a Status. Both are value types; they are not synchronised.
#pragma once

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "account/export.h"

namespace account {

// Few and stable; the Python edge maps them to exceptions, the CLI to exit codes.
enum class Code {
  ok,
  invalid_argument,   // the caller passed something that cannot be used
  not_found,          // a file, run, policy or key does not exist
  corrupt,            // bytes that do not parse or contradict each other
  unverified,         // a signature is missing, foreign or wrong
  expired,            // outside its window of validity
  replayed,           // seen before, or older than what has been seen
  out_of_scope,       // valid, but not about this job
  threshold_reached,  // a policy's threshold was reached
  shutdown_ordered,   // a signed stop stands
  io,                 // the operating system refused
  unavailable,        // not now: a peer, lock or component is missing
  internal,           // a defect in this library
};

// The code's name as written in JSON and in messages, e.g. "invalid_argument".
ACCOUNT_API std::string_view code_name(Code code) noexcept;

class [[nodiscard]] ACCOUNT_API Status {
 public:
  Status() noexcept = default;  // ok
  // `fault` is one sentence naming the thing and what is wrong with it; `next_step` says what the
  // reader should do about it, and may be empty. A code of ok yields an ok status.
  Status(Code code, std::string fault, std::string next_step = {});

  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  bool ok() const noexcept { return state_ == nullptr; }
  Code code() const noexcept { return state_ ? state_->code : Code::ok; }
  std::string_view fault() const noexcept;
  std::string_view next_step() const noexcept;

  // "fault; next step", on one line; "ok" when ok.
  std::string to_string() const;

  // The same failure with `context` put before the fault ("reading a.json: ..."). ok stays ok.
  Status with_context(std::string_view context) const;

 private:
  struct State {
    Code code;
    std::string fault;
    std::string next_step;
  };
  std::unique_ptr<State> state_;
};

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(misc-explicit-constructor)
  // Precondition: !status.ok().
  Result(Status status) : status_(std::move(status)) {  // NOLINT(misc-explicit-constructor)
    assert(!status_.ok());
  }

  bool ok() const noexcept { return value_.has_value(); }
  const Status& status() const noexcept { return status_; }

  // Precondition for all of these: ok().
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace account

// Leaves the enclosing function with the status if `expr` (a Status) is not ok.
#define ACCOUNT_RETURN_IF_ERROR(expr)                                                 \
  do {                                                                                \
    if (auto account_status_ = (expr); !account_status_.ok()) return account_status_; \
  } while (false)

#define ACCOUNT_CONCAT_INNER_(a, b) a##b
#define ACCOUNT_CONCAT_(a, b) ACCOUNT_CONCAT_INNER_(a, b)

// ACCOUNT_ASSIGN_OR_RETURN(auto x, f()): declares x from the Result, or leaves with its status.
#define ACCOUNT_ASSIGN_OR_RETURN(declaration, expr) \
  ACCOUNT_ASSIGN_OR_RETURN_(ACCOUNT_CONCAT_(account_result_, __LINE__), declaration, expr)
// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses
#define ACCOUNT_ASSIGN_OR_RETURN_(name, declaration, expr) \
  auto name = (expr);                                      \
  if (!name.ok()) return name.status();                    \
  declaration = std::move(name).value()
// NOLINTEND(bugprone-macro-parentheses)
