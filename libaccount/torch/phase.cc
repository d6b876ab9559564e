// The rare question of Note: [phase]: was this graph task started with create_graph?
#include "torch/phase.h"

#include <ATen/ThreadLocalState.h>
#include <torch/csrc/autograd/graph_task.h>

#include <cstddef>

namespace torch::autograd {
TORCH_API const std::unordered_map<Node*, GraphTask::ExecInfo>* get_current_graph_task_exec_info();
}  // namespace torch::autograd

namespace account::torch {

// torch tells a task's keep_graph, which says nothing of it (retain_graph and create_graph are free
// of each other), but not whether it creates a graph: that is kept as the grad mode of the task's
// thread locals. The task is found from the address of its public member exec_info_, which torch
// does give; the adapter runs with no other minor version than the one whose headers say where
// that member lies.
bool task_creates_graph() {
  using ::torch::autograd::GraphTask;
  const auto* exec_info = ::torch::autograd::get_current_graph_task_exec_info();
  if (exec_info == nullptr) return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"  // conditionally supported, and gcc supports it
  constexpr size_t kOffset = offsetof(GraphTask, exec_info_);
#pragma GCC diagnostic pop
  const auto* task = reinterpret_cast<const GraphTask*>(  // NOLINT
      reinterpret_cast<const std::byte*>(exec_info) - kOffset);
  const at::ThreadLocalStateGuard as_in_the_task(task->thread_locals_);
  return c10::GradMode::is_enabled();
}

}  // namespace account::torch
