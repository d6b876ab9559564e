// Utilisation: what share of their devices' peak the ranks of this node reach, for people.
//
// MFU (Chowdhery et al. 2022, arXiv 2204.02311, appendix B): operations less recomputation over the
// peak of each dtype, over the time. libaccount/doc/counting.md, "Rates", says what is assumed.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "account/op_count.h"
#include "base/files.h"
#include "policy/devices.h"
#include "tally/tally.h"

namespace account::keeper {

// The device that each rank of this node computes on, as the table of devices calls it: the model
// of the NVIDIA GPUs that the driver lists below `folder`, where all are the same; "cpu" where
// there is no accelerator. Empty where that is not known. Never touches a device.
inline constexpr std::string_view kNvidiaDrivers = "/proc/driver/nvidia/gpus";
std::string device_here(FileSystem& files, const std::string& folder = std::string(kNvidiaDrivers));

// Seconds that the device is busy at its peak with what was counted, less recomputation. Nothing
// where no peak is known of a dtype.
std::optional<double> seconds_at_peak(const policy::Device& device,
                                      const std::vector<tally::CellRow>& rows);

// Not thread-safe. Reads nothing.
class Utilisation {
 public:
  // Of a device that no peak is known of, percent() stays empty.
  explicit Utilisation(const std::string& device);

  bool known() const { return device_.has_value(); }
  // Once a second: the rows of all ranks that this node has had, and how many live now, each on a
  // device of its own.
  void look(const std::vector<const std::vector<tally::CellRow>*>& ranks, size_t live,
            int64_t monotonic_ns);
  // "41.2", over the last seconds; empty where it is not known, and where nobody computes.
  std::string percent() const;

 private:
  struct Sample {
    int64_t monotonic_ns;
    double busy_seconds;
    size_t live;
  };

  std::optional<policy::Device> device_;
  std::deque<Sample> samples_;
};

}  // namespace account::keeper
