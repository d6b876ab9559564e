// exchange(): the road of this process's run.
#include <cstdlib>
#include <memory>
#include <utility>

#include "account/nccl.h"
#include "nccl/api.h"
#include "nccl/road.h"

namespace account::nccl {

Status exchange(Run& run, void* comm, void* stream, const ExchangeOptions& options) {
  if (!run.counting()) return Status();
  Record self;
  self.node = static_cast<uint32_t>(std::strtoul(run.node().c_str(), nullptr, 16));
  self.rank = run.rank();
  self.world_size = run.world_size();
  ACCOUNT_ASSIGN_OR_RETURN(std::shared_ptr<Api> api, load_api(options.library));
  ACCOUNT_ASSIGN_OR_RETURN(auto road,
                           Road::open(std::move(api), comm, stream, options.every, self));
  run.set_exchange(std::move(road));
  return Status();
}

}  // namespace account::nccl
