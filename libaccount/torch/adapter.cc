// The table behind account_torch_adapter().
#include "torch/adapter.h"

#include "account/torch.h"
#include "account/version.h"
#include "torch/audit.h"
#include "torch/canary.h"
#include "torch/capture.h"
#include "torch/foreign.h"
#include "torch/modules.h"
#include "torch/phase.h"
#include "torch/region.h"

extern "C" const account::torch::Adapter* account_torch_adapter() noexcept {
  using account::torch::CapturedWork;
  using account::torch::CategoryScope;
  using account::torch::GraphCall;
  using account::torch::GraphCounts;
  static const account::torch::Adapter adapter{
      .build_id = ACCOUNT_BUILD_ID,
      .built_for = account::torch::built_for,
      .install = account::torch::install,
      .use_store_exchange = account::torch::use_store_exchange,
      // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): this one may throw; adapter.h
      .open_category = [](account::Category category) { return new CategoryScope(category); },
      .close_category = [](CategoryScope* scope) { delete scope; },
      .mark_optimizer =
          [](bool inside) noexcept {
            using account::torch::ThreadState;
            account::torch::thread_state.optimizer_task =
                inside ? ::torch::autograd::get_current_graph_task_id() : ThreadState::kNoOptimizer;
          },
      // NOLINTNEXTLINE(bugprone-unhandled-exception-at-new): this one may throw; adapter.h
      .make_graph = [](const std::vector<GraphCall>& calls) { return new GraphCounts(calls); },
      .destroy_graph = [](GraphCounts* graph) { delete graph; },
      .enter_region = account::torch::enter_region,
      .leave_region =
          [](const GraphCounts* graph) noexcept {
            const account::OpCount shadow = account::torch::leave_region();
            if (graph != nullptr) graph->count(shadow);
          },
      .calls_counted = []() noexcept { return account::torch::thread_state.counted; },
      .check_watching_and_tell = account::torch::check_watching_and_tell,
      .begin_capture = account::torch::begin_capture,
      .end_capture = account::torch::end_capture,
      .replay = [](const CapturedWork* work) noexcept { work->replay(); },
      .destroy_captured = [](CapturedWork* work) { delete work; },
      .track_modules = account::torch::track_modules,
      .enter_place = account::torch::enter_place,
      .leave_place = account::torch::leave_place,
      .current_place = account::torch::current_place,
      .read_places = account::torch::read_places,
      .watch_every_op = account::torch::watch_every_op,
      .watching_every_op = account::torch::watching_every_op,
      .watch_new_ops = account::torch::watch_new_ops,
      .list_uncounted = account::torch::list_uncounted,
      .register_formula = account::torch::register_formula,
      .add = account::torch::add,
  };
  return &adapter;
}
