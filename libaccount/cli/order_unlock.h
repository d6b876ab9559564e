// Opening what a stop let ranks save: by `account order unlock`, and by `account lift --open`.
#pragma once

#include <optional>
#include <string>

namespace account::cli {

struct UnlockWords {
  std::string path, recovery;      // a locked file, or a folder with some at any depth; a .key file
  std::optional<std::string> out;  // nothing: the data keys are put beside the files
  bool json = false, quiet = false;
};
// The exit code. Opens all or says which it could not.
int unlock_files(const UnlockWords& words);

}  // namespace account::cli
