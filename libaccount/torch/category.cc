// CategoryScope on c10::ThreadLocalDebugInfo. Must not know ops or the tally.
#include "torch/category.h"

#include <c10/util/ThreadLocalDebugInfo.h>

#include <memory>
#include <string_view>
#include <type_traits>

#include "account/torch.h"

namespace account::torch {
namespace {

struct CategoryInfo final : c10::DebugInfoBase {
  explicit CategoryInfo(Category c) : category(c) {}
  Category category;
};

constexpr std::string_view kKindName = "ACCOUNT_CATEGORY";

// A kind of our own where torch lets kinds be made (2.13); before that kinds were a closed enum,
// of which this one was left for tests.
template <typename Kind>
constexpr Kind make_kind() {
  if constexpr (std::is_class_v<Kind>) {
    return Kind(&kKindName);
  } else {
    return Kind::TEST_INFO_2;
  }
}
constexpr auto kKind = make_kind<c10::DebugInfoKind>();

}  // namespace

std::atomic<int> open_category_scopes{0};

Category category_of_thread() noexcept {
  const auto* info = c10::ThreadLocalDebugInfo::get(kKind);
  return info == nullptr ? Category::unassigned : static_cast<const CategoryInfo*>(info)->category;
}

struct CategoryScope::State {
  explicit State(Category category) : guard(kKind, std::make_shared<CategoryInfo>(category)) {}
  c10::DebugInfoGuard guard;
};

CategoryScope::CategoryScope(Category category) : state_(std::make_unique<State>(category)) {
  open_category_scopes.fetch_add(1, std::memory_order_relaxed);
}

CategoryScope::~CategoryScope() { open_category_scopes.fetch_sub(1, std::memory_order_relaxed); }

}  // namespace account::torch
