// The passphrases of protected key files: from the file that ACCOUNT_PASSPHRASE_FILE names (its
// first line), else asked at the terminal, without echo. Whoever gets one wipes it (sign::Wiped).
#pragma once

#include <string>
#include <string_view>

#include "account/status.h"
#include "sign/sign.h"

namespace account::cli {

// The first line of a file, without its end.
Result<std::string> read_passphrase(const std::string& path);
// One that was never used, for the key file `path`; asked for twice at a terminal.
Result<std::string> new_passphrase(const std::string& path);
// Opens what open_protected_key_file() opens; a wrong one may be typed anew twice.
Result<sign::NamedSecretKey> open_with_passphrase(const std::string& path, std::string_view bytes);

}  // namespace account::cli
