// Whether a stop would reach the job, and whether one stands already.
#include <fmt/format.h>

#include <algorithm>

#include "base/clock.h"
#include "base/files.h"
#include "cli/doctor.h"
#include "order/authority.h"
#include "order/lease.h"
#include "order/root.h"

namespace account::cli {
namespace {

constexpr int64_t kSecond = 1'000'000'000, kDay = 86'400;
constexpr int64_t kRootDays = 30;  // before a root's end
// A drill that is older proves nothing of today's job.
constexpr int64_t kRehearsalDays = 30;

void examine_root(const std::string& about, const order::Root& root, Findings& findings) {
  const int64_t now = Clock::real().unix_ns() / kSecond;
  const int64_t days = (root.expires_unix - now) / kDay;
  const std::string renew = "its holders make the next one: account root next";
  if (root.expired(now)) {
    findings.fault(about, "its root is expired: it still stops, and nothing can be lifted", renew);
  } else if (days < kRootDays) {
    findings.remark(about, fmt::format("its root expires in {} days", days), renew);
  } else {
    findings.ok(about, fmt::format("'{}', root version {}, {} days left", root.authority,
                                   root.version, days));
  }
}

// The last order of any kind that ranks obeyed and answered, in a drill or in earnest.
void examine_rehearsal(const order::AuthorityDirectory& directory, Findings& findings) {
  const auto receipts = directory.read_receipts();
  if (!receipts.ok()) return;
  int64_t newest = 0;
  std::string run;
  for (const order::Receipt& receipt : *receipts) {
    if (receipt.quiet_unix_ns > newest) newest = receipt.quiet_unix_ns, run = receipt.run;
  }
  const std::string drill =
      "account rehearse RUN --because 'monthly drill' --key KEY --authority " + directory.path();
  if (newest == 0) {
    findings.remark("rehearsal", "no job has ever obeyed an order of " + directory.path(), drill);
    return;
  }
  const int64_t days = (Clock::real().unix_ns() - newest) / kSecond / kDay;
  if (days > kRehearsalDays) {
    findings.fault("rehearsal",
                   fmt::format("the last stop or rehearsal of {} was {} days ago (run {})",
                               directory.path(), days, run),
                   drill);
  } else {
    findings.ok("rehearsal", fmt::format("run {} obeyed on {}", run, to_iso_date(newest)));
  }
}

// A receipt is how an officer learns that ranks are quiet; a job obeys without one.
void examine_receipts(const order::AuthorityDirectory& directory, Findings& findings) {
  const std::string folder = directory.receipts_path();
  const std::string probe = join_path(folder, ".account-doctor");
  FileSystem& files = FileSystem::real();
  if (!files.exists(folder)) return;
  const Status written = files.write_atomically(probe, "x", 0600);
  if (written.ok()) {
    (void)files.remove(probe).ok();
    return;
  }
  findings.remark("receipts", folder + " cannot be written: " + std::string(written.fault()),
                  "let the job's user write there, else officers wait for an answer in vain");
}

order::Traits traits_of(const Job& job) {
  const auto options = keeper_options(job.settings, job.environment);
  order::Traits traits = options.ok() ? options->job : order::Traits();
  traits.run = job.settings.place.run;
  traits.model = job.settings.model;
  return traits;
}

// Until when the job is leased; that it is not is said with what else stands against it.
void examine_lease(const order::AuthorityDirectory& directory, const order::RootChain& chain,
                   const order::Traits& job, Findings& findings) {
  std::vector<order::Refused> refused;
  const auto found = directory.read_leases(refused);
  if (!found.ok()) return;
  const int64_t now = Clock::real().unix_ns() / kSecond;
  const auto newest = order::newest_lease(chain, *found, job, now, 0).newest;
  if (!newest || newest->lease.expires_unix <= now) return;
  findings.ok("lease",
              fmt::format("lease {} of '{}' until {}", newest->lease.number, chain.authority(),
                          to_iso8601(newest->lease.expires_unix * kSecond)));
}

}  // namespace

void examine_orders(const Job& job, const std::vector<std::string>& command, Findings& findings) {
  const Settings& settings = job.settings;
  if (settings.authority.empty()) {
    findings.remark("authority", "none: no order can stop this job",
                    "give --authority DIR; docs/key_ceremony.md makes one");
    return;
  }
  for (const std::string& text : split_list(settings.authority)) {
    const std::string about = "authority " + text;
    auto spec = order::parse_authority_spec(text);
    if (!spec.ok()) {
      findings.fault(about, spec.status(), "give PATH or PATH#SHA-256 of its first root");
      continue;
    }
    const order::AuthorityDirectory directory(FileSystem::real(), *spec);
    const auto chain = directory.read_roots();
    if (!chain.ok()) {
      findings.fault(about, chain.status(), "ask the authority's holders for its folder and pin");
      continue;
    }
    examine_root(about, chain->newest(), findings);
    if (spec->pin.empty()) {
      findings.remark(about, "it is not pinned: whoever can replace the folder commands the job",
                      fmt::format("give {}#{}", spec->path, chain->pin()));
    }
    if (settings.lease) examine_lease(directory, *chain, traits_of(job), findings);
    examine_receipts(directory, findings);
    examine_rehearsal(directory, findings);
  }
  auto options = keeper_options(settings, job.environment);
  if (!options.ok() || !add_origins(settings, *options).ok()) return;  // said already
  if (!command.empty()) options->job.command = command_digest(command);
  const Status may = keeper::may_start(FileSystem::real(), Clock::real(), *options);
  if (may.ok()) {
    findings.ok("orders", "nothing stands against this job");
  } else {
    findings.fault("orders", may, "account order why RUN");
  }
}

}  // namespace account::cli
