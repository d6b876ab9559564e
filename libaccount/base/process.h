// Facts about processes that survive pid reuse. Linux only.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "account/export.h"

namespace account {

// Field 22 of /proc/<pid>/stat: clock ticks between boot and the start of the process; 0 if there
// is no such process (a zombie counts as none: it will never run again).
ACCOUNT_API uint64_t process_start_ticks(pid_t pid);

// True while the very process that started at `start_ticks` exists and is no zombie.
ACCOUNT_API bool process_alive(pid_t pid, uint64_t start_ticks);

// When this machine was started, from /proc/stat, to the second; 0 where that does not say.
ACCOUNT_API int64_t boot_unix_ns();

}  // namespace account
