// What the Python module finds in libaccount_torch.so. The module has no torch types and is not
// linked to the adapter: it loads it after torch is there, and checks `build_id` before the rest.
#pragma once

#include <string>

#include "account/export.h"
#include "account/keys.h"
#include "account/run.h"
#include "account/status.h"

namespace account::torch {

class CategoryScope;

struct Adapter {
  const char* build_id;  // stays the first member for ever
  std::string (*built_for)();
  Status (*install)();
  void (*use_store_exchange)(Run& run, std::string group_name);
  CategoryScope* (*open_category)(Category category);
  void (*close_category)(CategoryScope* scope);  // on the thread that opened it, last first
  // Between an optimizer's pre and post step hooks: operations of this thread are its own.
  void (*mark_optimizer)(bool inside) noexcept;
};

inline constexpr char kAdapterSymbol[] = "account_torch_adapter";

}  // namespace account::torch

extern "C" ACCOUNT_API const account::torch::Adapter* account_torch_adapter() noexcept;
