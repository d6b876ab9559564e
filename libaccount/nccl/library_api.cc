// NCCL and the CUDA driver as they are on this machine. Both are loaded at run time, so that a
// program that links account::nccl starts where there is neither.
#include <dlfcn.h>
#include <nccl.h>

#include <utility>

#include "account/nccl.h"
#include "nccl/api.h"

namespace account::nccl {
namespace {

// Of the driver API, which every CUDA program has loaded whatever its runtime (cuda.h, 12.x; a
// CUstream is a cudaStream_t). CUresult 0 is success and 600 "not ready".
using CudaResult = int;
constexpr CudaResult kCudaOk = 0, kCudaNotReady = 600;
constexpr unsigned kEventWithoutTime = 2;  // CU_EVENT_DISABLE_TIMING

void* open_nccl(const std::string& library) {
  if (!library.empty()) return dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  // The communicator belongs to the library that made it, so a loaded one goes first.
  if (dlsym(RTLD_DEFAULT, "ncclAllGather") != nullptr) return dlopen(nullptr, RTLD_NOW);
  if (void* loaded = dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD)) return loaded;
  return dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
}

Status missing(const std::string& what) {
  const char* error = dlerror();
  return Status(Code::unavailable, what + ": " + (error == nullptr ? "not found" : error),
                "install it, or leave account::nccl::exchange() out: each node counts itself");
}

template <typename Function>
bool find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  return function != nullptr;
}

class LibraryApi final : public Api {
 public:
  Status load(const std::string& library) {
    void* nccl = open_nccl(library);
    if (nccl == nullptr) return missing("libnccl cannot be loaded");
    if (!find(nccl, "ncclAllGather", all_gather_) || !find(nccl, "ncclCommCount", count_) ||
        !find(nccl, "ncclGetErrorString", error_text_)) {
      return missing("libnccl lacks a function");
    }
    void* cuda = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (cuda == nullptr) return missing("the CUDA driver cannot be loaded");
    const bool whole =
        find(cuda, "cuMemAlloc_v2", device_alloc_) && find(cuda, "cuMemFree_v2", device_free_) &&
        find(cuda, "cuMemHostAlloc", host_alloc_) && find(cuda, "cuMemFreeHost", host_free_) &&
        find(cuda, "cuMemcpyHtoDAsync_v2", to_device_) &&
        find(cuda, "cuMemcpyDtoHAsync_v2", to_host_) &&
        find(cuda, "cuEventCreate", event_create_) &&
        find(cuda, "cuEventDestroy_v2", event_destroy_) &&
        find(cuda, "cuEventRecord", event_record_) && find(cuda, "cuEventQuery", event_query_);
    return whole ? Status() : missing("the CUDA driver lacks a function");
  }

  Result<int> ranks_of(void* comm) override {
    int count = 0;
    ACCOUNT_RETURN_IF_ERROR(nccl(count_(static_cast<ncclComm_t>(comm), &count), "ncclCommCount"));
    return count;
  }
  Status all_gather(const void* from, void* to, size_t bytes, void* comm, void* stream) override {
    return nccl(all_gather_(from, to, bytes, ncclUint8, static_cast<ncclComm_t>(comm),
                            static_cast<cudaStream_t>(stream)),
                "ncclAllGather");
  }

  Result<void*> device_memory(size_t bytes) override {
    unsigned long long address = 0;
    ACCOUNT_RETURN_IF_ERROR(cuda(device_alloc_(&address, bytes), "cuMemAlloc"));
    return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr): a CUdeviceptr
  }
  Result<void*> host_memory(size_t bytes) override {
    void* memory = nullptr;
    ACCOUNT_RETURN_IF_ERROR(cuda(host_alloc_(&memory, bytes, 0), "cuMemHostAlloc"));
    return memory;
  }
  void free_device(void* memory) override {
    (void)device_free_(reinterpret_cast<unsigned long long>(memory));
  }
  void free_host(void* memory) override { (void)host_free_(memory); }
  Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) override {
    return cuda(to_device_(reinterpret_cast<unsigned long long>(to), from, bytes, stream),
                "cuMemcpyHtoDAsync");
  }
  Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) override {
    return cuda(to_host_(to, reinterpret_cast<unsigned long long>(from), bytes, stream),
                "cuMemcpyDtoHAsync");
  }

  Result<void*> make_mark() override {
    void* mark = nullptr;
    ACCOUNT_RETURN_IF_ERROR(cuda(event_create_(&mark, kEventWithoutTime), "cuEventCreate"));
    return mark;
  }
  void free_mark(void* mark) override { (void)event_destroy_(mark); }
  Status put_mark(void* mark, void* stream) override {
    return cuda(event_record_(mark, stream), "cuEventRecord");
  }
  Result<bool> passed(void* mark) override {
    const CudaResult result = event_query_(mark);
    if (result == kCudaOk) return true;
    if (result == kCudaNotReady) return false;
    return cuda(result, "cuEventQuery");
  }

 private:
  Status nccl(ncclResult_t result, const char* call) const {
    if (result == ncclSuccess) return Status();
    return Status(Code::unavailable, std::string(call) + ": " + error_text_(result));
  }
  static Status cuda(CudaResult result, const char* call) {
    if (result == kCudaOk) return Status();
    return Status(Code::unavailable,
                  std::string(call) + " failed with CUDA error " + std::to_string(result));
  }

  decltype(ncclAllGather)* all_gather_ = nullptr;
  decltype(ncclCommCount)* count_ = nullptr;
  decltype(ncclGetErrorString)* error_text_ = nullptr;
  CudaResult (*device_alloc_)(unsigned long long*, size_t) = nullptr;
  CudaResult (*device_free_)(unsigned long long) = nullptr;
  CudaResult (*host_alloc_)(void**, size_t, unsigned) = nullptr;
  CudaResult (*host_free_)(void*) = nullptr;
  CudaResult (*to_device_)(unsigned long long, const void*, size_t, void*) = nullptr;
  CudaResult (*to_host_)(void*, unsigned long long, size_t, void*) = nullptr;
  CudaResult (*event_create_)(void**, unsigned) = nullptr;
  CudaResult (*event_destroy_)(void*) = nullptr;
  CudaResult (*event_record_)(void*, void*) = nullptr;
  CudaResult (*event_query_)(void*) = nullptr;
};

std::string dotted(int version) {  // nccl.h: major * 10000 + minor * 100 + patch
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

}  // namespace

Result<std::shared_ptr<Api>> load_api(const std::string& library) {
  auto api = std::make_shared<LibraryApi>();
  ACCOUNT_RETURN_IF_ERROR(api->load(library));
  return std::shared_ptr<Api>(std::move(api));
}

Result<std::string> library_version(const std::string& library) {
  void* nccl = open_nccl(library);
  if (nccl == nullptr) return missing("libnccl cannot be loaded");
  decltype(ncclGetVersion)* get_version = nullptr;
  int version = 0;
  if (!find(nccl, "ncclGetVersion", get_version) || get_version(&version) != ncclSuccess) {
    return missing("libnccl does not tell its version");
  }
  return dotted(version);
}

std::string built_for() { return dotted(NCCL_VERSION_CODE); }

}  // namespace account::nccl
