// Compiled graphs: what one call of a graph computes is known before it runs, and part of it runs
// in kernels that the dispatcher never sees. So the graph counts as a whole when its call returns,
// and what its known ops report meanwhile goes to a shadow sum that only cross-checks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "account/keys.h"
#include "account/status.h"
#include "count/formula.h"

namespace account::torch {

// One op call of a graph, as the compile pass wrote it down.
struct GraphCall {
  std::string op, overload;
  std::vector<std::optional<std::vector<int64_t>>> arguments;  // in the order of the op's row
  DType dtype = DType::other;
  std::string phase;  // a phase's name, kAsCalled or kTraining
};
// The `overload` of a call whose one argument is its operations: of a kernel with the user's
// formula.
inline constexpr char kLiteral[] = "=";
// That of a call that cannot be counted: its arguments are the elements of its tensors, its phase
// is the reason.
inline constexpr char kUnknown[] = "?";
// The phase of a call that only the audit sees: its arguments are the elements of its tensors, the
// sizes of its first two (of attention; else empty), and how many such calls the graph has.
inline constexpr char kAudited[] = "audited";
// That in which the graph is called.
inline constexpr char kAsCalled[] = "";
// The forward graph of training: forward, or recompute within a backward.
inline constexpr char kTraining[] = "training";

// What one call of a graph with given sizes computes. Immutable; count() from any thread.
class GraphCounts {
 public:
  // Calls that cannot be counted are listed at each count() with their reason.
  explicit GraphCounts(const std::vector<GraphCall>& calls);

  // Counts one call of the graph, in the phase and category of the calling thread, and notes its
  // other work on audit steps. `shadow`: what the dispatcher saw of it.
  void count(OpCount shadow) const noexcept;

 private:
  struct Entry {
    const count::Row* row;  // nullptr: `literal`
    count::Arguments arguments;
    uint16_t op_id;
    DType dtype;
    std::optional<Phase> phase;
    bool training;
    OpCount literal;

    Figures figures(Phase in) const noexcept;
  };
  void add_literal(const GraphCall& call, Entry entry);
  void add_audited(const GraphCall& call);
  struct Declined {
    std::string op, reason;
    OpCount bound;
  };
  std::vector<Entry> entries_;
  std::vector<Declined> declined_;
  std::vector<Audited> audited_;  // by op
};

// Between these two, known ops on this thread report to the shadow sum. They nest.
void enter_region() noexcept;
// The shadow sum of the outermost region that ends here; 0 for an inner one.
OpCount leave_region() noexcept;

}  // namespace account::torch
