// The distance between words.
#include "base/words.h"

#include <algorithm>
#include <numeric>

namespace account {
namespace {

// Insertions, deletions and replacements that turn one word into the other (Levenshtein 1966).
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& names) {
  const auto nearest =
      std::min_element(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
        return distance(a, word) < distance(b, word);
      });
  const size_t letters = std::max(nearest->size(), word.size());
  if (2 * distance(*nearest, word) > letters) return std::nullopt;
  return *nearest;
}

}  // namespace account
