// Limits: what a job does by itself when one of its policies is reached, or nearly: wait at an edge
// or stop there, until somebody answers for going on. No order and no keys: a job's own rule, in
// its own ledger (ledger_format.md, Limits). keeper/brake.h does the waiting and stopping.
//
// Must not know pages. Not thread-safe; never blocks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "account/export.h"
#include "account/status.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "keeper/brake.h"
#include "keeper/job_totals.h"

namespace account::keeper {

struct Limit {
  std::string policy;  // id
  bool pauses = false;
  uint32_t millionths = 1'000'000;  // of the threshold
  // "us-ca-sb1047-enrolled:stop@0.95": its name in ledgers and acknowledgements.
  std::string spec() const;
};

// "ID_OR_PATH[:warn|:pause|:stop[@SHARE]]", SHARE above 0 and up to 1, to the millionth. A limit
// has no policy yet; none for :warn and for no suffix. invalid_argument for what is no share.
struct PolicyWish {
  std::string id_or_path;
  std::optional<Limit> limit;
};
ACCOUNT_API Result<PolicyWish> parse_policy_wish(std::string_view text);

// Somebody's answer: the job goes on although these limits were crossed. A file of a run's folder
// `acknowledged/`; the keepers copy it into their ledgers. Not signed: a limit is the job's own.
struct Acknowledgement {
  std::vector<std::string> limits;  // specs
  std::string by, reason;
  int64_t time_unix_ns = 0;
};
inline constexpr std::string_view kAcknowledgedFolder = "acknowledged";
inline constexpr uint64_t kAcknowledgementCapBytes = 65536;
Json to_json(const Acknowledgement& said);
ACCOUNT_API Result<Acknowledgement> parse_acknowledgement(std::string_view bytes);
// The path that it was written to. io, or invalid_argument without a name or a reason.
ACCOUNT_API Result<std::string> write_acknowledgement(FileSystem& files,
                                                      const std::string& run_folder,
                                                      const Acknowledgement& said);
// Limits that were crossed by a run with these ledger lines and are not acknowledged, by spec, with
// the reason.
ACCOUNT_API std::map<std::string, std::string> pending_limits(const std::vector<Json>& events);

class Limits {
 public:
  Limits(FileSystem& files, const Clock& clock, std::string run_folder);

  // What earlier sessions of the run wrote, on all nodes at hand.
  void remember(const std::vector<Json>& events);

  // ok, or threshold_reached while something waits for an acknowledgement: no rank may start.
  Status permission() const;

  // A limit that the job's total has crossed; `counted` and the rest go into the ledger. The first
  // time in a run counts, and none after its acknowledgement.
  void crossed(const Limit& limit, std::string_view reason, Json facts);

  // Looks for acknowledgements, here and at the other nodes, and for limits that those crossed.
  void turn(const JobTotals::View& view);

  // What the ranks have to do. Nothing: go on.
  std::optional<Braking> wanted() const;
  bool stops() const;
  void note_quiet(const Brake& brake);

  // For the other nodes.
  const std::map<std::string, std::string>& pending() const { return pending_; }
  const std::set<std::string>& acknowledged() const { return acknowledged_; }

  std::vector<EventLine> take_lines() { return std::exchange(lines_, {}); }
  std::vector<std::string> take_remarks() { return std::exchange(remarks_, {}); }

 private:
  void hear_peers(const JobTotals::View& view);
  void read_files();
  void acknowledge(const std::string& spec, Json body);
  std::string how_to_go_on() const;

  FileSystem& files_;
  const Clock& clock_;
  const std::string run_folder_;
  std::map<std::string, std::string> pending_;  // reason by spec
  std::set<std::string> acknowledged_;
  std::set<std::string> read_;  // files that were taken, or said to be none
  int64_t next_look_ns_ = 0;
  std::vector<EventLine> lines_;
  std::vector<std::string> remarks_;
};

}  // namespace account::keeper
