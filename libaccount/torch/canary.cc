// The canary, and how its death is told.
#include "torch/canary.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/mm_ops.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <atomic>
#include <string>

#include "count/uncounted.h"
#include "tally/tally.h"
#include "torch/watch.h"

namespace account::torch {

Status check_watching() {
  if (c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::BackendSelect)) {
    return {Code::unavailable, "this thread leaves out the dispatch key that calls are counted at",
            "look for an ExcludeDispatchKeyGuard of BackendSelect"};
  }
  const at::Tensor a(at::detail::empty_cpu({1, 1}, at::kFloat));
  struct Canary {
    Canary() { thread_state.canary = true, thread_state.canary_seen = false; }
    ~Canary() { thread_state.canary = false; }
  } canary;
  at::_ops::mm::redispatch(c10::DispatchKeySet(c10::DispatchKey::BackendSelect) | a.key_set(), a,
                           a);
  if (thread_state.canary_seen) return {};
  return {Code::unavailable, "the counting kernels were registered, but torch does not call them",
          "look for another library that overrides aten::mm for BackendSelect"};
}

void check_watching_and_tell() noexcept {
  static std::atomic<bool> told{false};
  try {
    const Status status = check_watching();
    if (status.ok()) return;
    count::note_uncounted("aten::mm", status.fault());
    if (told.exchange(true)) return;
    // Both sentences are above, and have nothing to escape.
    tally::post_event(tally::EventKind::gap,
                      R"({"kind":"not_watched","detail":")" + status.to_string() + R"("})");
  } catch (...) {
    return;
  }
}

}  // namespace account::torch
