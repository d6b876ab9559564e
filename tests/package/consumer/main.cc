// What a user's program does with the package: it includes the umbrella header, links
// account::account and nothing else, and starts nothing.
#include <cstdio>
#include <string>

#include "account/account.h"

int main() {
  // The header that was compiled against and the library that was loaded are the same.
  if (account::version() != ACCOUNT_VERSION || account::build_id() != ACCOUNT_BUILD_ID) return 1;

  const auto threshold = account::OpCount::from_text("3e25");
  if (!threshold.ok() || threshold->to_decimal() != "30000000000000000000000000") return 2;
  const auto refused = account::OpCount::from_decimal("3e25");
  if (refused.status().code() != account::Code::invalid_argument) return 3;
  if (account::name(account::Phase::recompute) != "recompute") return 4;

  std::printf("account %s: %s; %s\n", std::string(account::version()).c_str(),
              threshold->to_short().c_str(), refused.status().to_string().c_str());
}
