// What the package asks before it goes on, or loads what somebody else may have put there.
#pragma once

#include <pybind11/pybind11.h>

namespace account {

void bind_permission(pybind11::module_& m);

}  // namespace account
