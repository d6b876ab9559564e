// The category of what runs now. It travels in torch's thread-local debug information, so that
// backward inherits the category in which it was called, on whatever thread it runs.
#pragma once

#include <atomic>

#include "account/keys.h"

namespace account::torch {

// Scopes open in this process: while there is none, asking costs one load.
extern std::atomic<int> open_category_scopes;
Category category_of_thread() noexcept;

[[gnu::always_inline]] inline Category current_category() noexcept {
  if (open_category_scopes.load(std::memory_order_relaxed) == 0) return Category::unassigned;
  return category_of_thread();
}

}  // namespace account::torch
