// The library thread of a rank.
#include "run/attendant.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "base/clock.h"
#include "base/files.h"
#include "keeper/keeper.h"
#include "keeper/mail_frame.h"
#include "keeper/page_words.h"
#include "run/launch.h"

namespace account {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// Between two keepers that this rank starts in vain: doubles from the first to the second.
constexpr int64_t kFirstPause = 5 * kSecond, kLongestPause = 300 * kSecond;
// The lowest live local rank goes first; each further one waits this much longer for its turn.
constexpr int64_t kTurnPause = kSecond / 2;
constexpr int kMostTurns = 16;

// The answer to one request. Exceptions of a host's Exchange end here.
keeper::MailReply answer(const keeper::MailRequest& request, Exchange& exchange) try {
  keeper::MailReply reply;
  if (request.verb == keeper::MailRequest::Verb::post) {
    reply.status = exchange.post(request.key, request.blob);
    return reply;
  }
  auto blobs = exchange.collect(request.key, request.members, request.deadline_monotonic_ns);
  reply.status = blobs.status();
  if (blobs.ok()) reply.blobs = std::move(blobs).value();
  return reply;
} catch (const std::exception& error) {
  return {Status(Code::internal, std::string("the exchange threw: ") + error.what()), {}};
} catch (...) {
  return {Status(Code::internal, "the exchange threw"), {}};
}

}  // namespace

Attendant::Attendant(Settings settings, tally::PageLayout& page)
    : settings_(std::move(settings)), page_(page) {
  // The host's signals are the host's: this thread takes none.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::make_unique<std::thread>(&Attendant::loop, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_->native_handle(), "account");
}

Attendant::~Attendant() { stop(); }

void Attendant::set_exchange(std::shared_ptr<Exchange> exchange) {
  const std::lock_guard lock(mutex_);
  exchange_ = std::move(exchange);
  page_.edge.courier.store(exchange_ != nullptr ? 1 : 0, std::memory_order_relaxed);
}

void Attendant::stop() {
  if (thread_ == nullptr) return;
  page_.edge.courier.store(0, std::memory_order_relaxed);
  stop_.store(true);
  // The wake may come just before the thread falls asleep, so it is repeated until heard.
  while (!stopped_.load()) {
    keeper::wake(page_.mailbox.request);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  thread_->join();
  thread_.reset();
}

void Attendant::forget() noexcept {
  if (thread_ != nullptr) (void)thread_.release();  // NOLINT: the thread lives in the parent only
}

void Attendant::loop() {
  while (!stop_.load()) {
    const uint32_t seen = page_.mailbox.request.sequence.load(std::memory_order_acquire);
    if (seen != answered_ && seen % 2 == 0) carry_mail();
    look_after_keeper();
    if (stop_.load()) break;
    keeper::wait_for_mail(page_.mailbox.request, seen, kSecond);
  }
  stopped_.store(true);
}

void Attendant::carry_mail() {
  const uint32_t sequence = page_.mailbox.request.sequence.load(std::memory_order_acquire);
  const auto bytes = keeper::get_mail(page_.mailbox.request, sequence);
  if (!bytes.has_value()) return;  // changed under our eyes: the next round has the newer one
  answered_ = sequence;
  std::shared_ptr<Exchange> exchange;
  {
    const std::lock_guard lock(mutex_);
    exchange = exchange_;
  }
  keeper::MailReply reply;
  const auto request = keeper::decode_request(*bytes);
  if (!request.ok()) {
    reply.status = request.status();
  } else if (exchange == nullptr) {
    reply.status = Status(Code::unavailable, "this rank has no exchange");
  } else {
    reply = answer(*request, *exchange);
  }
  auto frame = keeper::encode(reply);
  if (!frame.ok()) frame = keeper::encode(keeper::MailReply{frame.status(), {}});
  if (frame.ok()) keeper::put_mail(page_.mailbox.reply, sequence, *frame);
}

void Attendant::look_after_keeper() {
  const int64_t now = Clock::real().monotonic_ns();
  const auto beat =
      static_cast<int64_t>(page_.control.keeper_beat_ns.load(std::memory_order_relaxed));
  const int turn = std::clamp(settings_.identity.local_rank, 0, kMostTurns);
  if (now - beat < keeper::kDeadNs + turn * kTurnPause) {
    launch_pause_ns_ = 0;
    return;
  }
  if (now < next_launch_ns_) return;
  if (keeper::keeper_lives(FileSystem::real(), settings_.place)) {
    // Slow, or somebody has stopped it: to one that runs this is nothing.
    const auto keeper = static_cast<pid_t>(page_.control.keeper_pid.load());
    if (keeper > 0) ::kill(keeper, SIGCONT);
    return;
  }
  launch_pause_ns_ = std::clamp(launch_pause_ns_ * 2, kFirstPause, kLongestPause);
  next_launch_ns_ = now + launch_pause_ns_;
  // Without one, counting goes on in the page, which survives this process; the next try is later.
  (void)launch_keeper(settings_).ok();
}

}  // namespace account
