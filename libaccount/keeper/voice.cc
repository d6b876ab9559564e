// What a keeper says.
#include "keeper/voice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kFirstPauseNs = 3 * kSecond;  // so that a short demonstration shows life
constexpr int64_t kLongestPauseNs = 60 * kSecond;

std::string plural(uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string who(const LiveStatus& status) {
  size_t present = status.ranks.size();
  const size_t world = static_cast<size_t>(std::max(status.world_size, 0));
  if (world <= present) return plural(present, "rank");
  if (status.nodes_seen.empty()) return fmt::format("{} of {} ranks here", present, world);
  return fmt::format("{} of {} ranks here, {} more", present, world,
                     plural(status.nodes_seen.size(), "node"));
}

std::string where_it_stands(const LiveStatus& status) {
  if (status.policy.empty()) return "";
  return fmt::format("; {} % of {} ({})", status.share_percent, status.threshold.to_short(),
                     status.policy);
}

std::string when_it_is_reached(const LiveStatus& status) {
  const std::string when = projection(status);
  return when.empty() ? "" : ", reached " + when;
}

std::string silent(const LiveStatus& status) {
  if (status.silent_ranks.empty()) return "";
  return fmt::format("; nothing heard of {}", plural(status.silent_ranks.size(), "rank"));
}

}  // namespace

void Voice::started(const LiveStatus& status, const std::vector<std::string>& policies,
                    const std::vector<std::string>& authorities) {
  remark(fmt::format("counting run {} into {}{}; {}", status.run, status.run_folder,
                     policies.empty() ? "; judged by no policy"
                                      : fmt::format("; judged by {}", fmt::join(policies, ", ")),
                     authorities.empty()
                         ? "no authority is configured, so no order can stop it"
                         : fmt::format("obeys the orders of {}", fmt::join(authorities, ", "))));
}

void Voice::progress(const LiveStatus& status, const std::vector<Distance>& distances,
                     int64_t monotonic_ns) {
  verdicts(distances);
  if (status.ranks.empty() || status.job_operations == OpCount()) return;
  if (began_ns_ == 0) {
    began_ns_ = monotonic_ns;
    next_ns_ = monotonic_ns + kFirstPauseNs;
  }
  const Distance* closest = nearest(distances);
  const int tenth = closest == nullptr ? 0 : static_cast<int>(std::min(closest->share, 1e6) * 10);
  if (monotonic_ns < next_ns_ && tenth <= tenth_) return;
  tenth_ = std::max(tenth_, tenth);
  next_ns_ = monotonic_ns + std::clamp(monotonic_ns - began_ns_, kFirstPauseNs, kLongestPauseNs);
  remark(fmt::format("{}, {}: {} operations, {}{}{}{}", plural(status.steps, "step"), who(status),
                     status.job_operations.to_short(), rate(status), where_it_stands(status),
                     when_it_is_reached(status), silent(status)));
}

void Voice::verdicts(const std::vector<Distance>& distances) {
  for (const Distance& distance : distances) {
    if (distance.verdict == policy::Verdict::below) continue;
    const std::string now = fmt::format("{}: {}", distance.policy, policy::name(distance.verdict));
    if (std::find(warned_.begin(), warned_.end(), now) != warned_.end()) continue;
    warned_.push_back(now);
    trouble(fmt::format("{} by rule '{}': {} % of {} operations", now, distance.rule,
                        percent(distance.share), distance.threshold.to_short()));
  }
}

void Voice::ended(const LiveStatus& status, const std::vector<std::string>& policies, bool sealed) {
  remark(fmt::format("{} {} operations in {} on this node{}", sealed ? "sealed" : "counted",
                     status.node_operations.to_short(), plural(status.steps, "step"),
                     where_it_stands(status)));
  if (!sealed) return;
  const std::string policy = !status.policy.empty() ? status.policy
                             : policies.empty()     ? ""
                                                    : policies.front();
  remark(policy.empty()
             ? fmt::format("check it: account verify {}", status.run_folder)
             : fmt::format("prove it: account prove {} --policy {}", status.run_folder, policy));
}

void Voice::trouble(std::string_view sentence) { say_(fmt::format("account: {}", sentence)); }

void Voice::remark(std::string_view sentence) {
  if (!quiet_) say_(fmt::format("account: {}", sentence));
}

}  // namespace account::keeper
