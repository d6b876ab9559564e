// A training rank whose only road to the other nodes is its communicator (the fake of
// support/fake_nccl.h): nccl_rank LOG BOARD QUIET OVER
//
// Counts in each step until the file QUIET is there, and closes steps until OVER is.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "account/account.h"
#include "e2e/cpp/call_log.h"
#include "e2e/cpp/rank_facts.h"
#include "nccl/road.h"
#include "support/fake_nccl.h"
#include "tally/tally.h"

namespace account::e2e {
namespace {

constexpr uint64_t kEvery = 5;

int fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}

int work(const char* log_path, const char* board, const char* quiet, const char* over) {
  CallLog log(log_path);
  auto run = Run::start({.model = "nccl-rank", .framework = "none"});
  if (!run.ok()) return fail(run.status());
  nccl::Record self;
  self.node = static_cast<uint32_t>(std::strtoul(run->node().c_str(), nullptr, 16));
  self.rank = run->rank();
  self.world_size = run->world_size();
  testing::FakeComm comm(board, self.rank, self.world_size);
  const auto api = std::make_shared<testing::FakeNccl>();
  testing::FakeStream stream;
  auto road = nccl::Road::open(api, &comm, &stream, kEvery, self);
  if (!road.ok()) return fail(road.status());
  run->set_exchange(std::move(road).value());
  const tally::Key key{tally::op_id("aten::mm"), DType::float32, Phase::forward, Category::train};
  CallRecord& record = log.take();
  while (access(over, F_OK) != 0) {
    for (int call = 0; call <= self.rank && access(quiet, F_OK) != 0; ++call) {
      record.begun.fetch_add(1);
      tally::add(key, {kOperations, kOperations, kOperations});
      record.ended.fetch_add(1);
    }
    if (const Status status = run->step(); !status.ok()) return fail(status);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return run->finish().ok() ? 0 : 1;
}

}  // namespace
}  // namespace account::e2e

int main(int argc, char** argv) {
  return argc == 5 ? account::e2e::work(argv[1], argv[2], argv[3], argv[4]) : 1;
}
