// Counting one call that has returned. The hot path from here on: no allocation, lock or Python.
#include "torch/watch.h"

#include "count/transcript.h"
#include "count/uncounted.h"
#include "tally/tally.h"
#include "torch/capture.h"
#include "torch/category.h"
#include "torch/modules.h"
#include "torch/phase.h"

namespace account::torch {
namespace {

// By torch's names, never by its numbers: those may shift between versions.
constexpr std::array<DType, kScalarTypes> make_dtypes() {
  using T = c10::ScalarType;
  constexpr std::pair<T, DType> kNames[] = {
      {T::Double, DType::float64},
      {T::Float, DType::float32},
      {T::Half, DType::float16},
      {T::BFloat16, DType::bfloat16},
      {T::Float8_e4m3fn, DType::float8_e4m3fn},
      {T::Float8_e5m2, DType::float8_e5m2},
      {T::Float8_e4m3fnuz, DType::float8_e4m3fnuz},
      {T::Float8_e5m2fnuz, DType::float8_e5m2fnuz},
      {T::Float8_e8m0fnu, DType::float8_e8m0fnu},
      {T::Float4_e2m1fn_x2, DType::float4_e2m1fn_x2},
      {T::Int4, DType::int4},
      {T::Char, DType::int8},
      {T::QInt8, DType::int8},
      {T::Byte, DType::uint8},
      {T::QUInt8, DType::uint8},
      {T::Short, DType::int16},
      {T::Int, DType::int32},
      {T::QInt32, DType::int32},
      {T::Long, DType::int64},
      {T::Bool, DType::bool_},
      {T::ComplexHalf, DType::complex32},
      {T::ComplexFloat, DType::complex64},
      {T::ComplexDouble, DType::complex128},
  };
  std::array<DType, kScalarTypes> table{};  // DType::other
  for (const auto& [type, dtype] : kNames) table[static_cast<size_t>(type)] = dtype;
  return table;
}

}  // namespace

constexpr std::array<DType, kScalarTypes> dtypes = make_dtypes();

thread_local constinit ThreadState thread_state;
constinit std::atomic<uint32_t> attention{0};

bool look_after(tally::Key key, const Figures& figures) noexcept {
  const uint32_t to = attention.load(std::memory_order_acquire);
  if ((to & kCapturing) != 0 && keep_captured(key, figures)) return true;
  if ((to & kModules) != 0) note_place(key, figures.executed);
  return false;
}

const char* undense(c10::DispatchKeySet keys) noexcept {
  if (is_dense(keys)) return nullptr;
  return keys.has(c10::DispatchKey::NestedTensor) ? "nested tensor" : "sparse layout";
}

void count_call(const WatchedOp& op, const Reading& reading, const count::Arguments& arguments,
                DType dtype) noexcept {
  const tally::Key key{op.op_id, dtype, current_phase(thread_state), current_category()};
  const count::Counted counted = count::count_call(*reading.row, arguments, dtype, key.phase);
  if (counted.decline != count::Decline::none) [[unlikely]] {
    return list_uncounted(reading.row->op, count::name(counted.decline),
                          count::bound_of_call(arguments));
  }
  const bool in_tally = keep(key, counted.figures);
  if (in_tally && count::recording.load(std::memory_order_relaxed)) [[unlikely]] {
    count::record(*reading.row, arguments, key, counted.figures);
  }
}

void decline_call(const WatchedOp& op, const char* reason, OpCount bound) noexcept {
  list_uncounted(op.name(), reason, bound);
}

}  // namespace account::torch
