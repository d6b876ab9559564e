// What the Python module finds in libaccount_torch.so. The module has no torch types and is not
// linked to the adapter: it loads it after torch is there, and checks `build_id` before the rest.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "account/export.h"
#include "account/formula.h"
#include "account/keys.h"
#include "account/run.h"
#include "account/status.h"

namespace account::torch {

class CapturedWork;
class CategoryScope;
class GraphCounts;
struct GraphCall;
struct PlaceRow;

struct Adapter {
  const char* build_id;  // stays the first member for ever
  std::string (*built_for)();
  Status (*install)();
  void (*use_store_exchange)(Run& run, std::string group_name);
  CategoryScope* (*open_category)(Category category);
  void (*close_category)(CategoryScope* scope);  // on the thread that opened it, last first
  // Between an optimizer's pre and post step hooks: operations of this thread are its own.
  void (*mark_optimizer)(bool inside) noexcept;
  // Compiled graphs (region.h). leave_region counts `graph` unless it is nullptr.
  GraphCounts* (*make_graph)(const std::vector<GraphCall>& calls);
  void (*destroy_graph)(GraphCounts* graph);
  void (*enter_region)() noexcept;
  void (*leave_region)(const GraphCounts* graph) noexcept;
  uint64_t (*calls_counted)() noexcept;  // by this thread
  void (*check_watching_and_tell)(bool every_op) noexcept;
  // CUDA graphs (capture.h).
  void (*begin_capture)() noexcept;
  CapturedWork* (*end_capture)();
  void (*replay)(const CapturedWork* work) noexcept;
  void (*destroy_captured)(CapturedWork* work);
  // Counts by module (modules.h).
  void (*track_modules)(bool on);
  void (*enter_place)(uint64_t place);
  void (*leave_place)() noexcept;
  uint64_t (*current_place)() noexcept;
  std::vector<PlaceRow> (*read_places)();
  void (*watch_every_op)(bool on);
  bool (*watching_every_op)() noexcept;
  void (*watch_new_ops)();
  void (*list_uncounted)(std::string_view op, std::string_view reason, OpCount bound) noexcept;
  Status (*register_formula)(const std::string& op, CallFormula formula);
  Status (*add)(Figures operations, std::string_view op, DType dtype);
};

inline constexpr char kAdapterSymbol[] = "account_torch_adapter";

}  // namespace account::torch

extern "C" ACCOUNT_API const account::torch::Adapter* account_torch_adapter() noexcept;
