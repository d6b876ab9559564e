// Links account::nccl as a trainer without a store would.
#include <account/nccl.h>

#include <cstdio>

int main() {
  auto run = account::Run::start({.model = "acme/chat-7b"});
  if (!run.ok()) return 1;
  const account::Status road = account::nccl::exchange(*run, nullptr, nullptr, {.every = 50});
  std::printf("built for NCCL %s: %s\n", account::nccl::built_for().c_str(),
              road.to_string().c_str());
}
