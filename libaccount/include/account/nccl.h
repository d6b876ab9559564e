// account::nccl: live totals over the nodes of a job that has NCCL communicators and no store.
// Link account::nccl (libaccount_nccl.so).
//
//   auto run = account::Run::start({...});
//   ncclCommInitRank(&comm, ...);                          // the job's own, over all its ranks
//   account::nccl::exchange(*run, comm, stream);           // on every rank, once
//
// Opt-in: this is a collective. Where a rank closes fewer steps than the others, what they launch
// on `stream` waits for it, as with any other collective of the job. A job on torch uses its c10d
// store and one with a shared file system ACCOUNT_EXCHANGE; both are free of that.
#pragma once

#include <cstdint>
#include <string>

#include "account/export.h"
#include "account/run.h"
#include "account/status.h"

namespace account::nccl {

struct ExchangeOptions {
  uint64_t every = 100;   // steps between two gatherings, the same on all ranks
  std::string library{};  // path of libnccl; empty: the one that is loaded, else libnccl.so.2
};

// From now on run.step() gathers one record of 128 bytes a rank on `stream` (a cudaStream_t) at
// every `every`-th edge, with `comm` (an ncclComm_t over exactly the ranks of the job); 128 bytes
// of device memory and 128 a rank are allocated here, none later. To be called by all ranks between
// the same two steps, on a thread whose current device is the communicator's; step() runs on that
// one. Never synchronises: what was gathered is read an interval later. Both must outlive the run.
//
// Only totals travel. A stop needs an authority that each node can read; without a further road the
// nodes then stop each at its own edge (docs/stop_protocol.md).
//
// invalid_argument: no communicator, or one of another size than the job; unavailable: libnccl or
// the CUDA driver is not there. The run goes on without this road then, and each node counts
// itself.
ACCOUNT_API Status exchange(Run& run, void* comm, void* stream,
                            const ExchangeOptions& options = {});

// Of nccl.h at build time, e.g. "2.32.3".
ACCOUNT_API std::string built_for();

}  // namespace account::nccl
