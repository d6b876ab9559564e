// The assumed highest rate of this machine.
#include "keeper/device_rate.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>

namespace account::keeper {
namespace {

constexpr uint64_t kSocketRate = 100'000'000'000'000;          // 10^14 a second
constexpr uint64_t kAcceleratorRate = 10'000'000'000'000'000;  // 10^16 a second

// Control devices of the CUDA and ROCm drivers: present where an accelerator can be used.
bool has_accelerator() {
  return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/kfd", F_OK) == 0;
}

uint64_t sockets() {
  std::set<int> packages;
  for (long cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); ++cpu) {
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/physical_package_id");
    if (int package = 0; file >> package) packages.insert(package);
  }
  return std::max<uint64_t>(packages.size(), 1);
}

}  // namespace

OpCount device_rate() { return has_accelerator() ? kAcceleratorRate : kSocketRate * sockets(); }

OpCount bound_for(int64_t nanoseconds) {
  const auto seconds =
      static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0) / 1'000'000'000) + 1;  // rounded up
  return saturating_multiply(device_rate(), seconds);
}

}  // namespace account::keeper
