// Boxed arguments: what an IValue holds is known only at run time.
#include "torch/arguments.h"

namespace account::torch {

void ArgumentWriter::write(int index, const c10::IValue& value) {
  if (value.isNone()) return;
  if (value.isTensor()) return write(index, value.toTensor());
  if (value.isInt()) return write(index, value.toInt());
  if (value.isBool()) return write(index, value.toBool());
  if (value.isIntList()) return write_list(index, value.toIntList());
  if (value.isBoolList()) return write_list(index, value.toBoolList());
  if (value.isSymInt() || value.isSymIntList()) problem_ = "symbolic size";
}

}  // namespace account::torch
