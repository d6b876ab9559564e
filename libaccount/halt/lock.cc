// The filter, as the kernel reads it.
#include "halt/lock.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

namespace account::halt {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
constexpr uint32_t kX32 = 0x40000000;  // the same calls by other numbers
#elif defined(__aarch64__)
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
constexpr uint32_t kX32 = 0xffffffff;
#else
#error "the process lock knows x86-64 and AArch64"
#endif

constexpr uint32_t kDenied = SECCOMP_RET_ERRNO | EPERM;
// glibc then falls back to what is judged by its flags.
constexpr uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
constexpr uint32_t kWriting = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

constexpr int kDeniedCalls[] = {
#ifdef SYS_creat
    SYS_creat,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
#endif
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    SYS_memfd_create,
    SYS_open_by_handle_at,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_accept,
    SYS_accept4,
    SYS_bind,
    SYS_listen,
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_io_uring_setup,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_vmsplice,
    SYS_copy_file_range,
};

class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    unless(BPF_JEQ, kMachine, kDenied);
    load(offsetof(seccomp_data, nr));
    when(BPF_JGE, kX32, kDenied);
    when(BPF_JEQ, SYS_openat2, kUnknown);
    for (const int call : kDeniedCalls) when(BPF_JEQ, static_cast<uint32_t>(call), kDenied);
#ifdef SYS_open
    judge_flags(SYS_open, 1);
#endif
    judge_flags(SYS_openat, 2);
    give(SECCOMP_RET_ALLOW);
  }
  sock_fprog program() { return {static_cast<unsigned short>(code_.size()), code_.data()}; }

 private:
  void load(size_t offset) {
    code_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)));
  }
  void give(uint32_t result) { code_.push_back(BPF_STMT(BPF_RET | BPF_K, result)); }
  void when(int test, uint32_t value, uint32_t result) {
    code_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, 0, 1));
    give(result);
  }
  void unless(int test, uint32_t value, uint32_t result) {
    code_.push_back(BPF_JUMP(static_cast<uint16_t>(BPF_JMP | test | BPF_K), value, 1, 0));
    give(result);
  }
  // What opens for reading alone goes on; the low word of the argument comes first on both
  // machines.
  void judge_flags(int call, size_t argument) {
    constexpr uint8_t kRestOfThis = 4;
    code_.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, kRestOfThis));
    load(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
    when(BPF_JSET, kWriting, kDenied);
    give(SECCOMP_RET_ALLOW);
  }

  std::vector<sock_filter> code_;
};

Status failed(const std::string& what, int error) {
  return {Code::unavailable, "the process cannot be locked: " + what + ": " + std::strerror(error),
          "exports stay refused by the gate; see SECURITY.md"};
}

}  // namespace

Status lock_process() {
  static std::mutex mutex;
  static bool locked = false;
  const std::lock_guard guard(mutex);
  if (locked) return {};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs", errno);
  Filter filter;
  sock_fprog program = filter.program();
  const long result =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
  if (result < 0) return failed("seccomp", errno);
  if (result > 0) {
    return failed("thread " + std::to_string(result) + " has a filter of its own", EBUSY);
  }
  locked = true;
  return {};
}

}  // namespace account::halt
