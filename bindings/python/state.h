// A rank's state between Python, which makes and reads it, and the core, which locks it.
#pragma once

#include <pybind11/pybind11.h>

#include <functional>

#include "account/run.h"

namespace account {

// `save` is called with a function that takes bytes. What it raises is the failure: the stop goes
// on. It lives as long as the process, since it may be let go of where there is no GIL.
std::function<Status(const Sink&)> state_writer(pybind11::function save);

// Gives `write` the bytes, piece by piece. Path, step and order of what was read.
pybind11::tuple read_state(const Run& run, const pybind11::function& write);

}  // namespace account
