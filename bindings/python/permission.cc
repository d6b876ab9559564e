// Hands two of the core's judgements to Python.
#include "permission.h"

#include <unistd.h>

#include <string>

#include "account/account.h"
#include "base/rights.h"
#include "run/uncounted.h"
#include "status_error.h"

namespace account {

void bind_permission(pybind11::module_& m) {
  m.attr("build_id") = std::string(build_id());
  m.def("may_go_uncounted", [] { raise_unless_ok(may_go_uncounted()); });
  m.def(
      "refuse_unless_own",
      [](const std::string& path) { raise_unless_ok(only_root_writes(path, geteuid())); },
      pybind11::arg("path"));
}

}  // namespace account
