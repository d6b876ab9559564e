// The export gate in front of libtorch's own writers. Knows nothing of what they write.
//
// Note: [one name before another]
// Whatever makes an archive in C++ (torch::save, OutputArchive::save_to, jit::Module::save,
// pickle_save) begins by one of two constructors of caffe2::serialize::PyTorchStreamWriter.
// libtorch_cpu.so calls even its own through its linkage table, by name, and the first library of
// the process that has the name is called. The two functions here have those names: they come first
// where a program links account::torch before libtorch, or preloads libaccount_torch.so. Elsewhere,
// and in Python, which loads this library last, nobody calls them.
#include <dlfcn.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "account/torch.h"
#include "gate/gate.h"

// PyTorchStreamWriter(const std::string&, bool, uint64_t) and
// PyTorchStreamWriter(std::function<size_t(const void*, size_t)>, bool, uint64_t),
// as torch 2.13's caffe2/serialize/inline_container.h has them.
#define ACCOUNT_FILE_WRITER                            \
  "_ZN6caffe29serialize19PyTorchStreamWriterC1ERKNSt7" \
  "__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEbm"
#define ACCOUNT_STREAM_WRITER "_ZN6caffe29serialize19PyTorchStreamWriterC1ESt8functionIFmPKvmEEbm"

namespace account::torch {

using Write = std::function<size_t(const void*, size_t)>;

// What a constructor is to its caller (Itanium C++ ABI): a function of the object's place, which
// gets an argument that has a destructor by reference.
ACCOUNT_API void begin_file(void* self, const std::string& path, bool checksum,
                            uint64_t alignment) __asm__(ACCOUNT_FILE_WRITER);
ACCOUNT_API void begin_stream(void* self, Write& write, bool checksum,
                              uint64_t alignment) __asm__(ACCOUNT_STREAM_WRITER);

namespace {

// Of this thread, while it tries the writers out.
thread_local bool trying = false, seen = false;

template <typename Function>
Function* theirs(const char* name) {
  void* const found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) throw std::runtime_error(std::string("libtorch_cpu.so has no ") + name);
  return reinterpret_cast<Function*>(found);
}

void permit(std::string_view target) {
  const Status status = gate::may_leave("PyTorchStreamWriter", target);
  if (!status.ok()) throw ExportDenied(status.to_string());
}

}  // namespace

void begin_file(void* self, const std::string& path, bool checksum, uint64_t alignment) {
  static auto* const begin = theirs<decltype(begin_file)>(ACCOUNT_FILE_WRITER);
  permit(path);
  begin(self, path, checksum, alignment);
}

void begin_stream(void* self, Write& write, bool checksum, uint64_t alignment) {
  static auto* const begin = theirs<decltype(begin_stream)>(ACCOUNT_STREAM_WRITER);
  if (trying) {
    seen = true;
  } else if (!gate::saving_state()) {
    permit("a buffer");
  }
  begin(self, write, checksum, alignment);
}

ExportDenied::~ExportDenied() = default;

Status check_writers() {
  trying = true;
  seen = false;
  try {
    (void)::torch::jit::pickle_save(c10::IValue());
  } catch (const std::exception& error) {
    trying = false;
    return {Code::unavailable, std::string("libtorch cannot write an archive: ") + error.what()};
  }
  trying = false;
  if (seen) return {};
  return {Code::unavailable,
          "libtorch writes its archives without asking the export gate: libaccount_torch.so comes "
          "after libtorch_cpu.so in this process",
          "link account::torch before libtorch, or start the program with "
          "LD_PRELOAD=libaccount_torch.so"};
}

}  // namespace account::torch
