// What the road needs of NCCL and of the CUDA driver: an interface, so that the road runs in tests
// on machines that have neither (tests/support/fake_nccl.h). Handles are opaque; a stream is one of
// the job's. Must not know what is gathered.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "account/status.h"

namespace account::nccl {

class Api {
 public:
  virtual ~Api() = default;

  virtual Result<int> ranks_of(void* comm) = 0;
  // Puts `bytes` of each rank at `from` behind each other to `to`, on all ranks, in stream order.
  virtual Status all_gather(const void* from, void* to, size_t bytes, void* comm, void* stream) = 0;

  virtual Result<void*> device_memory(size_t bytes) = 0;
  virtual Result<void*> host_memory(size_t bytes) = 0;  // that a device can copy from and to
  virtual void free_device(void* memory) = 0;
  virtual void free_host(void* memory) = 0;
  virtual Status copy_to_device(void* to, const void* from, size_t bytes, void* stream) = 0;
  virtual Status copy_to_host(void* to, const void* from, size_t bytes, void* stream) = 0;

  // A mark is passed once all that was put on the stream before it has been done.
  virtual Result<void*> make_mark() = 0;
  virtual void free_mark(void* mark) = 0;
  virtual Status put_mark(void* mark, void* stream) = 0;
  virtual Result<bool> passed(void* mark) = 0;
};

// The libraries of this machine, loaded now: `library`, else the libnccl that the process has, else
// libnccl.so.2. unavailable where one is missing or lacks a function.
Result<std::shared_ptr<Api>> load_api(const std::string& library);

// The version that a library reports, e.g. "2.32.3"; needs no GPU.
Result<std::string> library_version(const std::string& library);

}  // namespace account::nccl
