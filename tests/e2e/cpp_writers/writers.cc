// A training job in C++ that tries all of libtorch's own writers: at once, or once it was stopped.
//
//   writers DIR [at-once]        one line a way: its name, a tab, and what became of it
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/serialize.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "account/account.h"
#include "account/torch.h"

namespace {

using Way = std::function<void(const std::string& path)>;
using Bytes = std::function<size_t(const void*, size_t)>;

size_t count_bytes(const void*, size_t size) { return size; }

torch::serialize::OutputArchive archive_of(const at::Tensor& weight) {
  torch::serialize::OutputArchive archive;
  archive.write("weight", weight);
  return archive;
}

torch::jit::Module module_of(const at::Tensor& weight) {
  torch::jit::Module module("net");
  module.register_buffer("weight", weight);
  module.define("def forward(self, x):\n  return x + self.weight\n");
  return module;
}

std::map<std::string, Way> ways_of(const at::Tensor& weight) {
  return {
      {"torch::save, file", [&](const std::string& path) { torch::save(weight, path); }},
      {"torch::save, stream",
       [&](const std::string&) {
         std::ostringstream stream;
         torch::save(weight, stream);
       }},
      {"torch::save, function",
       [&](const std::string&) { torch::save(weight, Bytes(count_bytes)); }},
      {"OutputArchive, file", [&](const std::string& path) { archive_of(weight).save_to(path); }},
      {"OutputArchive, stream",
       [&](const std::string&) {
         std::ostringstream stream;
         archive_of(weight).save_to(stream);
       }},
      {"OutputArchive, function",
       [&](const std::string&) { archive_of(weight).save_to(Bytes(count_bytes)); }},
      {"jit::Module, file", [&](const std::string& path) { module_of(weight).save(path); }},
      {"jit::Module, mobile",
       [&](const std::string& path) { module_of(weight)._save_for_mobile(path); }},
      {"pickle_save", [&](const std::string&) { (void)torch::jit::pickle_save(weight); }},
      {"kept", [&](const std::string& path) { torch::save(weight, path); }},
  };
}

std::string outcome(const Way& way, const std::string& path) {
  try {
    way(path);
  } catch (const account::torch::ExportDenied& denied) {
    return std::string("denied: ") + denied.what();
  } catch (const std::exception& error) {
    return std::string("failed: ") + error.what();
  }
  return "written";
}

// As a C++ trainer would: libtorch's archive, in memory.
account::Status save_state(const at::Tensor& weight, const account::Sink& to) {
  std::ostringstream stream;
  torch::save(weight, stream);
  return to(stream.str());
}

}  // namespace

int main(int argc, char** argv) {
  const bool at_once = argc > 2 && std::string_view(argv[2]) == "at-once";
  const std::string folder = argv[1];
  at::Tensor weight = at::ones({4, 4});
  auto run = account::Run::start(
      {.state = [&](const account::Sink& to) { return save_state(weight, to); }});
  const account::Status watched = account::torch::install();
  if (!run.ok() || !watched.ok()) {
    std::fprintf(stderr, "%s\n", (run.ok() ? watched : run.status()).to_string().c_str());
    return 1;
  }
  account::Status step;
  while (step.ok() && !at_once) {
    weight = at::mm(weight, weight) / 4;
    step = run->step();
    std::ofstream(folder + "/training");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const account::Status gated = account::torch::check_writers();
  std::printf("check_writers\t%s\n", gated.ok() ? "ok" : gated.to_string().c_str());
  for (const auto& [name, way] : ways_of(weight)) {
    std::printf("%s\t%s\n", name.c_str(), outcome(way, folder + "/" + name).c_str());
  }
  (void)run->finish();
  return step.ok() ? 0 : 86;
}
