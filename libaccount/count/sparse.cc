// Products of which one factor has a sparse layout: each element that it stores meets a row (or a
// column) of the other factor once, 2 * nnz * n. That is what runs, so all figures are equal.
// Saad, Iterative Methods for Sparse Linear Systems, 2nd ed., 3.5.
#include "count/formulas.h"

namespace account::count {
namespace {

// The factors [..,m,k] and [..,k,n] or [k], then what each stores; absent for a dense one. What two
// sparse factors cost depends on where their elements lie.
Counted count_sparse_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list(), b = arguments[1].list();
  if (a.size() < 2 || b.empty()) return declined(Decline::bad_rank);
  const bool vector = b.size() == 1;
  if (!vector && b.size() != a.size()) return declined(Decline::bad_rank);
  if (a[a.size() - 1] != b[vector ? 0 : b.size() - 2]) return declined(Decline::mismatched_shapes);
  const Argument &stored_a = arguments[2], &stored_b = arguments[3];
  if (!stored_a.absent() && !stored_b.absent()) return declined(Decline::two_sparse);
  if (!stored_a.absent()) {
    return counted(Product().times(2).times(stored_a.scalar()).times(vector ? 1 : b[b.size() - 1]));
  }
  if (stored_b.absent()) return declined(Decline::mismatched_shapes);
  return counted(Product().times(2).times(stored_b.scalar()).times(a[a.size() - 2]));
}

// self (sparse) + mat1 mat2 where self has elements: each is one sum of k products.
Counted count_sampled_product(const Arguments& arguments) noexcept {
  const auto a = arguments[0].list();
  if (a.size() < 2 || arguments[1].absent()) return declined(Decline::bad_rank);
  return counted(Product().times(2).times(arguments[1].scalar()).times(a[a.size() - 1]));
}

constexpr std::string_view kSelf = "self mat2 self#nnz mat2#nnz";
constexpr std::string_view kAdded = "mat1 mat2 mat1#nnz mat2#nnz";

constexpr Row kRows[] = {
    {"aten::mm", "sparse", kSelf, "self", count_sparse_product},
    {"aten::mm", "sparse.out", kSelf, "self", count_sparse_product},
    {"aten::addmm", "sparse", kAdded, "mat1", count_sparse_product},
    {"aten::addmm", "sparse.out", kAdded, "mat1", count_sparse_product},
    {"aten::addmm_", "sparse", kAdded, "mat1", count_sparse_product},
    {"aten::bmm", "sparse", kSelf, "self", count_sparse_product},
    {"aten::bmm", "sparse.out", kSelf, "self", count_sparse_product},
    {"aten::mv", "sparse", "self vec self#nnz vec#nnz", "self", count_sparse_product},
    {"aten::addmv", "sparse", "mat vec mat#nnz vec#nnz", "mat", count_sparse_product},
    {"aten::addmv", "sparse.out", "mat vec mat#nnz vec#nnz", "mat", count_sparse_product},
    {"aten::_sparse_mm_reduce_impl", "sparse", "self other self#nnz other#nnz", "self",
     count_sparse_product},
    {"aten::_sparse_sparse_matmul", "sparse", "self other self#nnz other#nnz", "self",
     count_sparse_product},
    {"aten::sspaddmm", "sparse", kAdded, "mat1", count_sparse_product},
    {"aten::sspaddmm", "sparse.out", kAdded, "mat1", count_sparse_product},
    {"aten::hspmm", "sparse", kAdded, "mat1", count_sparse_product},
    {"aten::sparse_sampled_addmm", "sparse", "mat1 self#nnz", "mat1", count_sampled_product},
    {"aten::sparse_sampled_addmm", "sparse.out", "mat1 self#nnz", "mat1", count_sampled_product},
};

}  // namespace

std::span<const Row> sparse_rows() noexcept { return kRows; }

}  // namespace account::count
