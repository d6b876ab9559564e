// Watching all ops, for the audit (count/audit.h): by torch's RecordFunction, which sees every call
// and slows every call down, so only while it is switched on.
#pragma once

#include <c10/util/ArrayRef.h>

#include <cstdint>
#include <string>

#include "account/totals.h"

namespace account::torch {

// Nested: each `true` needs its `false`. Thread-safe. May throw what torch throws.
void watch_every_op(bool on);
// Whether it is on: then what the dispatcher does not see is to be noted by whoever runs it.
bool watching_every_op() noexcept;

// What so many calls of one op do beside what its formula counts: by the elements of its largest
// tensor and, for attention, of its first two tensors' sizes (else empty). Nothing (0 calls) of an
// op that only moves data or is made of others.
Audited audited_calls(const std::string& op, const std::string& overload, uint64_t elements,
                      c10::IntArrayRef query, c10::IntArrayRef key, uint64_t calls);

}  // namespace account::torch
