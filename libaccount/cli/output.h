// How `account` speaks: data on stdout, one line a failure on stderr, and the exit codes.
#pragma once

#include <string>
#include <string_view>

#include "account/status.h"
#include "base/json.h"

namespace account::cli {

// design.md §5: what a shell sees.
enum Exit : int {
  kYes = 0,         // also below, approaching, not applicable
  kUsage = 1,       // words, files or surroundings that cannot be used
  kUnverified = 2,  // bytes that do not verify
  kReached = 3,
  kUnknown = 5,
  kShutdown = 86,
};
int exit_code(const Status& status);

// Data. Collected, and written by flush_data() at the end of the verb, so that a failure on the way
// leaves no half of an answer.
void put_line(std::string_view line);
void put_json(const Json& json);  // indented
// False where stdout took not all of it (a full disk, a closed pipe).
bool flush_data();

// "account: <place>: <fault>; <next step>" on stderr, in one line whatever it holds; returns the
// exit code that belongs to the status.
int fail(std::string_view place, const Status& status);
// The same, and with `json` also {"ok": false, "error"} as data.
int fail(std::string_view place, const Status& status, bool json);
// kYes, or the failure.
int end_with(std::string_view place, const Status& status);
// Talk: one line on stderr.
void say(std::string_view line);

}  // namespace account::cli
