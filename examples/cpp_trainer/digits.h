// The handwritten digits of the UCI repository (Alpaydin & Kaynak 1998), as scikit-learn carries
// them: 1,797 images of 8 x 8 pixels from 0 to 16, and the digit that each shows.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

struct Digits {
  at::Tensor images;  // [n, 1, 8, 8], float32, from 0 to 1
  at::Tensor labels;  // [n], int64
};

// Reads lines of 64 pixels and a label, separated by commas. False, and why in `fault`, for a file
// that cannot be read or holds anything else.
bool read_digits(const std::string& path, Digits& digits, std::string& fault);
