// Fourier transforms. A complex transform of n points is 5 n log2(n) real operations, a real one
// half of that: the radix-2 count in which FFT speeds are stated (Van Loan, Computational
// Frameworks for the Fast Fourier Transform, 1.1; FFTW's benchFFT). For an n that is no power of
// two log2 is rounded up. Over several dimensions n is the product of their sizes.
#include <bit>

#include "count/formulas.h"

namespace account::count {
namespace {

// log2 of the product of the sizes at `dims`, rounded up; -1 where they are none.
int64_t levels(std::span<const int64_t> sizes, std::span<const int64_t> dims) noexcept {
  Product points;
  const auto rank = static_cast<int64_t>(sizes.size());
  for (int64_t dim : dims) {
    if (dim < 0) dim += rank;
    if (dim < 0 || dim >= rank) return -1;
    points.times(sizes[static_cast<size_t>(dim)]);
  }
  if (points.decline() != Decline::none || points.value().high() != 0) return -1;
  const uint64_t n = points.value().low();
  return n < 2 ? 0 : std::bit_width(n - 1);
}

// The sizes of the points (of a real transform the real side's), and the transformed dimensions.
Counted count_transform(const Arguments& arguments, uint64_t over) noexcept {
  const auto sizes = arguments[0].list(), dims = arguments[1].list();
  if (sizes.empty() || arguments[1].absent()) return declined(Decline::bad_rank);
  const int64_t log = levels(sizes, dims);
  if (log < 0) return declined(Decline::mismatched_shapes);
  return counted_over(Product().times(5).times(sizes).times(log), over);
}
Counted count_complex_transform(const Arguments& arguments) noexcept {
  return count_transform(arguments, 1);
}
Counted count_real_transform(const Arguments& arguments) noexcept {
  return count_transform(arguments, 2);
}

constexpr Row kRows[] = {
    {"aten::_fft_c2c", "", "self dim", "self", count_complex_transform, false, true},
    {"aten::_fft_c2c", "out", "self dim", "self", count_complex_transform, false, true},
    {"aten::_fft_r2c", "", "self dim", "self", count_real_transform, false, true},
    {"aten::_fft_r2c", "out", "self dim", "self", count_real_transform, false, true},
    {"aten::_fft_c2r", "", "-> dim", "->", count_real_transform, false, true},
    {"aten::_fft_c2r", "out", "-> dim", "->", count_real_transform, false, true},
};

}  // namespace

std::span<const Row> transform_rows() noexcept { return kRows; }

}  // namespace account::count
