// Model FLOPs utilisation of a node.
#include "keeper/utilisation.h"

#include <unistd.h>

#include <algorithm>

#include "account/keys.h"
#include "keeper/live_status.h"

namespace account::keeper {
namespace {

constexpr int64_t kWindow = 10'000'000'000;
constexpr uint64_t kAboutCapBytes = uint64_t{64} * 1024;

std::string model_of(const std::string& about) {
  constexpr std::string_view kWord = "Model:";
  const size_t at = about.find(kWord);
  if (at == std::string::npos) return "";
  const size_t begin = about.find_first_not_of(" \t", at + kWord.size());
  const size_t end = about.find('\n', at);
  return begin >= end ? "" : about.substr(begin, end - begin);
}

// float32 may run on tensor cores, and a keeper cannot know: what it says is never too much.
std::optional<OpCount> highest_peak(const policy::Device& device, DType dtype) {
  const auto peak = policy::rate_of(device, name(dtype));
  const auto fast = dtype == DType::float32 ? policy::rate_of(device, "tf32") : std::nullopt;
  return std::max(peak, fast);
}

}  // namespace

std::string device_here(FileSystem& files, const std::string& folder) {
  const auto gpus = files.list(folder);
  if (!gpus.ok() || gpus->empty()) return access("/dev/kfd", F_OK) == 0 ? "" : "cpu";
  std::string device;
  for (const std::string& gpu : *gpus) {
    const auto about = files.read(join_path(join_path(folder, gpu), "information"), kAboutCapBytes);
    const std::string model = about.ok() ? model_of(*about) : "";
    if (model.empty() || (!device.empty() && model != device)) return "";
    device = model;
  }
  return device;
}

std::optional<double> seconds_at_peak(const policy::Device& device,
                                      const std::vector<tally::CellRow>& rows) {
  double seconds = 0;
  for (const tally::CellRow& row : rows) {
    if (row.figures.model == OpCount()) continue;
    const auto peak = highest_peak(device, row.dtype);
    if (!peak) return std::nullopt;
    seconds += row.figures.model.to_double() / peak->to_double();
  }
  return seconds;
}

Utilisation::Utilisation(const std::string& device) {
  auto known = policy::find_device(device);
  if (known.ok()) device_ = std::move(known).value();
}

void Utilisation::look(const std::vector<const std::vector<tally::CellRow>*>& ranks, size_t live,
                       int64_t monotonic_ns) {
  if (!device_) return;
  double busy = 0;
  for (const auto* rows : ranks) {
    const auto seconds = seconds_at_peak(*device_, *rows);
    if (!seconds) return samples_.clear();
    busy += *seconds;
  }
  samples_.push_back({monotonic_ns, busy, live});
  while (samples_.size() > 2 && samples_.front().monotonic_ns < monotonic_ns - kWindow) {
    samples_.pop_front();
  }
}

std::string Utilisation::percent() const {
  if (samples_.size() < 2 || samples_.back().live == 0) return "";
  const Sample &first = samples_.front(), &last = samples_.back();
  const double busy = last.busy_seconds - first.busy_seconds;
  const double passed = static_cast<double>(last.monotonic_ns - first.monotonic_ns) / 1e9;
  if (busy <= 0 || passed <= 0) return "";
  return keeper::percent(busy / (passed * static_cast<double>(last.live)));
}

}  // namespace account::keeper
