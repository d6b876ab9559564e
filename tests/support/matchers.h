// How tests speak about Status and Result:
//
//   EXPECT_THAT(files.remove(path), IsOk());
//   EXPECT_THAT(Json::parse(text, 100), StatusIs(Code::corrupt, HasSubstr("duplicate")));
//   EXPECT_THAT(OpCount::from_decimal("7"), IsOkAndHolds(OpCount(7)));
#pragma once

#include <gmock/gmock.h>

#include <ostream>
#include <type_traits>

#include "account/op_count.h"
#include "account/status.h"

namespace account {

inline void PrintTo(const Status& status, std::ostream* out) {
  *out << code_name(status.code()) << ": " << status.to_string();
}
inline void PrintTo(OpCount count, std::ostream* out) { *out << count.to_decimal(); }
template <typename T>
void PrintTo(const Result<T>& result, std::ostream* out) {
  if (result.ok()) {
    *out << "ok: " << ::testing::PrintToString(result.value());
  } else {
    PrintTo(result.status(), out);
  }
}

}  // namespace account

namespace account::testing {

inline const Status& status_of(const Status& status) { return status; }
template <typename T>
const Status& status_of(const Result<T>& result) {
  return result.status();
}

MATCHER(IsOk, negation ? "is a failure" : "is ok") {
  *result_listener << status_of(arg).to_string();
  return status_of(arg).ok();
}

MATCHER_P(StatusIs, code, "has the code " + std::string(code_name(code))) {
  return status_of(arg).code() == code;
}

// `message` is matched against fault and next step together, as people read them.
MATCHER_P2(StatusIs, code, message,
           "has the code " + std::string(code_name(code)) + " and a message that " +
               ::testing::DescribeMatcher<std::string>(message, negation)) {
  return status_of(arg).code() == code &&
         ::testing::ExplainMatchResult(message, status_of(arg).to_string(), result_listener);
}

MATCHER_P(IsOkAndHolds, value, "holds " + ::testing::PrintToString(value)) {
  using Value = std::remove_cvref_t<decltype(arg.value())>;
  return arg.ok() && ::testing::ExplainMatchResult(::testing::SafeMatcherCast<Value>(value),
                                                   arg.value(), result_listener);
}

}  // namespace account::testing
