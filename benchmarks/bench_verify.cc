// A year of one node's ledger: how large it gets, how fast it verifies, in how much memory.
//
//   bench_verify [days=365] [ranks=8] [even=1] [dir=/dev/shm/account-bench-verify]
//
// One step a second, a seal each minute of the first hour and then every ten, as the keeper seals
// (keeper/seal.cc); three category/phase/dtype rows and ten ops a rank, all ops hourly on the
// first day, then daily. With even=0 each rank counts something else, as in a pipeline.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>

#include "base/clock.h"
#include "base/files.h"
#include "count/transcript.h"
#include "ledger/ledger.h"

namespace account::ledger {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
// The step of an 8-billion-parameter model on 2^20 tokens, spread over 8 ranks (6 x P x tokens).
constexpr uint64_t kStepOperations = 6'291'456'000'000'000;
constexpr const char* kOps[] = {"aten::mm",
                                "aten::addmm",
                                "aten::bmm",
                                "aten::linear",
                                "aten::sdpa",
                                "aten::conv1d",
                                "aten::conv2d",
                                "aten::baddbmm",
                                "aten::convolution_backward",
                                "aten::embedding_dense_backward"};
constexpr Phase kPhases[] = {Phase::forward, Phase::backward, Phase::recompute};

CounterLine line_of(int incarnation, uint64_t steps, uint64_t since, uint64_t uneven,
                    bool with_ops) {
  CounterLine line;
  line.incarnation = incarnation;
  line.steps_closed = steps;
  line.with_ops = with_ops;
  for (const Phase phase : kPhases) {
    for (const char* op : kOps) {
      CountRow row;
      row.category = Category::train;
      row.phase = phase;
      row.dtype = DType::bfloat16;
      row.op = op;
      row.calls = 64 * steps;
      const OpCount done = saturating_multiply(OpCount(kStepOperations / 30 + uneven), steps);
      row.figures = {done, phase == Phase::recompute ? OpCount() : done, done};
      line.rows.push_back(std::move(row));
    }
  }
  StepRun run;
  run.first = since + 1;
  run.count = steps - since;
  run.value = kStepOperations + 30 * uneven;
  line.steps.operations = {run};
  return line;
}

Status write(const std::string& run_folder, uint64_t days, int ranks, bool even) {
  FakeClock clock;
  WriterOptions options;
  options.run_folder = run_folder;
  options.run_id = "year";
  options.node = "1f00ba5e";
  ACCOUNT_ASSIGN_OR_RETURN(auto writer, Writer::open(FileSystem::real(), clock, options));
  uint64_t second = 0, whole = UINT64_MAX;
  while (second < days * 86'400) {
    const uint64_t since = second;
    second += second < 3'600 ? 60 : 600;
    clock.advance(static_cast<int64_t>(second - since) * kSecond);
    const uint64_t period = second < 86'400 ? second / 3'600 : 24 + second / 86'400;
    const bool with_ops = period != whole;
    whole = period;
    for (int rank = 0; rank < ranks; ++rank) {
      IncarnationLine process;
      process.id = std::string(31, 'a') + static_cast<char>('0' + rank);
      process.rank = process.local_rank = rank;
      process.world_size = ranks;
      const int number = writer->incarnation(process);
      writer->counters(
          line_of(number, second, since, even ? 0 : static_cast<uint64_t>(rank), with_ops));
    }
    ACCOUNT_RETURN_IF_ERROR(writer->seal(SealReason::time));
  }
  writer->closed(Json::object({{"how", "finished"}}));
  return writer->seal(SealReason::end);
}

uint64_t bytes_below(const std::string& folder) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

int64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

int measure(uint64_t days, int ranks, bool even, const std::string& dir) {
  const std::string run = dir + "/year";
  std::filesystem::remove_all(dir);
  if (const Status written = write(run, days, ranks, even); !written.ok()) {
    std::fprintf(stderr, "bench_verify: %s\n", written.to_string().c_str());
    return 1;
  }
  const auto megabytes = static_cast<double>(bytes_below(run)) / 1e6;
  const std::clock_t began = std::clock();
  const auto report = verify(FileSystem::real(), run, std::nullopt, &count::recount);
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  if (!report.ok() || !report->ok()) {
    std::fprintf(stderr, "bench_verify: the ledger does not verify\n");
    return 1;
  }
  std::printf(
      "%lu days, %d %s ranks: %.1f MB, %.0f MB a year; verified in %.2f s of processor time,"
      " %.0f MB/s; peak memory %ld MiB\n",
      days, ranks, even ? "even" : "uneven", megabytes, megabytes * 365 / static_cast<double>(days),
      seconds, megabytes / seconds, peak_kib() / 1024);
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace account::ledger

int main(int argc, char** argv) {
  const auto word = [&](int at, const char* otherwise) { return argc > at ? argv[at] : otherwise; };
  return account::ledger::measure(std::strtoull(word(1, "365"), nullptr, 10),
                                  std::atoi(word(2, "8")), std::atoi(word(3, "1")) != 0,
                                  word(4, "/dev/shm/account-bench-verify"));
}
