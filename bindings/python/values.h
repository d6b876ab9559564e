// What the core gives as plain values, as Python sees it: whole numbers of any size, dicts, and the
// classes Totals and JobStatus.
#pragma once

#include <pybind11/pybind11.h>

#include "account/op_count.h"

namespace account {

pybind11::int_ to_int(OpCount count);

void bind_totals(pybind11::module_& m);
void bind_job(pybind11::module_& m);

}  // namespace account
