// How a failure leaves C++ for Python.
#pragma once

#include <exception>
#include <utility>

#include "account/status.h"

namespace account {

// A failed Status on its way to Python, where libaccount/_errors.py picks the exception.
struct StatusError : std::exception {
  explicit StatusError(Status s) : status(std::move(s)) {}
  Status status;
};

inline void raise_unless_ok(Status status) {
  if (!status.ok()) throw StatusError(std::move(status));
}

}  // namespace account
