// The road over NCCL on a real GPU: one rank gathers its record and reads it back, and the edges
// are timed. `gpu_nccl [path of libnccl]`; without a GPU it says so in one line and exits with 1.
#include <dlfcn.h>
#include <nccl.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

#include "nccl/road.h"

namespace account::nccl {
namespace {

constexpr int kEdges = 20'000;
constexpr uint64_t kOperations = 123'456'789;

int fail(const std::string& what) {
  std::printf("gpu_nccl: %s\n", what.c_str());
  return 1;
}

template <typename Function>
Function* find(void* library, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}

// A context and a stream of the first GPU, through the driver. Empty: both are there.
std::string open_gpu(void*& stream) {
  void* cuda = dlopen("libcuda.so.1", RTLD_NOW);
  if (cuda == nullptr) return "no GPU here: the CUDA driver cannot be loaded; nothing was checked";
  auto* init = find<int(unsigned)>(cuda, "cuInit");
  auto* count_devices = find<int(int*)>(cuda, "cuDeviceGetCount");
  auto* retain = find<int(void**, int)>(cuda, "cuDevicePrimaryCtxRetain");
  auto* set_current = find<int(void*)>(cuda, "cuCtxSetCurrent");
  auto* create_stream = find<int(void**, unsigned)>(cuda, "cuStreamCreate");
  int devices = 0;
  if (init(0) != 0 || count_devices(&devices) != 0 || devices == 0) {
    return "no GPU here; nothing was checked";
  }
  void* context = nullptr;
  if (retain(&context, 0) != 0 || set_current(context) != 0 || create_stream(&stream, 0) != 0) {
    return "the first GPU cannot be used";
  }
  return "";
}

std::string blob() {
  keeper::NodeTotal total;
  total.node = "00000001";
  total.ranks = {0};
  total.world_size = 1;
  total.steps = 7;
  total.operations[{Category::train, Phase::forward}] = kOperations;
  return keeper::to_blob(total);
}

int check(const std::string& library) {
  void* stream = nullptr;
  if (const std::string fault = open_gpu(stream); !fault.empty()) return fail(fault);
  void* nccl = dlopen(library.empty() ? "libnccl.so.2" : library.c_str(), RTLD_NOW);
  if (nccl == nullptr) return fail(std::string("libnccl cannot be loaded: ") + dlerror());
  ncclUniqueId id;
  ncclComm_t comm = nullptr;
  if (find<decltype(ncclGetUniqueId)>(nccl, "ncclGetUniqueId")(&id) != ncclSuccess ||
      find<decltype(ncclCommInitRank)>(nccl, "ncclCommInitRank")(&comm, 1, id, 0) != ncclSuccess) {
    return fail("a communicator of one rank cannot be made");
  }
  auto api = load_api(library);
  if (!api.ok()) return fail(api.status().to_string());
  Record self;
  self.node = 1;
  self.rank = 0;
  self.world_size = 1;
  auto opened = Road::open(*api, comm, stream, 1, self);
  if (!opened.ok()) return fail(opened.status().to_string());
  Road& road = **opened;
  if (Status posted = road.post("total/0", blob()); !posted.ok()) return fail(posted.to_string());
  const auto began = std::chrono::steady_clock::now();
  for (int edge = 0; edge < kEdges; ++edge) road.on_edge();
  const auto spent = std::chrono::steady_clock::now() - began;
  std::optional<std::string> heard;
  for (int i = 0; i < 2'000 && !heard; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    road.on_edge();
    const auto blobs = road.collect("total", {"0"}, 0);
    if (!blobs.ok()) return fail(blobs.status().to_string());
    heard = blobs->front();
  }
  if (!heard) return fail("nothing was gathered within 10 s");
  const auto total = keeper::parse_total(*heard);
  if (!total.ok() || keeper::sum(total->operations) != OpCount(kOperations) || total->steps != 7) {
    return fail("what was gathered is not what was posted: " + *heard);
  }
  const double microseconds =
      std::chrono::duration<double, std::micro>(spent).count() / static_cast<double>(kEdges);
  std::printf(
      "gpu_nccl: a record went through NCCL %s and came back whole; an edge that gathers "
      "takes %.2f us\n",
      library_version(library).value().c_str(), microseconds);
  return 0;
}

}  // namespace
}  // namespace account::nccl

int main(int argc, char** argv) { return account::nccl::check(argc > 1 ? argv[1] : ""); }
