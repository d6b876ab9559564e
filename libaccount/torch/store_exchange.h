// Exchange over the store of a c10d process group; use_store_exchange() gives it to a run.
#pragma once

#include <memory>
#include <string>

#include "account/export.h"
#include "base/exchange.h"

namespace account::torch {

// The group is looked up by name at each use until it exists. Never blocks beyond a deadline
// (post: 1 s), whatever the store does; takes no GIL.
ACCOUNT_API std::shared_ptr<Exchange> make_store_exchange(std::string group_name);

}  // namespace account::torch
