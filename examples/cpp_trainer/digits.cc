// Reading the digits.
#include "digits.h"

#include <ATen/ops/from_blob.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kPixels = 64, kMostInk = 16, kClasses = 10;

// The line's numbers, or nothing for a line that is none of ours.
std::vector<int> numbers_of(std::string_view line) {
  std::vector<int> numbers;
  const char* at = line.data();
  const char* end = at + line.size();
  while (at < end) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || (next < end && *next != ',')) return {};
    numbers.push_back(number);
    at = next < end ? next + 1 : end;
  }
  if (numbers.size() != kPixels + 1 || numbers.back() < 0 || numbers.back() >= kClasses) return {};
  for (int i = 0; i < kPixels; ++i) {
    if (numbers[static_cast<size_t>(i)] < 0 || numbers[static_cast<size_t>(i)] > kMostInk)
      return {};
  }
  return numbers;
}

}  // namespace

bool read_digits(const std::string& path, Digits& digits, std::string& fault) {
  std::ifstream file(path);
  if (!file) {
    fault = path + ": cannot be read; give the path of scikit-learn's digits.csv, unpacked";
    return false;
  }
  std::vector<float> pixels;
  std::vector<int64_t> labels;
  for (std::string line; std::getline(file, line);) {
    const std::vector<int> numbers = numbers_of(line);
    if (numbers.empty()) {
      fault = path + ": line " + std::to_string(labels.size() + 1) +
              " is not 64 pixels from 0 to 16 and a digit; is it scikit-learn's digits.csv?";
      return false;
    }
    for (int i = 0; i < kPixels; ++i) {
      pixels.push_back(static_cast<float>(numbers[static_cast<size_t>(i)]) / kMostInk);
    }
    labels.push_back(numbers.back());
  }
  const auto count = static_cast<int64_t>(labels.size());
  digits.images = at::from_blob(pixels.data(), {count, 1, 8, 8}, at::kFloat).clone();
  digits.labels = at::from_blob(labels.data(), {count}, at::kLong).clone();
  return true;
}
