// account::torch: watches PyTorch. Link account::torch (libaccount_torch.so).
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "account/export.h"
#include "account/formula.h"
#include "account/keys.h"
#include "account/op_count.h"
#include "account/run.h"
#include "account/status.h"
#include "account/totals.h"

namespace account::torch {

// Registers counting kernels below autograd for every op that has a formula, and for the ops of
// other libraries, whose calls are listed as uncounted. Call once, before or after Run::start;
// calling again only looks for ops that were defined since. Fails (unavailable) when this adapter
// was built for another torch or another libaccount; training is unaffected then. Thread-safe.
ACCOUNT_API Status install();

// Counts the op "ns::name" (all its overloads) or "ns::name.overload" by your formula, from the
// next call on. Its dtype is that of its first tensor; what it runs inside is not counted beside
// it. invalid_argument: it has a formula already; not_found: no such op is defined. Thread-safe.
ACCOUNT_API Status register_formula(const std::string& op, CallFormula formula);

// Counts `operations` that no dispatcher saw, such as a kernel launched by hand: now, on this
// thread, in the phase and category in which it is, under the name `op`. Call it after the kernel
// was launched. invalid_argument: more than kMostOperationsOfACall, or model or lower above
// executed. Thread-safe.
ACCOUNT_API Status add(Figures operations, std::string_view op, DType dtype);

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

// Thrown by libtorch's own writers while a signed stop stands, before anything is opened: by
// torch::save, OutputArchive::save_to, jit::Module::save and whatever else makes such an archive.
class ACCOUNT_API ExportDenied : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  ~ExportDenied() override;
};

// Ok where those writers ask the export gate in this process, tried out with an archive in memory.
// unavailable where libtorch_cpu.so comes before this library, by the order of linking, and always
// in Python, whose writers are gated by the package. Thread-safe.
ACCOUNT_API Status check_writers();

// The torch version this adapter was built against, e.g. "2.13.0".
ACCOUNT_API std::string built_for();

}  // namespace account::torch
