// Metrics: what a keeper tells Prometheus, as a file for node_exporter's textfile collector.
//
// `account-<run>-<node>.prom` in a folder that an administrator has chosen (ACCOUNT_METRICS),
// written anew every ten seconds. Indicative: Prometheus keeps doubles, of which one step is
// 4.3e9 operations at 3e25; evidence is the ledger. The file stays when the run has ended, so that
// its last totals are scraped; one that nobody has written for a day is taken away by the next
// keeper of the node. integrations/prometheus/README.md has the table of metrics.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/files.h"
#include "keeper/job_totals.h"
#include "keeper/live_status.h"

namespace account::keeper {

// What stands in the file besides the status.
struct MetricsFacts {
  Operations operations;  // of this node, by category and phase
  Processed processed;    // of this node
  uint64_t gaps = 0;      // that this keeper has written to the ledger
  uint64_t exports_refused = 0;
  int64_t sealed_unix_ns = 0;
  bool running = true;
  bool ordered = false;  // a signed stop is obeyed
  bool held = false;     // ranks wait: a pause, or a limit of the job's own
};

// Prometheus' text format 0.0.4.
std::string to_prometheus(const LiveStatus& status, const MetricsFacts& facts);

class Metrics {
 public:
  // An empty folder: nothing is written.
  Metrics(FileSystem& files, const Clock& clock, std::string folder);

  bool due(int64_t monotonic_ns) const;
  // Not ok where it cannot be written; the next time may be better.
  Status write(const LiveStatus& status, const MetricsFacts& facts);

 private:
  void remove_forgotten(const std::string& own);

  FileSystem& files_;
  const Clock& clock_;
  std::string folder_;
  int64_t next_ns_ = 0;
  bool has_looked_ = false;  // for what earlier keepers left
};

}  // namespace account::keeper
