// account::torch: watches PyTorch. Link account::torch (libaccount_torch.so).
#pragma once

#include <memory>
#include <string>

#include "account/export.h"
#include "account/keys.h"
#include "account/run.h"
#include "account/status.h"

namespace account::torch {

// Registers counting kernels below autograd for every op that has a formula. Call once, before or
// after Run::start; calling again is a no-op. Fails (unavailable) when this adapter was built for
// another torch or another libaccount; training is unaffected then. Thread-safe.
ACCOUNT_API Status install();

// Lets the keepers of a multi-node job exchange totals over the store of the named c10d process
// group ("0" is the default group), on a connection of its own. Without a process group yet, it is
// looked for whenever the keeper asks for totals. Never blocks training, whatever the store does.
ACCOUNT_API void use_store_exchange(Run& run, std::string group_name = "0");

// While it lives, what this thread runs (and any backward it calls) is counted under `category`.
// Scopes nest, the innermost rules; they end on the thread that opened them, last first. Threads
// started inside do not inherit it. Costs nothing per operation while no scope is open.
class ACCOUNT_API CategoryScope {
 public:
  explicit CategoryScope(Category category);
  ~CategoryScope();
  CategoryScope(const CategoryScope&) = delete;
  CategoryScope& operator=(const CategoryScope&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The torch version this adapter was built against, e.g. "2.13.0".
ACCOUNT_API std::string built_for();

}  // namespace account::torch
