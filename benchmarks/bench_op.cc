// What a counted operation costs over the bare one, in C++: mm of 4x4 matrices, the smallest real
// one, with a typed kernel and (mm.out) with a boxed one; and add, which has no formula and
// therefore no kernel of ours. Before them, to compare with: mm with a kernel that does nothing.
//
// One process measures both: `bare` excludes the dispatch key on which the counting kernels are
// registered, which is the path that a process without libaccount takes. A machine that others
// share changes its speed by half within seconds, so nothing is compared over longer than that: 20
// bare calls and 20 counted ones follow each other at once, in turns of who is first, and what is
// printed is the median of these pairs' differences, with its 95 % interval by order statistics.
// That is the interval within one run; the next run, at other addresses, differs by more.
#include <ATen/ops/add.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

#include "account/torch.h"
#include "tally/tally.h"
#include "torch/watch.h"

namespace {

constexpr int kCalls = 20, kPairs = 40000;

// `op` once on 4x4 matrices.
using Op = void (*)(const at::Tensor& a, at::Tensor& out);

struct Case {
  const char* name;
  Op op;
  int target_ns;  // over the bare call
};
constexpr Case kCases[] = {
    {"mm", [](const at::Tensor& a, at::Tensor& out) { out = at::mm(a, a); }, 50},
    {"mm_out (boxed)", [](const at::Tensor& a, at::Tensor& out) { at::mm_out(out, a, a); }, 200},
    {"add (no formula)", [](const at::Tensor& a, at::Tensor& out) { out = at::add(a, a); }, 0},
};

// What a kernel at our place costs that does nothing and goes on as kernels usually do. More than
// half of it is two more frames on the stack: libaccount/torch/typed.cc, Note: [one frame].
at::Tensor hop(c10::DispatchKeySet keys, const at::Tensor& a, const at::Tensor& b) {
  return at::_ops::mm::redispatch(account::torch::below_us(keys), a, b);
}

// Nanoseconds a call.
double time_calls(Op op, bool counted, const at::Tensor& a, at::Tensor& out) {
  const c10::impl::ExcludeDispatchKeyGuard guard(
      counted ? c10::DispatchKeySet() : c10::DispatchKeySet(c10::DispatchKey::BackendSelect));
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) {
    op(a, out);
    benchmark::DoNotOptimize(out);
  }
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
  return taken.count() / kCalls;
}

void measure(const Case& one) {
  const at::Tensor a = at::ones({4, 4});
  at::Tensor out = at::ones({4, 4});
  std::vector<double> bare, more;
  for (int pair = 0; pair < kPairs; ++pair) {
    const bool counted_first = pair % 2 == 0;
    const double first = time_calls(one.op, counted_first, a, out);
    const double second = time_calls(one.op, !counted_first, a, out);
    bare.push_back(counted_first ? second : first);
    more.push_back(counted_first ? first - second : second - first);
  }
  std::sort(bare.begin(), bare.end());
  std::sort(more.begin(), more.end());
  const size_t middle = kPairs / 2;
  const auto half = static_cast<size_t>(0.98 * std::sqrt(kPairs));  // 1.96 * sqrt(n) / 2
  std::printf(
      "%-18s counting costs %+6.1f ns a call (%.1f to %.1f) over %.0f (target: at most %d)\n",
      one.name, more[middle], more[middle - half], more[middle + half], bare[middle],
      one.target_ns);
}

}  // namespace

int main() {
  const c10::AutoGradMode no_grad(false);
  {
    torch::Library library(torch::Library::IMPL, "aten", c10::DispatchKey::BackendSelect, __FILE__,
                           __LINE__);
    library.impl("mm", TORCH_FN(hop));
    measure({"mm (empty kernel)", kCases[0].op, 50});
  }
  if (const account::Status status = account::torch::install(); !status.ok()) {
    std::fprintf(stderr, "bench_op: %s\n", status.to_string().c_str());
    return 1;
  }
  account::tally::activate(account::tally::Page::create_in_memory({}));
  for (const Case& one : kCases) measure(one);
}
