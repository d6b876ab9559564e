// The export gate: may this leave? One question, asked by every way out that the library knows.
//
// The keeper shuts the gate of a page when an order stands; in this process, shut_here() does so
// where there is no page. A refusal is noted in the page's event ring, where export attempts are
// never dropped, and so reaches the ledger. Thread-safe; an open gate costs two loads.
#pragma once

#include <string_view>

#include "account/export.h"
#include "account/status.h"

namespace account::gate {

// `way` names the writer ("torch.save"), `target` the file, or "a buffer". shutdown_ordered when
// the gate is shut; the fault names the way, the target and the order.
ACCOUNT_API Status may_leave(std::string_view way, std::string_view target);

// True while exports are refused.
ACCOUNT_API bool shut() noexcept;

// Shuts the gate of this process for good, page or not, with the reason to be given.
ACCOUNT_API void shut_here(std::string_view reason);

}  // namespace account::gate
