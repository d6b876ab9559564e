// Exchange over the store of a c10d process group. Apart from the rest: c10d's headers cost 12 s.
//
// Note: [own connection] Store::clone() opens a connection of its own: on a shared one a request
// waits behind others that wait seconds for a key. And a store's calls can hang as long as its
// server does, so they run on a thread of their own, for which the caller waits until its deadline
// and no longer. A call that hangs leaves that thread behind; later calls are refused until it
// returns. None of this takes Python's GIL: the stores of torchrun and init_process_group are C++.
#include "torch/store_exchange.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/GroupRegistry.hpp>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "account/torch.h"
#include "base/clock.h"

namespace account::torch {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// A loopback or datacentre round trip is under 1 ms; the keeper asks every 2 s.
constexpr milliseconds kPostPatience{1000};
constexpr milliseconds kAskPatience{250};  // for a collect whose deadline has already passed
constexpr milliseconds kPollInterval{50};
constexpr milliseconds kStoreTimeout{1000};

using Blobs = std::vector<std::optional<std::string>>;

// A thread that runs one job at a time. Outlives its owner while a job hangs: both sides hold the
// shared state, and the thread is detached.
class Worker {
 public:
  Worker() : shared_(std::make_shared<Shared>()) {
    std::thread([shared = shared_] { run(*shared); }).detach();
  }
  ~Worker() {
    const std::lock_guard lock(shared_->mutex);
    shared_->closing = true;
    shared_->changed.notify_all();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False when the job was not begun (the last one still hangs) or not done by the deadline.
  bool run_until(int64_t deadline_monotonic_ns, std::function<void()> job) {
    const auto patience =
        nanoseconds(std::max<int64_t>(0, deadline_monotonic_ns - Clock::real().monotonic_ns()));
    std::unique_lock lock(shared_->mutex);
    if (shared_->busy) return false;
    shared_->busy = true;
    shared_->job = std::move(job);
    shared_->changed.notify_all();
    return shared_->changed.wait_for(lock, patience, [this] { return !shared_->busy; });
  }

 private:
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    std::function<void()> job;
    bool busy = false;
    bool closing = false;
  };

  static void run(Shared& shared) {
    std::unique_lock lock(shared.mutex);
    for (;;) {
      shared.changed.wait(lock, [&] { return shared.busy || shared.closing; });
      if (!shared.busy) return;
      const std::function<void()> job = std::move(shared.job);
      lock.unlock();
      job();
      lock.lock();
      shared.busy = false;
      shared.changed.notify_all();
    }
  }

  std::shared_ptr<Shared> shared_;
};

// The store, once its group exists. Used by the worker's thread only.
class GroupStore {
 public:
  explicit GroupStore(std::string group_name) : group_name_(std::move(group_name)) {}

  void set(const std::string& key, const std::string& blob) {
    with_store([&](c10d::Store& store) { store.set(key, blob); });
  }

  // Fills in what is there now; true once nothing is missing.
  bool fill(const std::vector<std::string>& keys, Blobs& blobs) {
    bool complete = true;
    with_store([&](c10d::Store& store) {
      for (size_t i = 0; i < keys.size(); ++i) {
        if (blobs[i].has_value()) continue;
        if (store.check({keys[i]})) {
          const std::vector<uint8_t> bytes = store.get(keys[i]);
          if (bytes.size() <= Exchange::kMaxBlobBytes) blobs[i].emplace(bytes.begin(), bytes.end());
        }
        complete = complete && blobs[i].has_value();
      }
    });
    return complete;
  }

 private:
  // A failed call drops the connection: the next one finds the group, or a new one, afresh.
  template <class Use>
  void with_store(Use use) {
    try {
      if (!store_) open();
      use(*store_);
    } catch (...) {
      store_.reset();
      throw;
    }
  }

  void open() {
    const auto shared = c10d::resolve_process_group(group_name_)->getStore();
    TORCH_CHECK(shared, "process group ", group_name_, " has no store");
    store_ = c10::make_intrusive<c10d::PrefixStore>("account", shared->clone());
    store_->setTimeout(kStoreTimeout);
  }

  std::string group_name_;
  c10::intrusive_ptr<c10d::Store> store_;
};

class StoreExchange final : public Exchange {
 public:
  explicit StoreExchange(std::string group_name)
      : group_name_(std::move(group_name)), store_(std::make_shared<GroupStore>(group_name_)) {}

  Status post(std::string_view key, std::string_view blob) override {
    if (key.size() > kMaxKeyBytes || blob.size() > kMaxBlobBytes) {
      return {Code::invalid_argument, "blob under '" + std::string(key) + "' is too large to post"};
    }
    const int64_t deadline = now() + nanoseconds(kPostPatience).count();
    return call(deadline, [store = store_, key = std::string(key), blob = std::string(blob)] {
      store->set(key, blob);
    });
  }

  Result<Blobs> collect(std::string_view key, const std::vector<std::string>& members,
                        int64_t deadline_monotonic_ns) override {
    std::vector<std::string> keys;
    keys.reserve(members.size());
    for (const std::string& member : members) keys.push_back(std::string(key) + "/" + member);
    Blobs blobs(members.size());
    for (;;) {
      struct Answer {
        Blobs blobs;
        bool complete = false;
      };
      const auto answer = std::make_shared<Answer>(Answer{blobs, false});
      const int64_t patience =
          std::max(deadline_monotonic_ns, now() + nanoseconds(kAskPatience).count());
      const Status asked = call(patience, [store = store_, keys, answer] {
        answer->complete = store->fill(keys, answer->blobs);
      });
      ACCOUNT_RETURN_IF_ERROR(asked);
      blobs = answer->blobs;
      const int64_t left = deadline_monotonic_ns - now();
      if (answer->complete || left <= 0) return blobs;
      std::this_thread::sleep_for(std::min(nanoseconds(left), nanoseconds(kPollInterval)));
    }
  }

 private:
  static int64_t now() { return Clock::real().monotonic_ns(); }

  // Runs `use` on the worker. The outcome is shared with it: it may outlive this call.
  Status call(int64_t deadline_monotonic_ns, std::function<void()> use) {
    const auto outcome = std::make_shared<Status>();
    const bool done = worker_.run_until(deadline_monotonic_ns, [use = std::move(use), outcome] {
      try {
        use();
      } catch (const std::exception& error) {
        const std::string text = error.what();
        *outcome = Status(Code::unavailable, text.substr(0, text.find('\n')));
      }
    });
    if (!done) {
      return {Code::unavailable, "the store of process group " + group_name_ + " does not answer"};
    }
    return outcome->with_context("store of process group " + group_name_);
  }

  std::string group_name_;
  std::shared_ptr<GroupStore> store_;
  Worker worker_;
};

}  // namespace

std::shared_ptr<Exchange> make_store_exchange(std::string group_name) {
  return std::make_shared<StoreExchange>(std::move(group_name));
}

void use_store_exchange(Run& run, std::string group_name) {
  run.set_exchange(make_store_exchange(std::move(group_name)));
}

}  // namespace account::torch
