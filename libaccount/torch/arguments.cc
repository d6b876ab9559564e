// Boxed arguments: what an IValue holds is known only at run time.
#include "torch/arguments.h"

#include <algorithm>
#include <vector>

namespace account::torch {
namespace {

bool is_compressed(c10::Layout layout) {
  return layout == c10::kSparseCsr || layout == c10::kSparseCsc || layout == c10::kSparseBsr ||
         layout == c10::kSparseBsc;
}

}  // namespace

void ArgumentWriter::write(int index, const c10::IValue& value) {
  if (value.isNone()) return;
  if (value.isTensor()) return write(index, value.toTensor());
  if (value.isInt()) return write(index, value.toInt());
  if (value.isBool()) return write(index, value.toBool());
  if (value.isIntList()) return write_list(index, value.toIntList());
  if (value.isBoolList()) return write_list(index, value.toBoolList());
  if (value.isSymInt() || value.isSymIntList()) problem_ = "symbolic size";
}

void ArgumentWriter::write_fact(int index, count::Fact fact, const c10::IValue& value) {
  if (value.isTensor()) return write_fact(index, fact, value.toTensor());
  if (fact != count::Fact::matrices || !value.isTensorList()) return;
  int64_t elements = 0;
  for (const at::Tensor& tensor : value.toTensorList().vec()) {
    if (tensor.dim() >= 2) elements += tensor.numel();
  }
  write(index, elements);
}

void ArgumentWriter::write_fact(int index, count::Fact fact, const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  switch (fact) {
    case count::Fact::numel:
      return write(index, tensor.numel());
    case count::Fact::last:
      if (tensor.dim() > 0) write(index, tensor.size(-1));
      return;
    case count::Fact::nnz:
      // Of blocks, and of sparse tensors with dense dimensions, the elements in them.
      if (tensor.is_sparse()) write(index, tensor._values().numel());
      if (is_compressed(tensor.layout())) write(index, tensor.values().numel());
      return;
    case count::Fact::end: {
      // One of a device is not read: that would make the host wait.
      if (!tensor.is_cpu() || tensor.dim() != 1 || tensor.numel() == 0) return;
      const int64_t last = tensor.numel() - 1;
      if (tensor.scalar_type() == at::kInt)
        write(index, int64_t{tensor.const_data_ptr<int32_t>()[last * tensor.stride(0)]});
      if (tensor.scalar_type() == at::kLong)
        write(index, tensor.const_data_ptr<int64_t>()[last * tensor.stride(0)]);
      return;
    }
    case count::Fact::sizes:
    case count::Fact::matrices:
    case count::Fact::products:
      return;
  }
}

void ArgumentWriter::write_products(int index, const c10::IValue& left, const c10::IValue& right) {
  if (!left.isTensorList() || !right.isTensorList()) return;
  const auto a = left.toTensorList().vec(), b = right.toTensorList().vec();
  int64_t sum = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (a[i].dim() != 2 || b[i].dim() != 2) return;
    int64_t product = 0;
    if (__builtin_mul_overflow(a[i].numel(), b[i].size(1), &product) ||
        __builtin_add_overflow(sum, product, &sum)) {
      problem_ = "more operations than 64 bits hold";
      return;
    }
  }
  write(index, sum);
}

}  // namespace account::torch
