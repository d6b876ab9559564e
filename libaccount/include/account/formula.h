// Formulas of your own, for ops that libaccount has none for: a kernel of yours that is registered
// with torch's dispatcher (account/torch.h), whose work only you know.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "account/keys.h"
#include "account/op_count.h"
#include "account/status.h"

namespace account {

// One argument or result of a call, without its data.
struct CallArgument {
  enum class Kind {
    absent,   // an optional that was not given, or an undefined tensor
    tensor,   // `sizes`, `dtype`
    tensors,  // `items`
    number,   // `numbers` holds one: of an int, or of a bool 0 or 1
    numbers,  // `numbers`: of a list of them
    real,     // `real`
    other,    // text, a generator, a device: nothing to compute with
  };
  std::string name;  // in the op's schema; of an unnamed result empty
  Kind kind = Kind::other;
  std::vector<int64_t> sizes;
  DType dtype = DType::other;
  std::vector<int64_t> numbers;
  double real = 0;
  std::vector<CallArgument> items;
};

struct CallShapes {
  std::vector<CallArgument> inputs;   // in the order of the op's schema
  std::vector<CallArgument> outputs;  // likewise
};

// From the shapes of one call that has returned to its operations: an addition, a multiplication
// each count 1, a fused multiply-add 2. Called on the thread that made the call, so from several at
// once. A failed Result, an exception and an absurd number (above kMostOperationsOfACall) all leave
// the call uncounted, listed with the reason; training goes on.
using CallFormula = std::function<Result<OpCount>(const CallShapes&)>;

// 10^24: more than an accelerator of 10^16 operations a second does in three years.
inline constexpr OpCount kMostOperationsOfACall =
    OpCount::from_raw(static_cast<Uint128>(1'000'000'000'000) * 1'000'000'000'000);

}  // namespace account
