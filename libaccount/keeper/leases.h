// Leases: the keeper's side of a job that trains only while its authorities let it. Reads their
// leases, and stops the job at the end of one that was not renewed; keeper/brake.h does the
// stopping. docs/stop_protocol.md, A lease.
//
// Writes nothing itself. Not thread-safe; never blocks but for reading small files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "account/status.h"
#include "base/clock.h"
#include "base/json.h"
#include "keeper/authorities.h"
#include "keeper/brake.h"
#include "keeper/job_totals.h"
#include "order/lease.h"

namespace account::keeper {

class Leases {
 public:
  // `events`: what earlier sessions of the run wrote. A lease that is older than one of those is
  // none any more, and a clock that was set back behind them is not believed.
  Leases(const Clock& clock, const std::vector<Json>& events);

  // Takes the newest lease of each authority that is about `job`.
  void look(const Authorities& authorities, const order::Traits& job);

  // ok while each authority whose root names lease keys leases the job, and one does; else
  // shutdown_ordered: no rank may start. `refuse_start` puts that into the ledger.
  Status permission() const;
  void refuse_start(const Status& why);

  // Looks anew, and at what the other nodes do; ends what is over.
  void turn(const Authorities& authorities, const order::Traits& job, const JobTotals::View& view);
  // For a keeper that finds ranks held by the one before it: those that were held for a lease stop,
  // though it may have been renewed since, as the other nodes' do.
  void take_up(const std::optional<sign::Digest>& held_for);

  // What the ranks have to do. Nothing: go on.
  std::optional<Braking> wanted() const;
  // ok, or what ended the job.
  Status stopped() const;
  void note_quiet(const Brake& brake);
  // For stop.json; null where no lease has ended the job, nor kept it from starting.
  const Json& summary() const { return summary_; }

  // "until 2026-11-24T10:12:08Z"; for people. Empty where there is none.
  std::string spoken() const;

  std::vector<EventLine> take_lines() { return std::exchange(lines_, {}); }
  std::vector<std::string> take_remarks() { return std::exchange(remarks_, {}); }

 private:
  struct Held {
    order::Lease lease;
    // Its end by the clock that nobody can set, counted from when it was first seen.
    int64_t until_ns = 0;
    bool warned = false;
  };
  // An authority that has to lease the job, as it was read last.
  struct Lessor {
    std::string pin, authority, path;
    std::string fault;      // of its leases, when there is no better one
    bool asks = false;      // its root names lease keys
    size_t place = 0;       // among the authorities
    bool can_open = false;  // its root names recovery keys
    std::optional<Held> held;
  };

  void read(const Authorities::One& one, const order::Traits& job, Lessor& lessor);
  void take(const order::VerifiedLease& found, Lessor& lessor);
  void note_refused(const std::vector<order::Refused>& refused);
  bool is_over(const Held& held) const;
  int64_t now_unix() const;
  int64_t left_ns(const Held& held) const;
  std::optional<std::string> fault_of(const Lessor& lessor) const;
  void warn(Lessor& lessor);
  void end(const sign::Digest& lease, const Lessor* lessor, std::string because);
  std::string how_to_renew(const std::string& path) const;
  void hear_peers(const JobTotals::View& view);
  void summarise(std::string_view state, std::string_view because);

  const Clock& clock_;
  std::vector<Lessor> lessors_;               // as the authorities stand
  std::map<std::string, int64_t> highest_;    // number seen, by pin
  std::map<std::string, sign::Digest> last_;  // lease seen, by pin
  std::set<sign::Digest> known_, over_;       // of this run: leases, and those that ended
  int64_t latest_seen_unix_ = 0;
  int64_t next_look_ns_ = 0;

  struct Ended {
    sign::Digest lease{};  // of the authority's root where there never was one
    std::string because, next_step;
    uint32_t savers = 0;
  };
  std::optional<Ended> ended_;
  std::string run_;

  Json summary_;
  std::vector<EventLine> lines_;
  std::vector<std::string> remarks_;
  std::set<std::string> said_;
};

}  // namespace account::keeper
