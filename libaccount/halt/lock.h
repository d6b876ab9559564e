// The process lock: what a stopped process can no longer do, whoever asks inside it. A seccomp
// filter over all threads, those of other libraries included, and over every process they make. It
// cannot be taken off again. SECURITY.md says what it does not hold.
#pragma once

#include "account/export.h"
#include "account/status.h"

namespace account::halt {

// From here on these fail with EPERM: opening a file for writing (also by creat, mknod, memfd,
// links), sockets (making, connecting, accepting, binding), exec, ptrace and reading or writing
// another process's memory or descriptors, io_uring, copies from one descriptor to another. Files
// are still read, memory and threads still made, and descriptors that are open already stay so.
//
// Unavailable, and nothing is locked, where the kernel has no such filter or a thread refuses it.
// Thread-safe; a second call does nothing.
ACCOUNT_API Status lock_process();

}  // namespace account::halt
