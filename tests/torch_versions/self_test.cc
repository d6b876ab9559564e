// Does the adapter fit the torch that is loaded? Installs it, runs one product, compares the count.
#include <ATen/core/Tensor.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>

#include <cstdio>

#include "account/run.h"
#include "account/torch.h"
#include "tally/tally.h"

int main() {
  using namespace account;
  const Status installed = ::account::torch::install();
  if (!installed.ok()) {
    std::printf("install: %s\n", installed.to_string().c_str());
    return 1;
  }
  tally::activate(tally::Page::create_in_memory({}));
  (void)at::mm(at::ones({3, 5}), at::ones({5, 7}));
  const Totals totals = tally::to_totals(tally::read_process());
  const OpCount expected(2 * 3 * 5 * 7);
  std::printf("torch %s: counted %s operations of %s\n", ::account::torch::built_for().c_str(),
              totals.executed.to_decimal().c_str(), expected.to_decimal().c_str());
  return totals.executed == expected ? 0 : 1;
}
