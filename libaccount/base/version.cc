// Which library this is.
#include "account/version.h"

namespace account {

std::string_view version() noexcept { return ACCOUNT_VERSION; }
std::string_view build_id() noexcept { return ACCOUNT_BUILD_ID; }

}  // namespace account
