// The Python that has libaccount and torch, for the verbs that need to ask it something.
#pragma once

#include <string>
#include <vector>

#include "account/status.h"

namespace account::cli {

inline constexpr const char* kNeedsPython =
    "ACCOUNT_PYTHON names a Python with libaccount, torch and, for a Transformers config, "
    "transformers";

// ACCOUNT_PYTHON, else the one beside `account`, which it was installed with, else PATH's.
std::string find_python();

// Runs a command for what it writes to stdout; its stderr is the user's. Fails only where it cannot
// be started: whoever asks for JSON sees by its absence that something went wrong.
Result<std::string> output_of(std::vector<std::string> words);

}  // namespace account::cli
