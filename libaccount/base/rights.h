// Who can change a file, as owners and modes say. Must not know what is in it.
#pragma once

#include <sys/types.h>

#include <string>

#include "account/export.h"
#include "account/status.h"

namespace account {

// Whether only root (and `also`) can change the file at `path`: it and each folder above it belong
// to them, and nobody else may write there. A sticky folder further up, like /tmp, is no way in.
// Symbolic links are followed. io, with what to do, where somebody else can.
//
// Note: [outer root] In a user namespace (a rootless container) what belongs to the machine's root
// shows as the overflow user's, and nobody in the namespace can write it.
ACCOUNT_API Status only_root_writes(const std::string& path, uid_t also = 0);

}  // namespace account
