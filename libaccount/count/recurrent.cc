// Fused recurrent layers (RNN, LSTM, GRU). At each time step of each sequence the gates are one
// product with the input's weights and one with the state's (and, with projections, one more): all
// elements of all weight matrices meet each time step once, 2 * steps * numel(weights). What the
// gates do then is pointwise work. Hochreiter & Schmidhuber 1997; Cho et al. 2014 (arXiv
// 1406.1078); torch.nn.LSTM and torch.nn.GRU state the products.
#include "count/formulas.h"

namespace account::count {
namespace {

// Time steps over all sequences: everything but the last size. Also of packed input [steps, size].
Product time_steps(std::span<const int64_t> input) noexcept {
  return Product().times(2).times(input.first(input.size() - 1));
}

// One layer and direction: input, its weights [gates * H, I], the state's [gates * H, H].
Counted count_layer(const Arguments& arguments, int64_t times) noexcept {
  const auto input = arguments[0].list();
  const auto from_input = arguments[1].list(), from_state = arguments[2].list();
  if (input.size() < 2 || from_input.size() != 2 || from_state.size() != 2) {
    return declined(Decline::bad_rank);
  }
  if (input[input.size() - 1] != from_input[1] || from_input[0] != from_state[0]) {
    return declined(Decline::mismatched_shapes);
  }
  const Product weights = Product().times(from_input).plus(Product().times(from_state));
  if (weights.decline() != Decline::none) return declined(weights.decline());
  return counted(time_steps(input).times(times).times_wide(weights.value().raw()));
}
Counted count_layer_forward(const Arguments& arguments) noexcept {
  return count_layer(arguments, 1);
}
// The gradients of input and state, and those of the weights: each as much as the forward.
Counted count_layer_backward(const Arguments& arguments) noexcept {
  return count_layer(arguments, 2);
}

// All layers and directions at once: input, elements of all weight matrices.
Counted count_stack(const Arguments& arguments, int64_t times) noexcept {
  const auto input = arguments[0].list();
  if (input.size() < 2 || arguments[1].absent()) return declined(Decline::bad_rank);
  return counted(time_steps(input).times(times).times(arguments[1].scalar()));
}
Counted count_stack_forward(const Arguments& arguments) noexcept {
  return count_stack(arguments, 1);
}
// input, weights, output_mask: (input, state, cell, weights).
Counted count_stack_backward(const Arguments& arguments) noexcept {
  const auto mask = arguments[2].list();
  if (mask.size() != 4) return declined(Decline::bad_rank);
  // The gradients of input and state come together.
  return count_stack(arguments, 1 + (mask[3] != 0 ? 1 : 0));
}

// Packed weights: input [.., I], output [.., directions * H], layers, bidirectional.
Counted count_packed(const Arguments& arguments, int64_t gates) noexcept {
  const auto input = arguments[0].list(), output = arguments[1].list();
  if (input.size() < 2 || output.size() != input.size()) return declined(Decline::bad_rank);
  const int64_t layers = arguments[2].scalar(), directions = arguments[3].scalar() != 0 ? 2 : 1;
  const int64_t width = output[output.size() - 1], state = width / directions;
  if (layers < 1 || width % directions != 0) return declined(Decline::mismatched_shapes);
  const auto layer = [&](int64_t from, int64_t many) {  // gates * H * (from + H) for each direction
    const Product columns = Product().times(from).plus(Product().times(state));
    return Product()
        .times(many)
        .times(directions)
        .times(gates)
        .times(state)
        .times_wide(columns.value().raw());
  };
  const Product all = layer(input[input.size() - 1], 1).plus(layer(width, layers - 1));
  if (all.decline() != Decline::none) return declined(all.decline());
  return counted(time_steps(input).times_wide(all.value().raw()));
}
Counted count_packed_lstm(const Arguments& arguments) noexcept {
  return count_packed(arguments, 4);
}
Counted count_packed_gru(const Arguments& arguments) noexcept { return count_packed(arguments, 3); }

constexpr std::string_view kPacked = "input -> num_layers bidirectional";

constexpr Row kRows[] = {
    {"aten::mkldnn_rnn_layer", "", "input weight0 weight1", "input", count_layer_forward},
    {"aten::mkldnn_rnn_layer_backward", "", "input weight1 weight2", "input", count_layer_backward},
    {"aten::_cudnn_rnn", "", "input weight#matrices", "input", count_stack_forward, true},
    {"aten::_cudnn_rnn_backward", "", "input weight#matrices output_mask", "input",
     count_stack_backward, true},
    {"aten::miopen_rnn", "", "input weight#matrices", "input", count_stack_forward, true},
    {"aten::miopen_rnn_backward", "", "input weight#matrices output_mask", "input",
     count_stack_backward, true},
    {"aten::quantized_lstm", "input", kPacked, "=int8", count_packed_lstm, false, false, true},
    {"aten::quantized_gru", "input", kPacked, "=int8", count_packed_gru, false, false, true},
};

}  // namespace

std::span<const Row> recurrent_rows() noexcept { return kRows; }

}  // namespace account::count
