// Matrix products, dense and grouped. Additions of a bias or of a scaled `self` (addmm, baddbmm)
// are pointwise work and not counted here, as in torch.utils.flop_counter (mm_flop, addmm_flop,
// bmm_flop, baddbmm_flop).
#include "count/formulas.h"

namespace account::count {
namespace {

// m*n sums of k products: 2*m*k*n, where a fused multiply-add counts 2.
// Golub & Van Loan, Matrix Computations, 4th ed., 1.1.15.
Counted count_product(int64_t batch, int64_t m, int64_t k, int64_t n) noexcept {
  if (is_small(batch, m, k, n)) [[likely]] {
    const OpCount operations = matmul_operations(batch, m, k, n);
    return {{operations, operations, operations}, Decline::none};
  }
  return counted(Product().times(2).times(batch).times(m).times(k).times(n));
}

// [m,k] [k,n]
Counted count_matrix_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 2 || b.size() != 2) return declined(Decline::bad_rank);
  if (a[1] != b[0]) return declined(Decline::mismatched_shapes);
  return count_product(1, a[0], a[1], b[1]);
}

// [b,m,k] [b,k,n]; addbmm adds the products up, which changes nothing.
Counted count_batched_matrix_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 3 || b.size() != 3) return declined(Decline::bad_rank);
  if (a[0] != b[0] || a[2] != b[1]) return declined(Decline::mismatched_shapes);
  return count_product(a[0], a[1], a[2], b[2]);
}

// [m,k] [k]
Counted count_matrix_vector(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 2 || b.size() != 1) return declined(Decline::bad_rank);
  if (a[1] != b[0]) return declined(Decline::mismatched_shapes);
  return count_product(1, a[0], a[1], 1);
}

// [k] [k]
Counted count_dot(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 1 || b.size() != 1) return declined(Decline::bad_rank);
  if (a[0] != b[0]) return declined(Decline::mismatched_shapes);
  return count_product(1, 1, a[0], 1);
}

// [m] [n]: a rank-one update, one multiply-add an element (Golub & Van Loan, 1.1.7).
Counted count_outer(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() != 1 || b.size() != 1) return declined(Decline::bad_rank);
  return count_product(1, a[0], 1, b[0]);
}

// Any number of leading dimensions in both factors, broadcast: [...,m,k] [...,k,n], output.
Counted count_broadcast_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list(), out = arguments[2].list();
  if (a.size() < 2 || b.size() < 2 || out.size() < 2) return declined(Decline::bad_rank);
  if (a[a.size() - 1] != b[b.size() - 2]) return declined(Decline::mismatched_shapes);
  return counted(Product().times(2).times(out).times(a[a.size() - 1]));
}

// The sum of m*k*n over all pairs of two lists.
Counted count_listed_products(const Arguments& arguments) noexcept {
  if (arguments[0].absent()) return declined(Decline::bad_rank);
  return counted(Product().times(2).times(arguments[0].scalar()));
}

// self, mat2, where the last group ends (offs). One side or the inner dimension is cut into groups,
// or both factors are batched:
//   [M,K] [G,K,N]  rows in groups      [G,M,K] [K,N]  columns in groups
//   [M,K] [K,N]    K in groups         [G,M,K] [G,K,N]
// What lies behind the end of the last group is not computed; offsets that lie on a device are not
// read (that would wait for it), and then all of it counts.
Counted count_grouped_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  const bool rows = a.size() == 2 && b.size() == 3, columns = a.size() == 3 && b.size() == 2;
  const bool inner = a.size() == 2 && b.size() == 2, batched = a.size() == 3 && b.size() == 3;
  if (!rows && !columns && !inner && !batched) return declined(Decline::bad_rank);
  int64_t m = a[a.size() - 2], k = a[a.size() - 1], n = b[b.size() - 1];
  if (b[b.size() - 2] != k || (batched && a[0] != b[0])) {
    return declined(Decline::mismatched_shapes);
  }
  if (!arguments[2].absent() && !batched) {
    int64_t& cut = rows ? m : columns ? n : k;
    if (arguments[2].scalar() < 0 || arguments[2].scalar() > cut) {
      return declined(Decline::mismatched_shapes);
    }
    cut = arguments[2].scalar();
  }
  return count_product(batched ? a[0] : 1, m, k, n);
}

// The .dtype overloads give the result another type than the factors; only CUDA has kernels.
constexpr Row kRows[] = {
    {"aten::mm", "", "self mat2", "self", count_matrix_product},
    {"aten::mm", "out", "self mat2", "self", count_matrix_product},
    {"aten::mm", "dtype", "self mat2", "self", count_matrix_product, true},
    {"aten::mm", "dtype_out", "self mat2", "self", count_matrix_product, true},
    {"aten::addmm", "", "mat1 mat2", "mat1", count_matrix_product},
    {"aten::addmm", "out", "mat1 mat2", "mat1", count_matrix_product},
    {"aten::addmm", "dtype", "mat1 mat2", "mat1", count_matrix_product, true},
    {"aten::addmm", "dtype_out", "mat1 mat2", "mat1", count_matrix_product, true},
    {"aten::addmm_", "", "mat1 mat2", "mat1", count_matrix_product},
    {"aten::_addmm_activation", "", "mat1 mat2", "mat1", count_matrix_product},
    {"aten::_addmm_activation", "out", "mat1 mat2", "mat1", count_matrix_product},
    {"aten::_int_mm", "", "self mat2", "self", count_matrix_product},
    {"aten::_int_mm", "out", "self mat2", "self", count_matrix_product},
    {"aten::_scaled_mm", "", "self mat2", "self", count_matrix_product},
    {"aten::_scaled_mm", "out", "self mat2", "self", count_matrix_product},
    {"aten::_scaled_mm_v2", "", "self mat2", "self", count_matrix_product},
    {"aten::_scaled_mm_v2", "out", "self mat2", "self", count_matrix_product},

    {"aten::bmm", "", "self mat2", "self", count_batched_matrix_product},
    {"aten::bmm", "out", "self mat2", "self", count_batched_matrix_product},
    {"aten::bmm", "dtype", "self mat2", "self", count_batched_matrix_product, true},
    {"aten::bmm", "dtype_out", "self mat2", "self", count_batched_matrix_product, true},
    {"aten::baddbmm", "", "batch1 batch2", "batch1", count_batched_matrix_product},
    {"aten::baddbmm", "out", "batch1 batch2", "batch1", count_batched_matrix_product},
    {"aten::baddbmm", "dtype", "batch1 batch2", "batch1", count_batched_matrix_product, true},
    {"aten::baddbmm", "dtype_out", "batch1 batch2", "batch1", count_batched_matrix_product, true},
    {"aten::baddbmm_", "", "batch1 batch2", "batch1", count_batched_matrix_product},
    {"aten::addbmm", "", "batch1 batch2", "batch1", count_batched_matrix_product},
    {"aten::addbmm", "out", "batch1 batch2", "batch1", count_batched_matrix_product},
    {"aten::addbmm_", "", "batch1 batch2", "batch1", count_batched_matrix_product},

    {"aten::mv", "", "self vec", "self", count_matrix_vector},
    {"aten::mv", "out", "self vec", "self", count_matrix_vector},
    {"aten::addmv", "", "mat vec", "mat", count_matrix_vector},
    {"aten::addmv", "out", "mat vec", "mat", count_matrix_vector},
    {"aten::addmv_", "", "mat vec", "mat", count_matrix_vector},
    {"aten::dot", "", "self tensor", "self", count_dot},
    {"aten::dot", "out", "self tensor", "self", count_dot},
    {"aten::vdot", "", "self other", "self", count_dot},
    {"aten::vdot", "out", "self other", "self", count_dot},
    {"aten::addr", "", "vec1 vec2", "vec1", count_outer},
    {"aten::addr", "out", "vec1 vec2", "vec1", count_outer},
    {"aten::addr_", "", "vec1 vec2", "vec1", count_outer},

    {"aten::_grouped_mm", "", "self mat2 offs#end", "self", count_grouped_product},
    {"aten::_scaled_grouped_mm", "", "self mat2 offs#end", "self", count_grouped_product, true},
    {"aten::_scaled_grouped_mm_v2", "", "self mat2 offs#end", "self", count_grouped_product, true},
    // Without a kernel of its own it is mm after mm.
    {"aten::_foreach_mm", "", "self#products", "->", count_listed_products, true, false, true},
    {"quantized::matmul", "", "qa qb ->", "=int8", count_broadcast_product},
};

}  // namespace

std::span<const Row> matmul_rows() noexcept { return kRows; }

}  // namespace account::count
