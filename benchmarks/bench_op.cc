// What a counted operation costs over the bare one, in C++: mm of 4x4 matrices, the smallest real
// one, with a typed kernel and (mm.out) with a boxed one; and add, which has no formula and
// therefore no kernel of ours.
//
// One process measures both: `bare` excludes the dispatch key on which the counting kernels are
// registered, which is the path that a process without libaccount takes. Repetitions of all
// benchmarks are interleaved at random, so that a machine that speeds up or slows down meanwhile
// does so for all of them. The lines at the end compare lower deciles of the thread's CPU time:
// what is in the way (a shared core, stolen time) only adds.
#include <ATen/ops/add.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "account/torch.h"
#include "tally/tally.h"

namespace {

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

void bench(benchmark::State& state, Op op, bool counted) {
  const c10::AutoGradMode no_grad(false);
  const at::Tensor a = at::ones({4, 4});
  at::Tensor out = at::ones({4, 4});
  c10::impl::ExcludeDispatchKeyGuard guard(
      counted ? c10::DispatchKeySet() : c10::DispatchKeySet(c10::DispatchKey::BackendSelect));
  for (auto _ : state) {
    op(a, out);
    benchmark::DoNotOptimize(out);
  }
}

double lower_decile(const std::vector<double>& values) {
  std::vector<double> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  return sorted[sorted.size() / 10];
}

// Prints what google-benchmark prints, then the differences of the lower deciles.
class DifferenceReporter final : public benchmark::ConsoleReporter {
 public:
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.aggregate_name == "decile") {
        deciles_[run.run_name.function_name] = run.GetAdjustedCPUTime();
      }
    }
    ConsoleReporter::ReportRuns(runs);
  }
  void Finalize() override {
    ConsoleReporter::Finalize();
    for (const Case& one : kCases) {
      const std::string name(one.name);
      std::printf(
          "%-17s counting costs %+6.1f ns a call (lower decile of CPU time; target: at most %d)\n",
          one.name, deciles_[name + "/counted"] - deciles_[name + "/bare"], one.target_ns);
    }
  }

 private:
  std::map<std::string, double> deciles_;
};

}  // namespace

int main(int argc, char** argv) {
  if (const account::Status status = account::torch::install(); !status.ok()) {
    std::fprintf(stderr, "bench_op: %s\n", status.to_string().c_str());
    return 1;
  }
  account::tally::activate(account::tally::Page::create_in_memory({}));
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> arguments{argv[0], interleave.data()};
  arguments.insert(arguments.end(), argv + 1, argv + argc);
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  for (const Case& one : kCases) {
    for (const bool counted : {false, true}) {
      const std::string name = std::string(one.name) + (counted ? "/counted" : "/bare");
      benchmark::RegisterBenchmark(name.c_str(), bench, one.op, counted)
          ->Repetitions(200)
          ->MinTime(0.005)
          ->ComputeStatistics("decile", lower_decile)
          ->ReportAggregatesOnly();
    }
  }
  DifferenceReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
