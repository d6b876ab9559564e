// Misspelt words and what they were meant to be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace account {

// The name that a word was meant to be, most likely; none where more than half of the letters would
// have to change. There must be one name at least.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& names);

}  // namespace account
