// Looks at each part of a path.
#include "base/rights.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "base/files.h"

namespace account {
namespace {

// user_namespaces(7): the first namespace maps all ids to themselves, in one line.
bool in_first_namespace() {
  std::ifstream file("/proc/self/uid_map");
  uint64_t inside = 0, outside = 0, count = 0;
  if (!(file >> inside >> outside >> count)) return true;
  return inside == 0 && outside == 0 && count == 0xffff'ffff;
}

// /proc/sys/kernel/overflowuid, which nobody changes.
constexpr uid_t kOverflow = 65534;

// `above`: a folder, and not the one that the file is in.
Status examine(const std::string& path, uid_t also, bool above) {
  struct stat facts{};
  if (stat(path.c_str(), &facts) != 0) {
    return {Code::io, fmt::format("cannot look at {}: {}", path, std::strerror(errno)),
            "check its permissions"};
  }
  const uid_t owner = facts.st_uid;
  const bool outer_root = owner == kOverflow && !in_first_namespace();
  if (owner != 0 && owner != also && !outer_root) {
    return {Code::io, fmt::format("{} belongs to user {}, who could change it", path, owner),
            "chown root " + path};
  }
  const bool sticky = S_ISDIR(facts.st_mode) && (facts.st_mode & S_ISVTX) != 0;
  if ((facts.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !(above && sticky)) {
    return {Code::io,
            fmt::format("{} can be written by others than its owner (mode {:o})", path,
                        facts.st_mode & 07777),
            "chmod go-w " + path};
  }
  return {};
}

// `folder`, which something to be trusted is in, and all above it.
Status examine_folders(std::string folder, uid_t also) {
  ACCOUNT_RETURN_IF_ERROR(examine(folder, also, false));
  while (folder != "/") {
    folder = folder_of(folder);
    ACCOUNT_RETURN_IF_ERROR(examine(folder, also, true));
  }
  return {};
}

}  // namespace

Status only_root_writes(const std::string& path, uid_t also) {
  const std::string file = absolute_path(path);
  ACCOUNT_RETURN_IF_ERROR(examine(file, also, false));
  ACCOUNT_RETURN_IF_ERROR(examine_folders(folder_of(file), also));
  // Where `path` is a link, whoever can write its folder says where it leads.
  return examine_folders(absolute_path(folder_of(path)), also);
}

}  // namespace account
