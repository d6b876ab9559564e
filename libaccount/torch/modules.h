// Which part of a model an operation belongs to, for count(by_module=True). Off unless asked for.
//
// A place is a path of modules that call each other, as a number that the caller made up; 0 is
// outside of all. Forward work belongs to the place in which its thread is; a gradient to the place
// in which the autograd node was made that computes it: nodes have numbers that grow on each
// thread, and it is kept from which number on the thread was where. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "account/op_count.h"
#include "tally/tally.h"

namespace account::torch {

// Nested: each `true` needs its `false`. With the last one all that was kept is forgotten.
void track_modules(bool on);
// Around a module's forward, on its thread.
void enter_place(uint64_t place);
void leave_place() noexcept;
uint64_t current_place() noexcept;

struct PlaceRow {
  uint64_t place;
  uint16_t op;
  Phase phase;
  OpCount executed;
};
// All since tracking was switched on.
std::vector<PlaceRow> read_places();

// Adds what was counted on this thread just now. Never fails.
void note_place(const tally::Key& key, OpCount executed) noexcept;

}  // namespace account::torch
