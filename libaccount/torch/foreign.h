// Ops that have no row in the table: those of other libraries, seen as they are defined, and those
// that the user gives a formula.
//
// Note: [defined later] torch tells of new ops while it holds the lock that registering a kernel
// takes. So their names are kept, and watch_new_ops() registers the kernels soon after.
#pragma once

#include <functional>
#include <string>

#include "account/formula.h"
#include "account/status.h"

namespace account::torch {

// Learns of all ops there are and of those still to come. Call once.
// `register_row`: registers the kernels of an op that has rows in the table; false if it has none.
void follow_definitions(
    std::function<bool(const std::string& op, const std::string& overload)> register_row);
// Gives ops that were defined since a counting kernel. Cheap where there is none. Thread-safe.
void watch_new_ops();

}  // namespace account::torch
