# What libaccount_torch.so is compiled from, beside the public headers. A wheel carries all of it, so
# that `account doctor --build` can compile an adapter for another torch (bindings/python).
set(ACCOUNT_TORCH_SOURCES
  adapter.cc arguments.cc audit.cc boxed.cc call_shapes.cc canary.cc capture.cc category.cc foreign.cc
  install.cc modules.cc phase.cc region.cc store_exchange.cc typed.cc watch.cc writers.cc)
set(ACCOUNT_TORCH_HEADERS
  base/clock.h base/exchange.h tally/layout.h tally/tally.h
  count/audit.h count/cost.h count/formula.h count/transcript.h count/uncounted.h gate/gate.h
  torch/adapter.h torch/arguments.h torch/audit.h torch/boxed.h torch/call_shapes.h torch/canary.h
  torch/capture.h torch/category.h torch/foreign.h torch/modules.h torch/phase.h torch/region.h
  torch/store_exchange.h torch/typed.h torch/watch.h)
