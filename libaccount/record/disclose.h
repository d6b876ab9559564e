// How much a record says: its maker chooses. Must not know who reads it.
#pragma once

#include <string_view>

#include "account/status.h"
#include "base/files.h"
#include "record/make.h"

namespace account::record {

// Each level says what those before it say.
enum class Disclosure {
  totals,      // four figures a run
  categories,  // and by category and phase, which policies need: the default
  steps,       // and step by step
  shapes,      // and by op and dtype, with the shapes of the steps that were recorded
};
Result<Disclosure> disclosure_from_name(std::string_view word);

// Takes out of the draft's record, or adds to it, what the level says. `steps` and `shapes` need a
// draft that kept steps.
Status disclose(FileSystem& files, Disclosure level, Draft& draft);

}  // namespace account::record
