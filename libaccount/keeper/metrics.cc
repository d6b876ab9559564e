// The metrics file: written, and taken away when it is old.
#include "keeper/metrics.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include "account/keys.h"
#include "account/version.h"

namespace account::keeper {
namespace {

constexpr int64_t kPauseNs = 10'000'000'000;
constexpr int64_t kForgottenSeconds = 24 * 3600;
constexpr std::string_view kPrefix = "account-", kSuffix = ".prom";

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    if (c == '\n') {
      text += "\\n";
    } else {
      text += c;
    }
  }
  return text;
}

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

// One file's text: a family's comment comes before its first sample.
class Text {
 public:
  explicit Text(const LiveStatus& status)
      : own_(fmt::format("run=\"{}\",node=\"{}\"", escaped(status.run), escaped(status.node))) {}

  Text& family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
    return *this;
  }
  Text& sample(std::string_view value, Labels labels = {}) {
    text_ += fmt::format("{}{{{}", name_, own_);
    for (const auto& [label, word] : labels) {
      text_ += fmt::format(",{}=\"{}\"", label, escaped(word));
    }
    text_ += fmt::format("}} {}\n", value);
    return *this;
  }
  Text& sample(uint64_t value) { return sample(fmt::to_string(value)); }
  Text& sample(bool value) { return sample(std::string_view(value ? "1" : "0")); }
  Text& seconds(int64_t unix_ns) {
    return sample(fmt::format("{:.3f}", static_cast<double>(unix_ns) / 1e9));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string own_, text_;
  std::string_view name_;
};

void put_counts(const LiveStatus& status, const MetricsFacts& facts, Text& text) {
  text.family("account_operations_total", "counter",
              "Operations that this node's ranks executed, as dense arithmetic.");
  if (facts.operations.empty()) {
    text.sample("0", {{"category", name(Category::unassigned)}, {"phase", name(Phase{})}});
  }
  for (const auto& [cell, count] : facts.operations) {
    text.sample(count.to_decimal(), {{"category", name(cell.first)}, {"phase", name(cell.second)}});
  }
  if (facts.processed.samples > 0) {
    text.family("account_samples_total", "counter",
                "Samples that this node's ranks took in, as their trainer says.")
        .sample(facts.processed.samples);
  }
  if (facts.processed.tokens > 0) {
    text.family("account_tokens_total", "counter",
                "Tokens that this node's ranks took in, as their trainer says; padding included.")
        .sample(facts.processed.tokens);
  }
  text.family("account_job_operations", "gauge",
              "Operations of the whole job, with what the other nodes said last.")
      .sample(status.job_operations.to_decimal());
  text.family("account_job_operations_per_second", "gauge",
              "Operations of the whole job a second, over the last seconds.")
      .sample(status.operations_per_second.to_decimal());
  if (!status.mfu_percent.empty()) {
    text.family("account_mfu_percent", "gauge",
                "Of the peak of the devices that this node's ranks compute on, less recomputation.")
        .sample(status.mfu_percent);
  }
  text.family("account_steps_total", "counter", "Training steps that the job has closed.")
      .sample(status.steps);
  text.family("account_gaps_total", "counter",
              "Gaps of the count that this node's keeper has written to the ledger.")
      .sample(facts.gaps);
  text.family("account_exports_refused_total", "counter",
              "Exports of weights that were refused on this node.")
      .sample(facts.exports_refused);
}

void put_ranks(const LiveStatus& status, Text& text) {
  text.family("account_ranks", "gauge", "Ranks that live on this node.")
      .sample(static_cast<uint64_t>(status.ranks.size()));
  text.family("account_world_size", "gauge", "Ranks of the job.")
      .sample(fmt::to_string(status.world_size));
  text.family("account_silent_ranks", "gauge", "Ranks of the job that no node has reported.")
      .sample(static_cast<uint64_t>(status.silent_ranks.size()));
}

void put_threshold(const LiveStatus& status, Text& text) {
  if (status.policy.empty()) return;
  const Labels rule = {{"policy", status.policy}, {"rule", status.rule}};
  const double threshold = status.threshold.to_double();
  text.family("account_threshold_operations", "gauge",
              "The nearest threshold of the policies that the run is judged by.")
      .sample(status.threshold.to_decimal(), rule);
  text.family("account_threshold_ratio", "gauge",
              "What is counted against the nearest threshold, as a share of it.")
      .sample(threshold > 0 ? fmt::format("{:.17g}", status.counted.to_double() / threshold) : "1",
              rule);
}

void put_state(const LiveStatus& status, const MetricsFacts& facts, Text& text) {
  text.family("account_run_active", "gauge", "1 while the run goes on, 0 once it has ended.")
      .sample(facts.running);
  text.family("account_shutdown_active", "gauge", "1 while the job obeys a signed stop.")
      .sample(facts.ordered);
  text.family("account_held", "gauge",
              "1 while ranks wait, for the end of a pause or of a limit of the job's own.")
      .sample(facts.held);
  text.family("account_sealing_failed", "gauge", "1 while the ledger cannot be written.")
      .sample(!status.trouble.empty());
  text.family("account_ledger_last_seal_timestamp_seconds", "gauge",
              "When the ledger was sealed last.")
      .seconds(facts.sealed_unix_ns);
  text.family("account_last_update_timestamp_seconds", "gauge", "When this file was written.")
      .seconds(status.updated_unix_ns);
}

}  // namespace

std::string to_prometheus(const LiveStatus& status, const MetricsFacts& facts) {
  Text text(status);
  text.family("account_build_info", "gauge", "The version of libaccount.")
      .sample("1", {{"version", ACCOUNT_VERSION}});
  text.family("account_run_info", "gauge", "What is trained.")
      .sample("1", {{"model", status.model}});
  put_counts(status, facts, text);
  put_ranks(status, text);
  put_threshold(status, text);
  put_state(status, facts, text);
  return text.take();
}

Metrics::Metrics(FileSystem& files, const Clock& clock, std::string folder)
    : files_(files), clock_(clock), folder_(std::move(folder)) {}

bool Metrics::due(int64_t monotonic_ns) const {
  return !folder_.empty() && monotonic_ns >= next_ns_;
}

Status Metrics::write(const LiveStatus& status, const MetricsFacts& facts) {
  if (folder_.empty()) return {};
  next_ns_ = clock_.monotonic_ns() + kPauseNs;
  const std::string name = fmt::format("{}{}-{}{}", kPrefix, status.run, status.node, kSuffix);
  if (!has_looked_) remove_forgotten(name);
  has_looked_ = true;
  constexpr int kForAll = 0644;  // node_exporter runs as another user
  return files_.replace(join_path(folder_, name), to_prometheus(status, facts), kForAll);
}

void Metrics::remove_forgotten(const std::string& own) {
  const auto names = files_.list(folder_);
  if (!names.ok()) return;
  const int64_t now = clock_.unix_ns() / 1'000'000'000;
  for (const std::string& name : *names) {
    if (name == own || !name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::string path = join_path(folder_, name);
    struct stat facts{};
    if (stat(path.c_str(), &facts) != 0 || now - facts.st_mtime < kForgottenSeconds) continue;
    (void)files_.remove(path).ok();  // another user's stays
  }
}

}  // namespace account::keeper
