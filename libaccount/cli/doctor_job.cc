// What a job would find on this node: its settings, its folders, its clock, its policies.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/files.h"
#include "base/words.h"
#include "cli/doctor.h"
#include "cli/report_text.h"
#include "cli/words.h"
#include "policy/devices.h"
#include "policy/policy.h"

namespace account::cli {
namespace {

// All that this program and the Python package read; docs/cli.md has the table for people.
const std::vector<std::string> kVariables = {"ACCOUNT",
                                             "ACCOUNT_AUTHORITY",
                                             "ACCOUNT_BIN",
                                             "ACCOUNT_CLUSTER",
                                             "ACCOUNT_CONFIG",
                                             "ACCOUNT_PASSPHRASE_FILE",
                                             "ACCOUNT_CUSTOMER",
                                             "ACCOUNT_DEVELOPER",
                                             "ACCOUNT_DEVICES",
                                             "ACCOUNT_DIR",
                                             "ACCOUNT_EXCHANGE",
                                             "ACCOUNT_KEEPER",
                                             "ACCOUNT_LEASE",
                                             "ACCOUNT_METRICS",
                                             "ACCOUNT_MODEL",
                                             "ACCOUNT_NODE",
                                             "ACCOUNT_ORDER",
                                             "ACCOUNT_PARENTS",
                                             "ACCOUNT_POLICIES",
                                             "ACCOUNT_PYTHON",
                                             "ACCOUNT_QUIET",
                                             "ACCOUNT_REQUIRE",
                                             "ACCOUNT_RESUME",
                                             "ACCOUNT_RUN",
                                             "ACCOUNT_SCHEDULER_ID",
                                             "ACCOUNT_SCHEDULER_NAME",
                                             "ACCOUNT_SETTING",
                                             "ACCOUNT_SEAL_SECONDS",
                                             "ACCOUNT_TRACK_SECONDS"};

constexpr uint64_t kMiB = uint64_t{1} << 20;
// With less than this a folder is as good as full.
constexpr uint64_t kRoomForLedger = 64 * kMiB, kRoomForPages = 16 * kMiB;
constexpr uint64_t kDeviceTableCap = kMiB;
// No clock is right that is before this program was written: 2026-11-01.
constexpr int64_t kWritten = 1'793'491'200;

void examine_variables(Findings& findings) {
  bool all_known = true;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    const bool ours = name == "ACCOUNT" || name.starts_with("ACCOUNT_");
    if (!ours || std::find(kVariables.begin(), kVariables.end(), name) != kVariables.end()) {
      continue;
    }
    all_known = false;
    const auto meant = nearest_word(name, kVariables);
    findings.fault("variables", name + " is set, and nothing reads it",
                   meant ? "did you mean " + *meant + "? Else unset it" : "unset it");
  }
  if (all_known) findings.ok("variables", "all that begin with ACCOUNT are known");
}

// The folder itself, or the nearest above it that is there.
std::string existing(std::string path) {
  while (access(path.c_str(), F_OK) != 0) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return "/";
    path.resize(slash);
  }
  return path;
}

// Whether files can be made there, or would be once the folder is made; tries it without leaving
// one, since rights, quotas and mounts have more ways to refuse than can be asked about.
void examine_folder(const std::string& about, const std::string& path, bool must_exist,
                    uint64_t room, Findings& findings) {
  const std::string place = must_exist ? path : existing(path);
  const std::string probe = join_path(place, fmt::format(".account-doctor-{}", getpid()));
  FileSystem& files = FileSystem::real();
  const Status written = files.write_atomically(probe, "x", 0600);
  if (!written.ok()) {
    findings.fault(about, fmt::format("{} cannot be written: {}", path, written.fault()),
                   "make it, or give it to this user, or name another folder");
    return;
  }
  (void)files.remove(probe).ok();
  struct statvfs facts{};
  const bool asked = statvfs(place.c_str(), &facts) == 0;
  const uint64_t free = asked ? uint64_t{facts.f_bavail} * facts.f_frsize : 0;
  if (asked && free < room) {
    findings.fault(about, fmt::format("{} has {} MiB left", path, free / kMiB),
                   fmt::format("make room for {} MiB, or name another folder", room / kMiB));
    return;
  }
  findings.ok(about, fmt::format("{} can be written, {} MiB free", path, free / kMiB));
}

void examine_clock(Findings& findings) {
  const int64_t now = Clock::real().unix_ns() / 1'000'000'000;
  if (now < kWritten) {
    findings.fault("clock", "it says " + to_iso8601(now * 1'000'000'000) + ", which is past",
                   "set it: policies, orders and ledgers are dated by it");
    return;
  }
  timex state{};
  if (adjtimex(&state) == TIME_ERROR || (state.status & STA_UNSYNC) != 0) {
    findings.remark("clock", "the kernel does not know it to be synchronised",
                    "run chrony or another NTP client where orders or anchors have to be dated");
    return;
  }
  findings.ok("clock", "synchronised");
}

void examine_limits(Findings& findings) {
  rlimit limit{};
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < kRoomForLedger) {
    findings.fault("limits",
                   fmt::format("files may be {} MiB long at most, and a ledger grows longer",
                               limit.rlim_cur / kMiB),
                   "ulimit -f unlimited");
  }
}

void examine_policies(const Settings& settings, Findings& findings) {
  const auto& wanted = settings.policies.empty() ? policy::default_ids() : settings.policies;
  std::vector<std::string> ids;
  for (const std::string& text : wanted) {
    const auto wish = keeper::parse_policy_wish(text);
    const auto policy =
        wish.ok() ? policy::load(wish->id_or_path) : Result<policy::Policy>(wish.status());
    if (!policy.ok()) {
      findings.fault("policies", policy.status(), "account policy list");
    } else {
      ids.push_back(text);
    }
  }
  if (ids.size() == wanted.size()) {
    findings.ok("policies", fmt::format("judged by {}", fmt::join(ids, ", ")));
  }
}

void examine_devices(const Environment& environment, Findings& findings) {
  const auto path = environment("ACCOUNT_DEVICES");
  if (!path) return;
  const auto bytes = FileSystem::real().read(*path, kDeviceTableCap);
  const Status status = bytes.ok() ? policy::parse_devices(*bytes).status() : bytes.status();
  if (status.ok()) {
    findings.ok("devices", *path + " is a table of devices");
  } else {
    findings.fault("devices", status.with_context(*path),
                   "mend the file, or unset ACCOUNT_DEVICES");
  }
}

// The run here that was written last: what its ledger says is what the next would be like.
void examine_newest_run(const keeper::Place& place, Findings& findings) {
  const auto names = FileSystem::real().list(place.dir);
  if (!names.ok()) return;
  std::string newest;
  int64_t newest_ns = 0;
  for (const std::string& name : *names) {
    const std::string path = join_path(place.dir, name);
    struct stat facts{};
    if (!is_run_folder(path) || stat(path.c_str(), &facts) != 0) continue;
    const int64_t when = facts.st_mtim.tv_sec * int64_t{1'000'000'000} + facts.st_mtim.tv_nsec;
    if (newest.empty() || when > newest_ns) newest = path, newest_ns = when;
  }
  if (newest.empty()) return;
  const auto report = verify_run(newest, {});
  const std::string look = "account verify " + newest;
  if (!report.ok()) {
    findings.fault("newest run",
                   newest + " cannot be read: " + std::string(report.status().fault()), look);
  } else if (!report->ok()) {
    findings.fault("newest run",
                   newest + " does not verify: " + std::string(first_problem(*report).fault()),
                   look);
  } else if (!report->gaps.empty()) {
    findings.remark("newest run",
                    fmt::format("{} has {} gaps; the first: {}", newest, report->gaps.size(),
                                report->gaps.front()),
                    look);
  } else {
    findings.ok("newest run", newest + " verifies, without a gap");
  }
}

}  // namespace

std::optional<Job> examine_job(const HostWords& words, const Files& files, Findings& findings) {
  const Environment environment = environment_of(files);
  examine_variables(findings);
  if (const Status off = may_be_off(environment, files.node); !off.ok()) {
    findings.fault("settings", off, "unset ACCOUNT");
  } else if (environment("ACCOUNT").value_or("") == "off") {
    findings.fault("settings", "ACCOUNT=off: nothing is counted, and nothing can be stopped",
                   "unset ACCOUNT");
  }
  // As it would be without that word, so that the rest is looked at too.
  auto settings = settings_from(words, [&](const char* name) -> std::optional<std::string> {
    if (std::string_view(name) == "ACCOUNT") return std::nullopt;
    return environment(name);
  });
  if (!settings.ok()) {
    findings.fault("settings", settings.status(), "account run --help");
    return std::nullopt;
  }
  auto options = keeper_options(*settings, environment);
  if (!options.ok()) {
    findings.fault("settings", options.status(), "account run --help");
  } else if (const Status known = add_origins(*settings, *options); !known.ok()) {
    findings.fault("origins", known, "name a checkpoint with its sidecar, or a record");
  }
  examine_folder("ledger", settings->place.dir, false, kRoomForLedger, findings);
  examine_folder("shared memory", "/dev/shm", true, kRoomForPages, findings);
  if (!settings->exchange.empty()) {
    examine_folder("exchange", settings->exchange, true, kMiB, findings);
  }
  if (!settings->metrics.empty()) {
    examine_folder("metrics", settings->metrics, true, kMiB, findings);
  }
  examine_clock(findings);
  examine_limits(findings);
  examine_policies(*settings, findings);
  examine_devices(environment, findings);
  examine_newest_run(settings->place, findings);
  return Job{std::move(settings).value(), environment};
}

}  // namespace account::cli
