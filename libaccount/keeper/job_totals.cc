// The walk over the nodes of a job.
#include "keeper/job_totals.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "base/bytes.h"
#include "base/json.h"
#include "ledger/format.h"

namespace account::keeper {
namespace {

constexpr auto kRoundPause = std::chrono::milliseconds(2000);
constexpr auto kHurriedPause = std::chrono::milliseconds(100);
constexpr int64_t kFormat = 1;

// A round asks at most this often: a world of silent ranks must not keep the courier busy. The next
// round goes on where it ended, so that a world of any size is walked through.
constexpr int kQuestionsPerRound = 256;
// And the node of rank 0 while the others wait for the votes that it gathers.
constexpr int kHurriedQuestions = 4096;

Result<Operations> parse_operations(const Json& rows) {
  Operations operations;
  for (const auto& [key, value] : rows.members()) {
    const size_t slash = key.find('/');
    const auto category = category_from_name(std::string_view(key).substr(0, slash));
    const auto phase = slash == std::string::npos
                           ? std::nullopt
                           : phase_from_name(std::string_view(key).substr(slash + 1));
    if (!category || !phase || value.kind() != Json::Kind::string) {
      return Status(Code::corrupt, "a node's total has an unknown row '" + key + "'");
    }
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount count, OpCount::from_decimal(value.as_string()));
    operations[{*category, *phase}] = count;
  }
  return operations;
}

Json to_json(const NodeStop& stop) {
  Json envelopes = Json::array();
  for (const std::string& envelope : stop.envelopes) envelopes.push(to_base64(envelope));
  Json json = Json::object({{"start", static_cast<int64_t>(stop.start)},
                            {"vote", OpCount(stop.vote)},
                            {"envelopes", envelopes}});
  if (!stop.about.empty()) json.set("about", stop.about);
  if (stop.order != sign::Digest{}) json.set("order", sign::to_hex(stop.order));
  return json;
}

Result<NodeStop> parse_stop(const Json& json) {
  NodeStop stop;
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t start, json.get_integer("start"));
  ACCOUNT_ASSIGN_OR_RETURN(const OpCount vote, json.get_op_count("vote"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* envelopes, json.get_array("envelopes"));
  stop.start = static_cast<uint32_t>(start);
  stop.vote = vote.low();
  if (json.find("about") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(stop.about, json.get_string("about"));
  }
  if (json.find("order") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const std::string order, json.get_string("order"));
    ACCOUNT_ASSIGN_OR_RETURN(stop.order, sign::digest_from_hex(order));
  }
  for (const Json& item : envelopes->items()) {
    if (item.kind() != Json::Kind::string) return Status(Code::corrupt, "an order is no string");
    ACCOUNT_ASSIGN_OR_RETURN(std::string envelope, from_base64(item.as_string()));
    stop.envelopes.push_back(std::move(envelope));
  }
  return stop;
}

Status parse_limits(const Json& json, NodeTotal& total) {
  if (json.find("limits") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* limits, json.get_object("limits"));
    for (const auto& [spec, reason] : limits->members()) {
      if (reason.kind() != Json::Kind::string) return {Code::corrupt, "a limit has no reason"};
      total.limits[spec] = reason.as_string();
    }
  }
  if (json.find("acknowledged") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const Json* specs, json.get_array("acknowledged"));
    for (const Json& spec : specs->items()) {
      if (spec.kind() != Json::Kind::string) return {Code::corrupt, "a limit is no text"};
      total.acknowledged.insert(spec.as_string());
    }
  }
  if (json.find("lifts") == nullptr) return {};
  ACCOUNT_ASSIGN_OR_RETURN(const Json* envelopes, json.get_array("lifts"));
  for (const Json& envelope : envelopes->items()) {
    if (envelope.kind() != Json::Kind::string) return {Code::corrupt, "a lift is no text"};
    total.lifts.push_back(envelope.as_string());
  }
  return {};
}

}  // namespace

OpCount sum(const Operations& operations) {
  OpCount total;
  for (const auto& [key, count] : operations) total = saturating_add(total, count);
  return total;
}

void add_to(Operations& total, const Operations& more) {
  for (const auto& [key, count] : more) total[key] = saturating_add(total[key], count);
}

std::string to_blob(const NodeTotal& total) {
  Json ranks = Json::array();
  for (const int rank : total.ranks) ranks.push(rank);
  Json rows = Json::object();
  for (const auto& [key, count] : total.operations) {
    rows.set(std::string(name(key.first)) + "/" + std::string(name(key.second)), count);
  }
  Json blob = Json::object({{"format", kFormat},
                            {"node", total.node},
                            {"ranks", ranks},
                            {"world_size", total.world_size},
                            {"steps", total.steps},
                            {"operations", rows}});
  ledger::set_processed(blob, total.processed);
  if (total.stop) blob.set("stop", to_json(*total.stop));
  if (!total.limits.empty()) {
    Json limits = Json::object();
    for (const auto& [spec, reason] : total.limits) limits.set(spec, reason);
    blob.set("limits", limits);
  }
  if (total.covers > 0) {
    blob.set("covers", total.covers);
    blob.set("sequence", OpCount(total.sequence));
  }
  if (!total.acknowledged.empty()) {
    Json specs = Json::array();
    for (const std::string& spec : total.acknowledged) specs.push(spec);
    blob.set("acknowledged", specs);
  }
  if (!total.lifts.empty()) {
    Json envelopes = Json::array();
    for (const std::string& envelope : total.lifts) envelopes.push(envelope);
    blob.set("lifts", envelopes);
  }
  return blob.dump();
}

Result<NodeTotal> parse_total(std::string_view blob) {
  ACCOUNT_ASSIGN_OR_RETURN(const Json json, Json::parse(blob, Exchange::kMaxBlobBytes));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t format, json.get_integer("format"));
  if (format != kFormat) return Status(Code::corrupt, "a node's total is of an unknown format");
  NodeTotal total;
  ACCOUNT_ASSIGN_OR_RETURN(total.node, json.get_string("node"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t world, json.get_integer("world_size"));
  ACCOUNT_ASSIGN_OR_RETURN(const int64_t steps, json.get_integer("steps"));
  ACCOUNT_ASSIGN_OR_RETURN(const Json* ranks, json.get_array("ranks"));
  for (const Json& rank : ranks->items()) {
    if (rank.kind() != Json::Kind::integer || rank.as_integer() < 0 || rank.as_integer() >= world) {
      return Status(Code::corrupt, "a node's total lists a rank outside its world");
    }
    total.ranks.push_back(static_cast<int>(rank.as_integer()));
  }
  if (steps < 0) return Status(Code::corrupt, "a node's total has a negative number of steps");
  total.world_size = static_cast<int>(world);
  total.steps = static_cast<uint64_t>(steps);
  ACCOUNT_ASSIGN_OR_RETURN(const Json* rows, json.get_object("operations"));
  ACCOUNT_ASSIGN_OR_RETURN(total.operations, parse_operations(*rows));
  ACCOUNT_ASSIGN_OR_RETURN(total.processed, ledger::get_processed(json));
  if (const Json* stop = json.find("stop"); stop != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(total.stop, parse_stop(*stop));
  }
  ACCOUNT_RETURN_IF_ERROR(parse_limits(json, total));
  if (json.find("covers") != nullptr) {
    ACCOUNT_ASSIGN_OR_RETURN(const int64_t covers, json.get_integer("covers"));
    ACCOUNT_ASSIGN_OR_RETURN(const OpCount sequence, json.get_op_count("sequence"));
    if (covers < 1 || covers > world) return Status(Code::corrupt, "a sum covers no such world");
    total.covers = static_cast<int>(covers);
    total.sequence = sequence.low();
  }
  return total;
}

JobTotals::~JobTotals() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void JobTotals::set_own(const NodeTotal& own) {
  const std::lock_guard lock(mutex_);
  own_ = own;
}

void JobTotals::start() { thread_ = std::thread(&JobTotals::loop, this); }

void JobTotals::hurry(bool hurried) {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = hurried;
  }
  wake_.notify_all();
}

void JobTotals::loop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    round();
    lock.lock();
    const bool hurried = hurried_;
    wake_.wait_for(lock, hurried ? kHurriedPause : kRoundPause,
                   [&] { return stop_ || hurried_ != hurried; });
  }
}

void JobTotals::round() {
  NodeTotal own;
  bool hurried = false;
  {
    const std::lock_guard lock(mutex_);
    own = own_;
    hurried = hurried_;
  }
  // Alone in the world, or not begun yet: there is nobody to ask.
  if (own.ranks.empty() || static_cast<int>(own.ranks.size()) >= own.world_size) return;
  const bool posted =
      exchange_.post("total/" + std::to_string(own.ranks.front()), to_blob(own)).ok();
  const bool many = own.world_size > kDirectNodes * static_cast<int>(own.ranks.size());
  const bool leads = own.ranks.front() == 0;
  if (many && !leads && hear_sum(own)) return;
  walk(own, posted, many && leads && hurried ? kHurriedQuestions : kQuestionsPerRound);
  if (many && leads && posted) post_sum(own);
}

// Whether the node of rank 0 still says more from round to round.
bool JobTotals::hear_sum(const NodeTotal& own) {
  const auto blobs = exchange_.collect("job", {"0"}, clock_.monotonic_ns());
  std::optional<NodeTotal> heard;
  if (blobs.ok() && blobs->size() == 1 && blobs->front().has_value()) {
    auto parsed = parse_total(*blobs->front());
    if (parsed.ok()) heard = std::move(parsed).value();
  }
  const bool fits = heard && heard->covers > 0 && heard->world_size == own.world_size;
  const std::lock_guard lock(mutex_);
  if (fits && heard->sequence != sequence_) {
    sequence_ = heard->sequence;
    misses_ = 0;
    sum_ = std::move(heard);
    publish({}, true);
    return true;
  }
  if (++misses_ <= kPatienceRounds) return true;
  sum_.reset();
  return false;
}

void JobTotals::post_sum(const NodeTotal& own) {
  NodeTotal sum = own;
  sum.ranks.clear();
  sum.covers = static_cast<int>(own.ranks.size());
  sum.sequence = ++sequence_;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [node, other] : others_) {
      if (other.world_size != own.world_size) continue;
      add_to(sum.operations, other.operations);
      sum.processed = saturating_add(sum.processed, other.processed);
      sum.steps = std::max(sum.steps, other.steps);
      sum.limits.insert(other.limits.begin(), other.limits.end());
      sum.acknowledged.insert(other.acknowledged.begin(), other.acknowledged.end());
      const bool votes = own.stop && other.stop && other.stop->start == own.stop->start &&
                         other.stop->about == own.stop->about;
      if (votes) {
        sum.stop->vote = std::max(sum.stop->vote, other.stop->vote);
        sum.stop->order = std::min(sum.stop->order, other.stop->order);
      }
      if (votes || !own.stop) sum.covers += static_cast<int>(other.ranks.size());
    }
  }
  sum.covers = std::min(sum.covers, own.world_size);
  // A sum that is not heard is missed by the others, who then ask for themselves.
  (void)exchange_.post("job/0", to_blob(sum)).ok();
}

void JobTotals::walk(const NodeTotal& own, bool posted, int most_questions) {
  if (next_rank_ == 0 || next_rank_ >= own.world_size || own.world_size != walk_world_) {
    next_rank_ = 0;  // a new walk
    walk_world_ = own.world_size;
    covered_.clear();
    walk_silent_.clear();
  }
  covered_.insert(own.ranks.begin(), own.ranks.end());
  std::map<std::string, NodeTotal> heard;
  int questions = 0;
  for (; posted && next_rank_ < own.world_size && questions < most_questions; ++next_rank_) {
    if (covered_.contains(next_rank_)) continue;
    ++questions;
    const auto blobs =
        exchange_.collect("total", {std::to_string(next_rank_)}, clock_.monotonic_ns());
    if (!blobs.ok()) break;  // the road is blocked: what was heard before stays
    std::optional<NodeTotal> total;
    if (blobs->size() == 1 && blobs->front().has_value()) {
      auto parsed = parse_total(*blobs->front());
      if (parsed.ok()) total = std::move(parsed).value();
    }
    // A blob of an earlier, smaller or larger world says nothing about who holds a rank now.
    const bool fits =
        total && total->node != own.node && total->world_size == own.world_size &&
        std::find(total->ranks.begin(), total->ranks.end(), next_rank_) != total->ranks.end();
    if (!fits) {
      walk_silent_.push_back(next_rank_);
      continue;
    }
    covered_.insert(total->ranks.begin(), total->ranks.end());
    heard[total->node] = std::move(*total);
  }
  const std::lock_guard lock(mutex_);
  for (auto& [node, total] : heard) others_[node] = std::move(total);
  const bool over = next_rank_ >= own.world_size || !posted;
  publish(over ? walk_silent_ : view_->silent_ranks, posted);
}

// With the lock held.
void JobTotals::publish(std::vector<int> silent, bool reached) {
  auto view = std::make_shared<View>();
  if (sum_) view->others.push_back(*sum_);
  if (!sum_) {
    for (const auto& [node, total] : others_) view->others.push_back(total);
  }
  view->silent_ranks = std::move(silent);
  view->reached = reached;
  view_ = std::move(view);
}

std::shared_ptr<const JobTotals::View> JobTotals::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

}  // namespace account::keeper
