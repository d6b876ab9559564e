// Where in a training step the calling thread is, told from what autograd is doing on it.
//
// Note: [phase]  no graph task on this thread: forward
//                graph task, grad mode off:    backward
//                graph task, grad mode on:     an activation checkpoint runs its forward again,
//                                              unless the task itself builds a graph
//                                              (create_graph, func.grad): then backward
//                inside an optimizer's step, grad mode off, in the graph task in which the step
//                began:                        optimizer (its closure brings its own tasks)
// Inside a task that builds a graph a recomputation cannot be told apart and counts as backward:
// `model` is then too large rather than too small.
#pragma once

#include <c10/core/GradMode.h>

#include "account/keys.h"
#include "torch/watch.h"

// Declared here because their header, engine.h, costs 8 s of compile time a file.
namespace torch::autograd {
TORCH_API int get_current_graph_task_id();
}  // namespace torch::autograd

namespace account::torch {

// True if the graph task on this thread was started with create_graph. Precondition: there is one.
bool task_creates_graph();

[[gnu::always_inline]] inline Phase current_phase(const ThreadState& state) {
  const int task = ::torch::autograd::get_current_graph_task_id();
  const bool in_task = task >= 0;
  if (!in_task && state.optimizer_task == ThreadState::kNoOptimizer) return Phase::forward;
  if (!c10::GradMode::is_enabled()) {
    if (task == state.optimizer_task) return Phase::optimizer;
    return in_task ? Phase::backward : Phase::forward;
  }
  if (!in_task) return Phase::forward;  // an optimizer's closure
  return task_creates_graph() ? Phase::backward : Phase::recompute;
}

// That of a forward whose own code turned grad mode off (a compiled graph's).
inline Phase training_phase(const ThreadState& state) {
  if (::torch::autograd::get_current_graph_task_id() < 0) return current_phase(state);
  return task_creates_graph() ? Phase::backward : Phase::recompute;
}

}  // namespace account::torch
