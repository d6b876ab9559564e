// Solvers and decompositions, and distances between points. The textbook counts, leading terms:
// what LAPACK and its like run depends on block sizes, and of eigenvalues on the data.
//
// G: Golub & Van Loan, Matrix Computations, 4th ed. L: LAPACK Working Note 41, appendix C.
// Fractions are rounded down. A batch multiplies.
#include <algorithm>

#include "count/formulas.h"

namespace account::count {
namespace {

// A batch of matrices [..., m, n].
struct Matrices {
  bool ok = false;
  std::span<const int64_t> batch;
  int64_t m = 0, n = 0;

  explicit Matrices(const Argument& argument) {
    const auto sizes = argument.list();
    ok = sizes.size() >= 2 &&
         std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size >= 0; });
    if (!ok) return;
    batch = sizes.first(sizes.size() - 2);
    m = sizes[sizes.size() - 2];
    n = sizes[sizes.size() - 1];
  }
  int64_t longer() const { return std::max(m, n); }
  int64_t shorter() const { return std::min(m, n); }
};

Product term(int64_t factor, int64_t a, int64_t b, int64_t c) noexcept {
  return Product().times(factor).times(a).times(b).times(c);
}

// (sum - subtracted) / 3 for each matrix of the batch.
Counted thirds(const Matrices& of, const Product& sum, const Product& subtracted) noexcept {
  for (const Product* part : {&sum, &subtracted}) {
    if (part->decline() != Decline::none) return declined(part->decline());
  }
  const auto rest = checked_subtract(sum.value(), subtracted.value());
  if (!rest.has_value()) return declined(Decline::mismatched_shapes);
  return counted(Product().times_wide(rest->raw() / 3).times(of.batch));
}
Counted thirds(const Matrices& of, const Product& sum) noexcept {
  return thirds(of, sum, Product().times(0));
}

// What a square matrix costs: factor/3 * n^3.
template <int64_t kFactor>
Counted count_cube(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  if (!a.ok) return declined(Decline::bad_rank);
  if (a.m != a.n) return declined(Decline::mismatched_shapes);
  return thirds(a, term(kFactor, a.n, a.n, a.n));
}

// LU of [m,n], r = min(m, n): m n^2 - n^3/3 multiply-adds for m >= n (G 3.2, 3.4).
Counted count_lu(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  if (!a.ok) return declined(Decline::bad_rank);
  const int64_t r = a.shorter();
  return thirds(a, term(3, a.longer(), r, r), term(1, r, r, r));
}

// Columns of the right-hand side: sizes of a solution [..., n, k], [..., n] or, from the right,
// [..., k, n]: its elements over n. Each costs factor * n^2.
Counted count_solves(const Arguments& arguments, int64_t factor, int64_t cubes) noexcept {
  const Matrices a(arguments[0]);
  const auto solution = arguments[1].list();
  if (!a.ok || solution.empty()) return declined(Decline::bad_rank);
  if (a.m != a.n) return declined(Decline::mismatched_shapes);
  const Product solves = Product().times(factor).times(solution).times(a.n);
  if (solves.decline() != Decline::none) return declined(solves.decline());
  const Counted factoring = thirds(a, term(cubes, a.n, a.n, a.n));
  if (factoring.decline != Decline::none) return factoring;
  return counted(Product(solves).plus(Product().times_wide(factoring.figures.executed.raw())));
}
// One triangle: n^2 a column (G 3.1). Two of them: 2 n^2.
Counted count_triangular_solve(const Arguments& arguments) noexcept {
  return count_solves(arguments, 1, 0);
}
Counted count_two_solves(const Arguments& arguments) noexcept {
  return count_solves(arguments, 2, 0);
}
// LU, then two triangles: 2/3 n^3 + 2 n^2 k (G 3.2.8).
Counted count_solve(const Arguments& arguments) noexcept { return count_solves(arguments, 2, 2); }

// Householder QR of [m,n], r = min: for m >= n 2 n^2 (m - n/3) (G 5.2.1).
Product reflectors3(const Matrices& a) noexcept {  // three times the first term
  return term(6, a.longer(), a.shorter(), a.shorter());
}
Counted count_geqrf(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  if (!a.ok) return declined(Decline::bad_rank);
  const int64_t r = a.shorter();
  return thirds(a, reflectors3(a), term(2, r, r, r));
}
// A [m,n], output Q: none (mode r), [m,r] (reduced: as much again), [m,m] (complete: 4 m^2 r -
// 4 m r^2 + 4/3 r^3; G 5.2.2). Output Q is empty for mode r.
Counted count_qr(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  const auto q = arguments[1].list();
  if (!a.ok || q.empty()) return declined(Decline::bad_rank);
  const int64_t r = a.shorter();
  const bool none = q.size() < 2 || q[q.size() - 1] == 0;
  const bool complete = !none && q[q.size() - 1] > r;
  Product sum = reflectors3(a), subtracted = term(2, r, r, r);
  if (complete) {
    sum.plus(term(12, a.m, a.m, r)).plus(term(4, r, r, r));
    subtracted.plus(term(12, a.m, r, r));
  } else if (!none) {
    sum.plus(reflectors3(a));
    subtracted.plus(term(2, r, r, r));
  }
  return thirds(a, sum, subtracted);
}
// Q [m,n] from k reflectors: 4mnk - 2(m+n)k^2 + 4/3 k^3 (L, xORGQR). input [m,n], tau [k].
Counted count_orgqr(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  const auto tau = arguments[1].list();
  if (!a.ok || tau.empty()) return declined(Decline::bad_rank);
  const int64_t k = tau[tau.size() - 1];
  return thirds(a, term(12, a.m, a.n, k).plus(term(4, k, k, k)),
                term(6, a.m, k, k).plus(term(6, a.n, k, k)));
}
// Q applied to C, from the left to [m,n] by k reflectors: 4mnk - 2nk^2 (L, xORMQR; from the right
// m and n change places). tau, C, left.
Counted count_ormqr(const Arguments& arguments) noexcept {
  const auto tau = arguments[0].list();
  const Matrices c(arguments[1]);
  if (!c.ok || tau.empty()) return declined(Decline::bad_rank);
  const int64_t k = tau[tau.size() - 1], other = arguments[2].scalar() != 0 ? c.n : c.m;
  return thirds(c, term(12, c.m, c.n, k), term(6, other, k, k));
}

// Symmetric eigenvalues 4/3 n^3, with vectors 9 n^3 (G 8.3). A, compute_v.
Counted count_eigh(const Arguments& arguments) noexcept {
  return arguments[1].scalar() != 0 ? count_cube<27>(arguments) : count_cube<4>(arguments);
}

// Singular values of [m,n], r = min: 4 m r^2 - 4/3 r^3; with thin vectors 14 m r^2 + 8 r^3; with
// all vectors 4 m^2 r + 8 m r^2 + 9 r^3 (G 8.6.3, figure 8.6.1). A, full_matrices, compute_uv.
Counted count_svd(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  if (!a.ok) return declined(Decline::bad_rank);
  const int64_t m = a.longer(), r = a.shorter();
  if (arguments[2].scalar() == 0) return thirds(a, term(12, m, r, r), term(4, r, r, r));
  if (arguments[1].scalar() == 0) return thirds(a, term(42, m, r, r).plus(term(24, r, r, r)));
  return thirds(a, term(12, m, m, r).plus(term(24, m, r, r)).plus(term(27, r, r, r)));
}

// Least squares by QR: 2 n^2 (m - n/3), Q' applied to k right-hand sides 4mnk - 2n^2k, and a
// triangle n^2 k (G 5.3.3). A [m,n], B [m,k] or [m].
Counted count_lstsq(const Arguments& arguments) noexcept {
  const Matrices a(arguments[0]);
  const auto b = arguments[1].list();
  if (!a.ok || b.empty()) return declined(Decline::bad_rank);
  const int64_t r = a.shorter(), k = b.size() == arguments[0].list().size() ? b[b.size() - 1] : 1;
  return thirds(a, reflectors3(a).plus(term(12, a.m, a.n, k)),
                term(2, r, r, r).plus(term(3, r, r, k)));
}

// Distances between points [.., p, d] and [.., r, d]: a difference, a power and a sum for each
// coordinate of each pair, 3 p r d. (For p = 2 torch may use a product of matrices instead, which
// is counted as one.)
Counted count_distances(const Arguments& arguments) noexcept {
  const auto points = arguments[0].list(), pairs = arguments[1].list();
  if (points.size() < 2 || pairs.empty()) return declined(Decline::bad_rank);
  return counted(Product().times(3).times(pairs).times(points[points.size() - 1]));
}

constexpr Row kRows[] = {
    {"aten::linalg_cholesky_ex", "", "self", "self", count_cube<1>},  // n^3/3 (G 4.2.5)
    {"aten::linalg_cholesky_ex", "L", "self", "self", count_cube<1>},
    {"aten::cholesky", "", "self", "self", count_cube<1>},
    {"aten::cholesky", "out", "self", "self", count_cube<1>},
    {"aten::cholesky_inverse", "", "self", "self", count_cube<2>},  // 2/3 n^3 (L, xPOTRI)
    {"aten::cholesky_inverse", "out", "self", "self", count_cube<2>},
    {"aten::_cholesky_solve_helper", "", "A ->", "self", count_two_solves},
    {"aten::linalg_ldl_factor_ex", "", "self", "self", count_cube<1>},  // n^3/3 (G 4.4)
    {"aten::linalg_ldl_factor_ex", "out", "self", "self", count_cube<1>},
    {"aten::linalg_ldl_solve", "", "LD ->", "B", count_two_solves},
    {"aten::linalg_ldl_solve", "out", "LD ->", "B", count_two_solves},
    {"aten::linalg_lu_factor_ex", "", "A", "A", count_lu},
    {"aten::linalg_lu_factor_ex", "out", "A", "A", count_lu},
    {"aten::linalg_lu", "", "A", "A", count_lu},
    {"aten::linalg_lu", "out", "A", "A", count_lu},
    {"aten::linalg_lu_solve", "", "LU ->", "B", count_two_solves},
    {"aten::linalg_lu_solve", "out", "LU ->", "B", count_two_solves},
    {"aten::_linalg_solve_ex", "", "A ->", "A", count_solve},
    {"aten::_linalg_solve_ex", "result", "A ->", "A", count_solve},
    {"aten::linalg_inv_ex", "", "A", "A", count_cube<6>},  // 2 n^3 (L, xGETRF and xGETRI)
    {"aten::linalg_inv_ex", "inverse", "A", "A", count_cube<6>},
    {"aten::_linalg_det", "", "A", "A", count_lu},
    {"aten::_linalg_det", "result", "A", "A", count_lu},
    {"aten::_linalg_slogdet", "", "A", "A", count_lu},
    {"aten::_linalg_slogdet", "sign", "A", "A", count_lu},
    {"aten::linalg_solve_triangular", "", "self ->", "B", count_triangular_solve},
    {"aten::linalg_solve_triangular", "out", "self ->", "B", count_triangular_solve},
    {"aten::triangular_solve", "", "A ->", "self", count_triangular_solve},
    {"aten::triangular_solve", "X", "A ->", "self", count_triangular_solve},
    {"aten::geqrf", "", "self", "self", count_geqrf},
    {"aten::geqrf", "a", "self", "self", count_geqrf},
    {"aten::linalg_qr", "", "A ->", "A", count_qr},
    {"aten::linalg_qr", "out", "A ->", "A", count_qr},
    {"aten::linalg_householder_product", "", "input tau", "input", count_orgqr},
    {"aten::linalg_householder_product", "out", "input tau", "input", count_orgqr},
    {"aten::ormqr", "", "input2 input3 left", "self", count_ormqr},
    {"aten::ormqr", "out", "input2 input3 left", "self", count_ormqr},
    {"aten::_linalg_eigh", "", "A compute_v", "A", count_eigh},
    {"aten::_linalg_eigh", "eigenvalues", "A compute_v", "A", count_eigh},
    {"aten::linalg_eig", "", "self", "->", count_cube<75>, false, true},  // 25 n^3 (G 7.5.6)
    {"aten::linalg_eig", "out", "self", "->", count_cube<75>, false, true},
    {"aten::_linalg_eigvals", "", "self", "->", count_cube<30>, false, true},  // 10 n^3 (G 7.5.6)
    {"aten::_linalg_svd", "", "A full_matrices compute_uv", "A", count_svd},
    {"aten::_linalg_svd", "U", "A full_matrices compute_uv", "A", count_svd},
    {"aten::linalg_lstsq", "", "self b", "self", count_lstsq, false, false, true},
    {"aten::linalg_lstsq", "out", "self b", "self", count_lstsq, false, false, true},
    {"aten::_cdist_forward", "", "x1 ->", "x1", count_distances, false, false, true},
    {"aten::_cdist_backward", "", "x1 cdist", "x1", count_distances, false, false, true},
    {"aten::_pdist_forward", "", "self ->", "self", count_distances},
    {"aten::_pdist_backward", "", "self pdist", "self", count_distances},
};

}  // namespace

std::span<const Row> linalg_rows() noexcept { return kRows; }

}  // namespace account::count
