// The canary, and how its death is told.
#include "torch/canary.h"

#include <ATen/EmptyTensor.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/mm_ops.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>

#include "count/uncounted.h"
#include "tally/tally.h"
#include "torch/watch.h"

namespace account::torch {
namespace {

constexpr char kCanary[] = "aten::mm";

// Never destroyed: threads may train until the process is gone.
struct Places {
  std::mutex mutex;
  std::vector<c10::OperatorName> ops;
  std::string registrar;  // as torch calls us
};
Places& the_places() {
  static auto& places = *new Places;
  return places;
}

// Who registered the kernel of an op that its calls meet where ours should be, in torch's words
// ("registered at <file>:<line>"); empty where torch does not say.
std::string registrar_of(const c10::OperatorName& op) {
  constexpr std::string_view kPlace = "\nBackendSelect: ", kEnd = " :: ";
  const auto handle = c10::Dispatcher::singleton().findSchema(op);
  if (!handle.has_value()) return "";
  const std::string state = handle->dumpState();
  const size_t at = state.find(kPlace);
  if (at == std::string::npos) return "";
  const size_t begin = at + kPlace.size(), end = state.find(kEnd, begin);
  return end == std::string::npos ? "" : state.substr(begin, end - begin);
}

// `detail`: a sentence of this file, with names of ops, which have nothing to escape.
void tell_gap(const std::string& detail) {
  tally::post_event(tally::EventKind::gap,
                    R"({"kind":"not_watched","detail":")" + detail + R"("})");
}

}  // namespace

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

void check_watching_and_tell(bool every_op) noexcept {
  static std::atomic<bool> told{false}, told_of_ops{false};
  try {
    if (const Status status = check_watching(); !status.ok()) {
      count::note_uncounted(kCanary, status.fault());
      if (!told.exchange(true)) tell_gap(status.to_string());
    }
    if (!every_op) return;
    std::string names;
    for (const std::string& op : overridden_ops()) {
      if (op == kCanary && told) continue;
      count::note_uncounted(op, "another library takes its calls");
      names.append(names.empty() ? "" : ", ").append(op);
    }
    if (names.empty() || told_of_ops.exchange(true)) return;
    tell_gap("another library takes the calls of " + names + " where they are counted");
  } catch (...) {
    return;
  }
}

void watch_place(std::string_view op, std::string_view overload) {
  Places& places = the_places();
  const std::lock_guard lock(places.mutex);
  places.ops.emplace_back(std::string(op), std::string(overload));
  // All are registered from one line of the source.
  if (places.registrar.empty()) places.registrar = registrar_of(places.ops.back());
}

std::vector<std::string> overridden_ops() {
  Places& places = the_places();
  const std::lock_guard lock(places.mutex);
  std::vector<std::string> overridden;
  for (const c10::OperatorName& op : places.ops) {
    const std::string who = registrar_of(op);
    if (!who.empty() && who != places.registrar) overridden.push_back(op.name);
  }
  std::ranges::sort(overridden);
  overridden.erase(std::ranges::unique(overridden).begin(), overridden.end());
  return overridden;
}

}  // namespace account::torch
