// Trains a small network on handwritten digits in C++, without Python, and counts its operations.
//
//   cpp_trainer DIGITS.csv [DIR]     the run's evidence goes to DIR ("account" unless said)
//
// The network: a convolution of 8 channels, ReLU, pooling, and a linear layer of 10 outputs.
#include <ATen/ops/argmax.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/relu.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adam.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "account/account.h"
#include "account/torch.h"
#include "digits.h"

namespace {

constexpr int64_t kBatch = 32, kEpochs = 6, kHeldOut = 297;
constexpr int64_t kChannels = 8, kFeatures = kChannels * 4 * 4, kClasses = 10;

struct Net : torch::nn::Module {
  Net() {
    register_module("convolution", convolution);
    register_module("linear", linear);
  }
  at::Tensor forward(const at::Tensor& images) {
    const at::Tensor seen = at::relu(convolution->forward(images));
    return linear->forward(at::max_pool2d(seen, {2, 2}).flatten(1));
  }
  torch::nn::Conv2d convolution{torch::nn::Conv2dOptions(1, kChannels, 3).padding(1)};
  torch::nn::Linear linear{kFeatures, kClasses};
};

// Operations of images, worked out by hand: a fused multiply-add is 2. Backward: the gradients of
// both weights and of the linear layer's input; the images have none.
constexpr uint64_t kConvolution = 2 * 8 * 8 * kChannels * 9, kLinear = 2 * kFeatures * kClasses;
constexpr uint64_t kForward = kConvolution + kLinear;
constexpr uint64_t kTraining = kForward + kConvolution + 2 * kLinear;

double accuracy(Net& net, const Digits& digits, int64_t from) {
  const account::torch::CategoryScope scope(account::Category::evaluate);
  const c10::NoGradGuard no_grad;
  const at::Tensor guess = net.forward(digits.images.slice(0, from)).argmax(1);
  return guess.eq(digits.labels.slice(0, from)).to(at::kDouble).mean().item<double>();
}

// False once the run is told to stop: what is to be saved is to be saved then.
bool train_one_epoch(Net& net, torch::optim::Adam& optimizer, const Digits& digits, int64_t count,
                     account::Run& run) {
  const account::torch::CategoryScope scope(account::Category::train);
  const at::Tensor order = at::randperm(count, at::kLong);
  for (int64_t begin = 0; begin < count; begin += kBatch) {
    const at::Tensor batch = order.slice(0, begin, begin + kBatch);
    const at::Tensor loss = at::cross_entropy_loss(net.forward(digits.images.index({batch})),
                                                   digits.labels.index({batch}));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    run.processed(static_cast<uint64_t>(batch.size(0)), 0);
    if (const account::Status status = run.step(); !status.ok()) {
      std::fprintf(stderr, "%s\n", status.to_string().c_str());
      return false;
    }
  }
  return true;
}

int fail(const std::string& fault) {
  std::fprintf(stderr, "cpp_trainer: %s\n", fault.c_str());
  return 1;
}

int train(const Digits& digits, account::Run& run) {
  torch::manual_seed(0);
  Net net;
  torch::optim::Adam optimizer(net.parameters(), torch::optim::AdamOptions(0.01));
  const int64_t count = digits.labels.size(0) - kHeldOut;
  for (int64_t epoch = 1; epoch <= kEpochs; ++epoch) {
    if (!train_one_epoch(net, optimizer, digits, count, run)) return 86;
    std::printf("epoch %d: held-out accuracy %.3f\n", static_cast<int>(epoch),
                accuracy(net, digits, count));
  }
  const uint64_t closed =
      kEpochs * (static_cast<uint64_t>(count) * kTraining + kHeldOut * kForward);
  const account::Totals totals = run.totals();
  std::printf("counted        %s operations in %llu steps\nclosed formula %llu\n",
              totals.executed.to_decimal().c_str(), static_cast<unsigned long long>(totals.steps),
              static_cast<unsigned long long>(closed));
  return totals.executed == account::OpCount(closed) ? 0 : fail("they differ");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return fail("usage: cpp_trainer DIGITS.csv [DIR]");
  Digits digits;
  std::string fault;
  if (!read_digits(argv[1], digits, fault)) return fail(fault);
  if (digits.labels.size(0) <= kHeldOut) return fail(std::string(argv[1]) + ": too few digits");

  auto run = account::Run::start({.model = "digits", .dir = argc > 2 ? argv[2] : "account"});
  if (!run.ok()) return fail(run.status().to_string());
  if (const account::Status watched = account::torch::install(); !watched.ok()) {
    return fail(watched.to_string());
  }
  const int status = train(digits, *run);
  if (const account::Status finished = run->finish(); !finished.ok()) {
    std::fprintf(stderr, "%s\n", finished.to_string().c_str());
  }
  std::printf("account verify %s\n", run->directory().c_str());
  return status;
}
