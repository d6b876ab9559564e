// Watching all ops, for the audit (count/audit.h): by torch's RecordFunction, which sees every call
// and slows every call down, so only while it is switched on.
#pragma once

namespace account::torch {

// Nested: each `true` needs its `false`. Thread-safe. May throw what torch throws.
void watch_every_op(bool on);

}  // namespace account::torch
