// From a lease to its end.
#include "keeper/leases.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "tally/reasons.h"

namespace account::keeper {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kLookPauseNs = kSecond;
// So much of its window left, and it is said.
constexpr int64_t kWarnShare = 4;
// What nodes call it that brake for the end of one lease (NodeStop::about).
constexpr std::string_view kAbout = "lease ";

std::string text_of(const Json& line, std::string_view member) {
  const auto text = line.get_string(member);
  return text.ok() ? *text : "";
}

std::string time_text(int64_t unix_seconds) { return to_iso8601(unix_seconds * kSecond); }

}  // namespace

Leases::Leases(const Clock& clock, const std::vector<Json>& events) : clock_(clock) {
  for (const Json& event : events) {
    if (const auto time = event.get_op_count("time_unix_ns"); time.ok()) {
      latest_seen_unix_ =
          std::max(latest_seen_unix_, static_cast<int64_t>(time->low() / uint64_t{kSecond}));
    }
    const std::string type = text_of(event, "type");
    if (type != "lease" && type != "lease_ended") continue;
    const auto digest = sign::digest_from_hex(text_of(event, "lease"));
    if (!digest.ok()) continue;
    known_.insert(*digest);
    if (type == "lease_ended") over_.insert(*digest);
    const auto number = event.get_integer("number");
    const std::string pin = text_of(event, "pin");
    if (type != "lease" || !number.ok() || *number < highest_[pin]) continue;
    highest_[pin] = *number;
    last_[pin] = *digest;
  }
}

int64_t Leases::now_unix() const { return std::max(clock_.unix_ns() / kSecond, latest_seen_unix_); }

int64_t Leases::left_ns(const Held& held) const {
  const int64_t by_wall = (held.lease.expires_unix - now_unix()) * kSecond;
  return std::min(by_wall, held.until_ns - clock_.monotonic_ns());
}

bool Leases::is_over(const Held& held) const { return left_ns(held) <= 0; }

void Leases::look(const Authorities& authorities, const order::Traits& job) {
  run_ = job.run;
  lessors_.resize(authorities.all().size());
  for (size_t i = 0; i < lessors_.size(); ++i) {
    lessors_[i].place = i;
    read(authorities.all()[i], job, lessors_[i]);
  }
}

void Leases::read(const Authorities::One& one, const order::Traits& job, Lessor& lessor) {
  const order::RootChain& chain = one.orders.chain;
  lessor.pin = chain.pin();
  lessor.authority = chain.authority();
  lessor.path = one.directory.path();
  lessor.asks = chain.newest().lease.has_value();
  lessor.can_open = chain.newest().recovery.has_value();
  lessor.fault.clear();
  if (!lessor.asks) return;
  std::vector<order::Refused> refused;
  const auto found = one.directory.read_leases(refused);
  if (!found.ok()) {
    lessor.fault = found.status().fault();
    return note_refused({{"leases", found.status()}});
  }
  auto choice = order::newest_lease(chain, *found, job, now_unix(), highest_[lessor.pin]);
  refused.insert(refused.end(), choice.refused.begin(), choice.refused.end());
  note_refused(refused);
  if (!refused.empty()) {
    lessor.fault = fmt::format("{}: {}", refused.back().place, refused.back().why.fault());
  }
  if (choice.newest) take(*choice.newest, lessor);
}

// What was taken once holds to its end, whatever becomes of its file; a newer one takes its place,
// be it longer or shorter.
void Leases::take(const order::VerifiedLease& found, Lessor& lessor) {
  const order::Lease& lease = found.lease;
  if (lessor.held &&
      (lessor.held->lease.hash == lease.hash || lessor.held->lease.number >= lease.number)) {
    return;
  }
  const bool was_warned = lessor.held && lessor.held->warned;
  const int64_t seconds = lease.expires_unix - now_unix();
  lessor.held = Held{lease, clock_.monotonic_ns() + seconds * kSecond, false};
  highest_[lessor.pin] = lease.number;
  last_[lessor.pin] = lease.hash;
  if (seconds <= 0) return;  // nobody trains under it
  known_.insert(lease.hash);
  lines_.push_back({"lease", Json::object({{"lease", lease.hash_hex()},
                                           {"pin", lessor.pin},
                                           {"number", lease.number},
                                           {"scope", order::to_json(lease.scope)},
                                           {"expires", time_text(lease.expires_unix)},
                                           {"envelope", to_base64(found.envelope)}})});
  if (was_warned) {
    remarks_.push_back(
        fmt::format("leased by '{}' until {}", lessor.authority, time_text(lease.expires_unix)));
  }
}

void Leases::note_refused(const std::vector<order::Refused>& refused) {
  for (const order::Refused& one : refused) {
    const std::string text = one.place + ": " + one.why.to_string();
    if (!said_.insert(text).second) continue;
    lines_.push_back({"order_refused", order::to_json(one)});
    remarks_.push_back("no lease: " + text);
  }
}

// Why the job is not leased by it; nothing where it is, or need not be.
std::optional<std::string> Leases::fault_of(const Lessor& lessor) const {
  if (!lessor.asks && !lessor.held) return std::nullopt;
  if (lessor.held && !is_over(*lessor.held)) return std::nullopt;
  std::string why = fmt::format("authority '{}' leases this job nothing", lessor.authority);
  if (lessor.held) {
    why = fmt::format("lease {} of authority '{}' was until {}", lessor.held->lease.number,
                      lessor.authority, time_text(lessor.held->lease.expires_unix));
  }
  if (!lessor.fault.empty()) why += "; " + lessor.fault;
  return fmt::format("{} ({}/leases)", why, lessor.path);
}

std::string Leases::how_to_renew(const std::string& path) const {
  return fmt::format("account lease renew job:{} --for 24h --authority {} --key KEY", run_, path);
}

Status Leases::permission() const {
  if (ended_) {
    return {Code::shutdown_ordered, fmt::format("{}: {}", tally::kLeaseEnded, ended_->because),
            ended_->next_step};
  }
  bool any = false;
  for (const Lessor& lessor : lessors_) {
    any = any || lessor.asks || lessor.held;
    if (const auto why = fault_of(lessor)) {
      return {Code::shutdown_ordered, "no lease: " + *why,
              "it starts once there is one: " + how_to_renew(lessor.path)};
    }
  }
  if (any) return {};
  return {Code::shutdown_ordered, "no lease: the root of no authority names lease keys",
          "it names them with account root next DIR --lease KEY.pub"};
}

void Leases::refuse_start(const Status& why) {
  lines_.push_back({"start_refused", Json::object({{"because", why.fault()}})});
  summarise("refused", why.fault());
}

void Leases::summarise(std::string_view state, std::string_view because) {
  summary_ = Json::object({{"format", "account-stop/1"},
                           {"action", "lease"},
                           {"state", state},
                           {"run", run_},
                           {"because", because},
                           {"exit_code", kShutdownExitCode},
                           {"ends_with", "lease"}});
}

void Leases::turn(const Authorities& authorities, const order::Traits& job,
                  const JobTotals::View& view) {
  if (ended_) return;
  const auto has_leased = [this](const Lessor& lessor) {
    return lessor.held.has_value() || last_.contains(lessor.pin);
  };
  const bool any_has = std::ranges::any_of(lessors_, has_leased);
  // An authority that begins to name lease keys ends no job that trains already.
  const auto why_over = [&](const Lessor& lessor) {
    return any_has && !has_leased(lessor) ? std::nullopt : fault_of(lessor);
  };
  const bool due = clock_.monotonic_ns() >= next_look_ns_;
  const bool looks_over = std::ranges::any_of(
      lessors_, [&](const Lessor& lessor) { return why_over(lessor).has_value(); });
  if (due || looks_over) {
    next_look_ns_ = clock_.monotonic_ns() + kLookPauseNs;
    look(authorities, job);
  }
  for (Lessor& lessor : lessors_) {
    if (lessor.held) warn(lessor);
    const auto why = why_over(lessor);
    if (!why) continue;
    const auto last = last_.find(lessor.pin);
    const sign::Digest lease =
        last != last_.end() ? last->second : *sign::digest_from_hex(lessor.pin);
    return end(lease, &lessor, *why);
  }
  hear_peers(view);
}

void Leases::warn(Lessor& lessor) {
  Held& held = *lessor.held;
  const int64_t window_ns = (held.lease.expires_unix - held.lease.issued_unix) * kSecond;
  if (held.warned || is_over(held) || left_ns(held) > window_ns / kWarnShare) return;
  held.warned = true;
  remarks_.push_back(
      fmt::format("lease {} of '{}' ends at {}, and the job with it; to go on: "
                  "account lease renew",
                  held.lease.number, lessor.authority, time_text(held.lease.expires_unix)));
}

// The first node to see the end takes the others along: else its ranks would stop at one step, and
// those of a node that has seen a renewal wait for them at the next.
void Leases::hear_peers(const JobTotals::View& view) {
  for (const NodeTotal& other : view.others) {
    if (!other.stop || !other.stop->about.starts_with(kAbout)) continue;
    const auto lease = sign::digest_from_hex(other.stop->about.substr(kAbout.size()));
    // One that ended in an earlier session is an echo.
    if (!lease.ok() || over_.contains(*lease)) continue;
    const auto lessor = std::ranges::find_if(lessors_, [&](const Lessor& one) {
      const auto last = last_.find(one.pin);
      return last != last_.end() && last->second == *lease;
    });
    return end(*lease, lessor == lessors_.end() ? nullptr : &*lessor,
               fmt::format("node {} says so", other.node));
  }
}

void Leases::take_up(const std::optional<sign::Digest>& held_for) {
  if (ended_ || !held_for || !known_.contains(*held_for)) return;
  end(*held_for, nullptr, "as the keeper before this one has said");
}

void Leases::end(const sign::Digest& lease, const Lessor* lessor, std::string because) {
  constexpr size_t kPlaces = 31;  // bits of the gate word behind its first
  const bool can_save = lessor != nullptr && lessor->can_open && lessor->place < kPlaces;
  const std::string path = lessor != nullptr   ? lessor->path
                           : !lessors_.empty() ? lessors_.front().path
                                               : "DIR";
  ended_ = Ended{lease, std::move(because),
                 "a restart needs no lift, but a new lease: " + how_to_renew(path),
                 can_save ? uint32_t{1} << lessor->place : 0};
  lines_.push_back({"lease_ended", Json::object({{"lease", sign::to_hex(lease)},
                                                 {"pin", lessor != nullptr ? lessor->pin : ""},
                                                 {"because", ended_->because}})});
  summarise("stopping", ended_->because);
  summary_.set("lease", sign::to_hex(lease));
  summary_.set("ended_unix_ns", OpCount(static_cast<uint64_t>(clock_.unix_ns())));
  remarks_.push_back(fmt::format("{}: {}: all ranks stop; {}", tally::kLeaseEnded, ended_->because,
                                 ended_->next_step));
}

std::optional<Braking> Leases::wanted() const {
  if (!ended_) return std::nullopt;
  Braking braking;
  braking.order = ended_->lease;
  braking.reason = fmt::format("{}: {}", tally::kLeaseEnded, ended_->because);
  braking.about = std::string(kAbout) + sign::to_hex(ended_->lease);
  braking.ends = true;
  braking.shuts_gate = true;
  braking.savers = ended_->savers;
  return braking;
}

Status Leases::stopped() const { return ended_ ? permission() : Status(); }

void Leases::note_quiet(const Brake& brake) {
  Json body = brake.ledger_body();
  for (const auto& [member, value] : body.members()) summary_.set(member, value);
  summary_.set("state", "quiet");
  summary_.set("quiet_unix_ns", OpCount(static_cast<uint64_t>(clock_.unix_ns())));
  body.set("orders", Json::array());
  body.set("lease", sign::to_hex(ended_->lease));
  lines_.push_back({"quiet", std::move(body)});
  remarks_.push_back(fmt::format("quiet ({}): {}", brake.decision().how, brake.spoken()));
}

std::string Leases::spoken() const {
  std::string text;
  for (const Lessor& lessor : lessors_) {
    if (!lessor.held) continue;
    text +=
        fmt::format("{}{} of '{}' until {}", text.empty() ? "" : ", ", lessor.held->lease.number,
                    lessor.authority, time_text(lessor.held->lease.expires_unix));
  }
  return ended_ ? "ended: " + text : text;
}

}  // namespace account::keeper
