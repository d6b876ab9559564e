// Recording a step's calls in the tally page; taking them out; counting them again.
#include "count/transcript.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "count/audit.h"
#include "count/transcript_row.h"

namespace account::count {
namespace {

using tally::TranscriptState;

// Wishes of every run: the first step and one soon after it, which often differ (lazy
// initialisation, compilation), and two of steady training. The keeper asks for more.
constexpr std::array<uint64_t, 4> kAlwaysRecorded = {1, 2, 10, 100};

// The rows of the step that is being recorded, found by their identity.
class Recorder {
 public:
  void begin(tally::Transcript& area, uint64_t step) noexcept {
    const std::lock_guard lock(mutex_);
    index_.fill(kNoRow);
    area.rows.store(0, std::memory_order_relaxed);
    area.not_kept.store(0, std::memory_order_relaxed);
    area.step.store(step, std::memory_order_relaxed);
    area.state.store(static_cast<uint32_t>(TranscriptState::recording), std::memory_order_release);
    recording.store(true, std::memory_order_relaxed);
  }

  void end(tally::Transcript& area) noexcept {
    const std::lock_guard lock(mutex_);
    recording.store(false, std::memory_order_relaxed);
    area.state.store(static_cast<uint32_t>(TranscriptState::ready), std::memory_order_release);
  }

  void add(tally::Transcript& area, const TranscriptCall& call) noexcept {
    RowBytes bytes;
    const bool fits = encode(call, bytes);
    const std::lock_guard lock(mutex_);
    if (!is_recording(area)) return;  // the step was closed while we waited
    char* row = fits ? find(area, bytes) : nullptr;
    if (row == nullptr) {
      area.not_kept.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    RowBytes sum;
    std::memcpy(&sum, row, sizeof(sum));
    sum.calls += call.calls;
    const auto grow = [](uint64_t& low, uint64_t& high, OpCount more) {
      const OpCount value = saturating_add(OpCount::from_limbs(low, high), more);
      low = value.low();
      high = value.high();
    };
    grow(sum.executed_low, sum.executed_high, call.figures.executed);
    grow(sum.model_low, sum.model_high, call.figures.model);
    grow(sum.lower_low, sum.lower_high, call.figures.lower);
    std::memcpy(row, &sum, sizeof(sum));
  }

  static bool is_recording(const tally::Transcript& area) noexcept {
    return area.state.load(std::memory_order_acquire) ==
           static_cast<uint32_t>(TranscriptState::recording);
  }

 private:
  static constexpr uint16_t kNoRow = 0xFFFF;
  static constexpr size_t kIndexSize = 1024;  // a power of two, well above the rows

  // The row of this very call, a new one with no calls yet, or nullptr where all are taken.
  char* find(tally::Transcript& area, const RowBytes& wanted) noexcept {
    constexpr size_t kFrom = offsetof(RowBytes, op);
    const uint32_t rows = area.rows.load(std::memory_order_relaxed);
    size_t at = wanted.identity % kIndexSize;
    for (; index_[at] != kNoRow; at = (at + 1) % kIndexSize) {
      char* row = area.row[index_[at]].bytes;
      const auto* known = reinterpret_cast<const char*>(&wanted);
      if (std::memcmp(row + kFrom, known + kFrom, sizeof(wanted) - kFrom) == 0) return row;
    }
    if (rows >= tally::kTranscriptRows) return nullptr;
    RowBytes fresh = wanted;
    fresh.calls = fresh.executed_low = fresh.executed_high = fresh.model_low = fresh.model_high =
        fresh.lower_low = fresh.lower_high = 0;
    std::memcpy(area.row[rows].bytes, &fresh, sizeof(fresh));
    index_[at] = static_cast<uint16_t>(rows);
    area.rows.store(rows + 1, std::memory_order_relaxed);
    return area.row[rows].bytes;
  }

  std::mutex mutex_;
  std::array<uint16_t, kIndexSize> index_{};
};
static_assert(std::is_trivially_destructible_v<Recorder>);  // threads may outlive main()
constinit Recorder recorder;

// How many of kAlwaysRecorded were begun.
std::atomic<size_t> begun{0};

// Begins recording `step` if a wish is due and the area is free.
void begin_if_due(tally::Transcript& area, uint64_t step) noexcept {
  if (area.state.load(std::memory_order_acquire) != static_cast<uint32_t>(TranscriptState::idle)) {
    return;
  }
  size_t next = begun.load(std::memory_order_relaxed);
  bool due = false;
  for (; next < kAlwaysRecorded.size() && kAlwaysRecorded[next] <= step; ++next) due = true;
  begun.store(next, std::memory_order_relaxed);
  const uint64_t wanted = area.wanted_at.load(std::memory_order_relaxed);
  if (wanted != 0 && wanted <= step) {
    area.wanted_at.store(0, std::memory_order_relaxed);
    due = true;
  }
  if (!due) return;
  recorder.begin(area, step);
  // Not the first: a process that closes no steps would be watched for ever.
  if (step > 1) begin_audited_step();
}

Status refuse_line(uint64_t line, const std::string& why) {
  return Status(Code::corrupt, "transcript line " + std::to_string(line) + ": " + why);
}

// What a line's shapes give, over all its calls; corrupt where the line states anything else.
Result<Figures> recount_line(std::string_view line, uint64_t number) {
  const auto call = from_json_line(line);
  if (!call.ok()) return call.status().with_context("transcript line " + std::to_string(number));
  if (to_json_line(*call) != std::string(line) + "\n") {
    return refuse_line(number, "it is not in its one canonical spelling");
  }
  const Counted once = count_call(*call->row, call->arguments, call->dtype, call->phase);
  if (once.decline != Decline::none) return refuse_line(number, std::string(name(once.decline)));
  const Figures& each = once.figures;
  const auto all = [&](OpCount value) { return saturating_multiply(value, call->calls); };
  const Figures right{all(each.executed), all(each.model), all(each.lower)};
  if (right == call->figures) return right;
  return refuse_line(
      number, "it states " + call->figures.executed.to_decimal() + " operations executed (model " +
                  call->figures.model.to_decimal() + ", lower " + call->figures.lower.to_decimal() +
                  "), and its shapes give " + right.executed.to_decimal() + " (model " +
                  right.model.to_decimal() + ", lower " + right.lower.to_decimal() + ")");
}

}  // namespace

constinit std::atomic<bool> recording{false};

void record(const Row& row, const Arguments& arguments, tally::Key key,
            const Figures& figures) noexcept {
  tally::Page* page = tally::active_page();
  // A forked child inherits the flag and has a page that records nothing.
  if (page == nullptr || !Recorder::is_recording(page->layout().transcript)) return;
  recorder.add(page->layout().transcript,
               {&row, arguments, key.dtype, key.phase, key.category, 1, figures});
}

void record_not_kept(uint64_t calls) noexcept {
  tally::Page* page = tally::active_page();
  if (page == nullptr || !recording.load(std::memory_order_relaxed)) return;
  tally::Transcript& area = page->layout().transcript;
  if (Recorder::is_recording(area)) area.not_kept.fetch_add(calls, std::memory_order_relaxed);
}

void on_step_closed(uint64_t closed_step) noexcept {
  tally::Page* page = tally::active_page();
  if (closed_step == 0 || page == nullptr) return;
  tally::Transcript& area = page->layout().transcript;
  if (Recorder::is_recording(area)) {
    recorder.end(area);
    end_audited_step(closed_step);
  }
  begin_if_due(area, closed_step + 1);
}

void begin() noexcept {
  tally::Page* page = tally::active_page();
  if (page == nullptr) return;
  begun.store(0, std::memory_order_relaxed);
  begin_if_due(page->layout().transcript, 1);
}

bool take(tally::PageView& page, Transcript& out) {
  tally::Transcript& area = page.layout().transcript;
  if (area.state.load(std::memory_order_acquire) != static_cast<uint32_t>(TranscriptState::ready)) {
    return false;
  }
  out.step = area.step.load(std::memory_order_relaxed);
  out.not_kept = area.not_kept.load(std::memory_order_relaxed);
  out.lines.clear();
  const uint32_t rows = std::min(area.rows.load(std::memory_order_relaxed),
                                 static_cast<uint32_t>(tally::kTranscriptRows));
  for (uint32_t i = 0; i < rows; ++i) {
    RowBytes bytes;
    std::memcpy(&bytes, area.row[i].bytes, sizeof(bytes));
    const auto call = decode(bytes);
    // Only what would pass a recount is written down: the rest is no row of a rank of ours.
    const std::string line = call.has_value() ? to_json_line(*call) : std::string();
    if (call.has_value() && recount_line({line.data(), line.size() - 1}, i).ok()) {
      out.lines += line;
    } else {
      out.not_kept += std::max<uint64_t>(bytes.calls, 1);
    }
  }
  area.state.store(static_cast<uint32_t>(TranscriptState::idle), std::memory_order_release);
  return true;
}

Result<Figures> recount(std::string_view lines, uint64_t& rows) {
  Figures sum;
  rows = 0;
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    if (end == std::string_view::npos) {
      return refuse_line(rows + 1, "it does not end; the transcript was cut");
    }
    ACCOUNT_ASSIGN_OR_RETURN(const Figures figures, recount_line(lines.substr(0, end), ++rows));
    sum = {saturating_add(sum.executed, figures.executed), saturating_add(sum.model, figures.model),
           saturating_add(sum.lower, figures.lower)};
    lines.remove_prefix(end + 1);
  }
  return sum;
}

}  // namespace account::count
