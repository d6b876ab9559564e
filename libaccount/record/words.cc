// The words of records.
#include <algorithm>
#include <array>

#include "record/record.h"

namespace account::record {
namespace {

constexpr std::array<std::string_view, 10> kKinds = {
    "pretraining", "declared",    "fine-tune",    "post-training", "adapter",
    "merge",       "combination", "quantisation", "distillation",  "copy"};
constexpr std::array<std::string_view, 4> kGrades = {"counted", "declared", "estimated", "unknown"};

template <typename Word, size_t size>
std::optional<Word> find(const std::array<std::string_view, size>& words, std::string_view word) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return std::nullopt;
  return static_cast<Word>(found - words.begin());
}

}  // namespace

std::string_view name(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }
std::optional<Kind> kind_from_name(std::string_view word) { return find<Kind>(kKinds, word); }

const std::vector<std::string_view>& kind_names() {
  static const std::vector<std::string_view> names(kKinds.begin(), kKinds.end());
  return names;
}

bool is_base(Kind kind) { return kind == Kind::pretraining || kind == Kind::declared; }

std::string_view name(Grade grade) { return kGrades[static_cast<size_t>(grade)]; }
std::optional<Grade> grade_from_name(std::string_view word) { return find<Grade>(kGrades, word); }

}  // namespace account::record
