// The gathering, and the blobs that it stands for.
#include "nccl/road.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <thread>

namespace account::nccl {
namespace {

constexpr std::string_view kTotalKey = "total";  // keeper/job_totals.cc
// How long the end waits for a gathering that others may never join.
constexpr int kEndPolls = 100;
constexpr auto kEndPause = std::chrono::milliseconds(2);

}  // namespace

Result<std::shared_ptr<Road>> Road::open(std::shared_ptr<Api> api, void* comm, void* stream,
                                         uint64_t every, const Record& self) {
  if (comm == nullptr || every == 0) {
    return Status(Code::invalid_argument, "an exchange over NCCL needs a communicator and a pace");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const int ranks, api->ranks_of(comm));
  if (ranks != self.world_size) {
    return Status(Code::invalid_argument,
                  "the communicator has " + std::to_string(ranks) + " ranks, and the job " +
                      std::to_string(self.world_size),
                  "give one over all ranks of the job");
  }
  std::shared_ptr<Road> road(new Road(std::move(api), comm, stream, every, self));
  road->ranks_ = static_cast<size_t>(ranks);
  ACCOUNT_RETURN_IF_ERROR(road->allocate());
  return road;
}

Status Road::allocate() {
  ACCOUNT_ASSIGN_OR_RETURN(device_send_, api_->device_memory(kRecordBytes));
  ACCOUNT_ASSIGN_OR_RETURN(device_receive_, api_->device_memory(kRecordBytes * ranks_));
  for (Slot& slot : slots_) {
    ACCOUNT_ASSIGN_OR_RETURN(slot.send, api_->host_memory(kRecordBytes));
    std::memset(slot.send, 0, kRecordBytes);
    ACCOUNT_ASSIGN_OR_RETURN(slot.receive, api_->host_memory(kRecordBytes * ranks_));
    ACCOUNT_ASSIGN_OR_RETURN(slot.mark, api_->make_mark());
  }
  return Status();
}

// Memory that the device may still write to is left to the process's end.
Road::~Road() {
  for (Slot& slot : slots_) {
    for (int poll = 0; poll < kEndPolls; ++poll) {
      const auto free = is_free(slot);
      if (!free.ok() || *free) break;
      std::this_thread::sleep_for(kEndPause);
    }
    if (slot.launched) return;
  }
  for (Slot& slot : slots_) {
    if (slot.mark != nullptr) api_->free_mark(slot.mark);
    if (slot.receive != nullptr) api_->free_host(slot.receive);
    if (slot.send != nullptr) api_->free_host(slot.send);
  }
  if (device_receive_ != nullptr) api_->free_device(device_receive_);
  if (device_send_ != nullptr) api_->free_device(device_send_);
}

void Road::on_edge() noexcept {
  if (++edges_ % every_ != 0) return;
  if (std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock() && !broken_.ok()) return;
  Status gathered = gather();
  if (gathered.ok()) return;
  const std::lock_guard lock(mutex_);
  broken_ = std::move(gathered);
}

// Each rank launches the same collectives whatever its own state: where a slot is still in use, the
// device gathers what it has, and only the copies are left out.
Status Road::gather() {
  Slot& slot = slots_[gatherings_++ % slots_.size()];
  Slot& other = slots_[gatherings_ % slots_.size()];
  ACCOUNT_RETURN_IF_ERROR(is_free(other).status());
  ACCOUNT_ASSIGN_OR_RETURN(const bool free, is_free(slot));
  if (free) {
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock()) {
      const RecordBytes bytes = encode(self_);
      std::memcpy(slot.send, bytes.data(), bytes.size());
    }
    ACCOUNT_RETURN_IF_ERROR(api_->copy_to_device(device_send_, slot.send, kRecordBytes, stream_));
  }
  ACCOUNT_RETURN_IF_ERROR(
      api_->all_gather(device_send_, device_receive_, kRecordBytes, comm_, stream_));
  if (!free) return Status();
  ACCOUNT_RETURN_IF_ERROR(
      api_->copy_to_host(slot.receive, device_receive_, kRecordBytes * ranks_, stream_));
  ACCOUNT_RETURN_IF_ERROR(api_->put_mark(slot.mark, stream_));
  slot.launched = true;
  return Status();
}

// Reads what the slot has received, once it has.
Result<bool> Road::is_free(Slot& slot) {
  if (!slot.launched) return true;
  ACCOUNT_ASSIGN_OR_RETURN(const bool passed, api_->passed(slot.mark));
  if (!passed) return false;
  slot.launched = false;
  take(slot);
  return true;
}

void Road::take(const Slot& slot) {
  std::vector<Record> records;
  const auto* bytes = static_cast<const unsigned char*>(slot.receive);
  for (size_t i = 0; i < ranks_; ++i) {
    if (const auto record = decode(bytes + i * kRecordBytes)) records.push_back(*record);
  }
  if (std::unique_lock lock(mutex_, std::try_to_lock); lock.owns_lock()) records_.swap(records);
}

Status Road::post(std::string_view key, std::string_view blob) {
  if (key.substr(0, key.find('/')) != kTotalKey) {
    return Status(Code::unavailable, "only totals travel over NCCL");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const keeper::NodeTotal total, keeper::parse_total(blob));
  const std::lock_guard lock(mutex_);
  self_.has_totals = true;
  self_.steps = total.steps;
  self_.operations = {};
  for (const auto& [words, count] : total.operations) {
    OpCount& sum = self_.operations[static_cast<size_t>(words.first)];
    sum = saturating_add(sum, count);
  }
  return broken_;
}

Result<std::vector<std::optional<std::string>>> Road::collect(
    std::string_view key, const std::vector<std::string>& members, int64_t) {
  std::vector<std::optional<std::string>> blobs(members.size());
  const std::lock_guard lock(mutex_);
  if (!broken_.ok()) return broken_;
  for (size_t i = 0; key == kTotalKey && i < members.size(); ++i) {
    int rank = -1;
    std::from_chars(members[i].data(), members[i].data() + members[i].size(), rank);
    if (const auto total = node_of(records_, rank)) blobs[i] = keeper::to_blob(*total);
  }
  return blobs;
}

}  // namespace account::nccl
