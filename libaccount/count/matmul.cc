// Matrix products. Additions of a bias or of a scaled `self` (addmm, baddbmm) are pointwise work
// and not counted here, as in torch.utils.flop_counter (mm_flop, addmm_flop, bmm_flop,
// baddbmm_flop).
#include "count/formulas.h"

namespace account::count {
namespace {

// m*n sums of k products: 2*m*k*n, where a fused multiply-add counts 2.
// Golub & Van Loan, Matrix Computations, 4th ed., 1.1.15.
Counted count_product(int64_t batch, int64_t m, int64_t k, int64_t n) noexcept {
  const auto bits = [](int64_t size) { return static_cast<uint64_t>(size); };
  const bool small = (bits(batch) | bits(m) | bits(k) | bits(n)) >> 31 == 0;  // none negative
  if (small) [[likely]]
    return {matmul_figures(batch, m, k, n), Decline::none};
  return counted(Product().times(2).times(batch).times(m).times(k).times(n));
}

}  // namespace

Counted count_matrix_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 2 || b.size() != 2) return declined(Decline::bad_rank);
  if (a[1] != b[0]) return declined(Decline::mismatched_shapes);
  return count_product(1, a[0], a[1], b[1]);
}

Counted count_batched_matrix_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 3 || b.size() != 3) return declined(Decline::bad_rank);
  if (a[0] != b[0] || a[2] != b[1]) return declined(Decline::mismatched_shapes);
  return count_product(a[0], a[1], a[2], b[2]);
}

}  // namespace account::count
