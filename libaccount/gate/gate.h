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

// While it lives, this thread writes the state that a stop lets it save: to the core, which
// encrypts it. Scopes do not nest. The gate stays shut; a writer that has no file of its own may
// ask.
class ACCOUNT_API SavingState {
 public:
  SavingState() noexcept;
  ~SavingState();
  SavingState(const SavingState&) = delete;
  SavingState& operator=(const SavingState&) = delete;
};
ACCOUNT_API bool saving_state() noexcept;

}  // namespace account::gate
