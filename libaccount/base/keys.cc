// The words of phases, categories and dtypes. Must not know who counts.
#include "account/keys.h"

#include <array>
#include <span>

namespace account {
namespace {

// In the order of the enums.
constexpr std::array<std::string_view, kPhaseCount> kPhases = {"forward", "backward", "recompute",
                                                               "optimizer"};
constexpr std::array<std::string_view, kCategoryCount> kCategories = {
    "unassigned", "train", "evaluate", "generate", "rollout", "auxiliary"};
constexpr std::array<std::string_view, kDTypeCount> kDTypes = {"other",
                                                               "float64",
                                                               "float32",
                                                               "float16",
                                                               "bfloat16",
                                                               "float8_e4m3fn",
                                                               "float8_e5m2",
                                                               "float8_e4m3fnuz",
                                                               "float8_e5m2fnuz",
                                                               "float8_e8m0fnu",
                                                               "float4_e2m1fn_x2",
                                                               "int4",
                                                               "int8",
                                                               "uint8",
                                                               "int16",
                                                               "int32",
                                                               "int64",
                                                               "bool",
                                                               "complex32",
                                                               "complex64",
                                                               "complex128"};

template <typename Enum>
std::string_view word(std::span<const std::string_view> words, Enum value) noexcept {
  const auto index = static_cast<size_t>(value);
  return index < words.size() ? words[index] : "?";
}

template <typename Enum>
std::optional<Enum> value(std::span<const std::string_view> words, std::string_view w) noexcept {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == w) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(Phase phase) noexcept { return word(kPhases, phase); }
std::string_view name(Category category) noexcept { return word(kCategories, category); }
std::string_view name(DType dtype) noexcept { return word(kDTypes, dtype); }

std::optional<Phase> phase_from_name(std::string_view w) noexcept {
  return value<Phase>(kPhases, w);
}
std::optional<Category> category_from_name(std::string_view w) noexcept {
  return value<Category>(kCategories, w);
}
std::optional<DType> dtype_from_name(std::string_view w) noexcept {
  return value<DType>(kDTypes, w);
}

}  // namespace account
