// The gate of this process.
#include "gate/gate.h"

#include <atomic>
#include <cstring>
#include <mutex>
#include <string>

#include "base/json.h"
#include "tally/reasons.h"
#include "tally/tally.h"

namespace account::gate {
namespace {

std::atomic<bool> shut_in_this_process{false};
std::mutex reason_mutex;
std::string reason_in_this_process;  // under reason_mutex
thread_local bool saving = false;

bool shut_by_keeper() noexcept {
  tally::Page* page = tally::active_page();
  return page != nullptr && page->layout().control.gate.load(std::memory_order_acquire) != 0;
}

std::string reason() {
  if (shut_by_keeper()) {
    const char* text = tally::active_page()->layout().control.reason;
    return std::string(text, strnlen(text, sizeof(tally::Control::reason)));
  }
  const std::lock_guard lock(reason_mutex);
  return reason_in_this_process;
}

}  // namespace

bool shut() noexcept {
  return shut_in_this_process.load(std::memory_order_acquire) || shut_by_keeper();
}

void shut_here(std::string_view reason) {
  const std::lock_guard lock(reason_mutex);
  reason_in_this_process = reason;
  shut_in_this_process.store(true, std::memory_order_release);
}

Status may_leave(std::string_view way, std::string_view target) {
  if (!shut()) return {};
  const std::string why = reason();
  const Json attempt = Json::object({{"way", way}, {"target", target}, {"reason", why}});
  (void)tally::post_event(tally::EventKind::export_refused, attempt.dump());
  const bool leased = std::string_view(why).starts_with(tally::kLeaseEnded);
  return {Code::shutdown_ordered,
          std::string(way) + " of " + std::string(target) + " refused: " + why,
          leased ? "exports open again in a start under a new lease: account lease renew"
                 : "account order why RUN tells who ordered it; exports open again after a signed "
                   "lift"};
}

SavingState::SavingState() noexcept { saving = true; }
SavingState::~SavingState() { saving = false; }
bool saving_state() noexcept { return saving; }

}  // namespace account::gate
