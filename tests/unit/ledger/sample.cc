// The sample run, and the files of tests.
#include "unit/ledger/sample.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace account::ledger {

namespace fs = std::filesystem;

const char* const kTranscript =
    R"({"op":"aten::mm","overload":"","dtype":"float32","phase":"forward","category":"train",)"
    R"("arguments":{"self":[3,5],"mat2":[5,2]},"calls":1,"executed":"60","model":"60",)"
    R"("lower":"60"})"
    "\n"
    R"({"op":"aten::mm","overload":"","dtype":"float32","phase":"backward","category":"train",)"
    R"("arguments":{"self":[2,5],"mat2":[5,2]},"calls":1,"executed":"40","model":"40",)"
    R"("lower":"40"})"
    "\n";

WriterOptions options_for(const std::string& run_folder, const std::string& run,
                          const std::string& node) {
  WriterOptions options;
  options.run_folder = run_folder;
  options.run_id = run;
  options.node = node;
  options.policies = {Json::object({{"id", "us-ca-sb1047-enrolled"}, {"sha256", "00"}})};
  return options;
}

IncarnationLine process(int rank, int world, char id) {
  IncarnationLine line;
  line.id = std::string(32, id);
  line.rank = line.local_rank = rank;
  line.world_size = world;
  line.model = "acme/chat-7b";
  line.framework = "torch 2.13.0";
  return line;
}

CounterLine counted(int incarnation, uint64_t amount, uint64_t steps, bool with_ops) {
  CounterLine line;
  line.incarnation = incarnation;
  line.steps_closed = steps;
  line.with_ops = with_ops;
  CountRow forward;
  forward.category = Category::train;
  forward.dtype = DType::float32;
  forward.op = "aten::mm";
  forward.calls = amount;
  forward.figures = {60 * amount, 60 * amount, 55 * amount};
  CountRow backward = forward;
  backward.phase = Phase::backward;
  backward.figures = {40 * amount, 30 * amount, 40 * amount};
  line.rows = {forward, backward};
  StepRun run;
  run.first = steps;
  run.count = 1;
  run.value = 100;
  line.steps.operations = {run};
  return line;
}

void write_sample(FileSystem& files, const std::string& run_folder, bool with_end,
                  const std::string& node, int first_rank, const std::vector<Json>& notes) {
  FakeClock clock;
  auto opened = Writer::open(files, clock, options_for(run_folder, "run-1", node));
  ASSERT_THAT(opened, testing::IsOk());
  Writer& writer = **opened;
  const int a = writer.incarnation(process(first_rank, 2, 'a'));
  const int b = writer.incarnation(process(first_rank + 1, 2, 'b'));
  writer.counters(counted(a, 3, 1));
  writer.counters(counted(b, 2, 1));
  ASSERT_THAT(writer.seal(SealReason::start), testing::IsOk());
  clock.advance(60'000'000'000);
  writer.transcript(a, 1, 0, kTranscript);
  writer.gap(Json::object({{"kind", "page_lost"},
                           {"detail", "a test says so"},
                           {"bound_operations", OpCount(kSampleBound)}}));
  writer.counters(counted(a, 5, 2, false));
  ASSERT_THAT(writer.seal(SealReason::time), testing::IsOk());
  writer.event("note", Json::object({{"kind", "uncounted"}, {"op", "my::op"}, {"calls", 3}}));
  for (const Json& note : notes) writer.event("note", note);
  writer.counters(counted(a, 8, 3));
  writer.counters(counted(b, 5, 3));
  if (with_end) {
    writer.ended(a, "finished");
    writer.ended(b, "finished");
    writer.closed(Json::object({{"how", "finished"}}));
  }
  ASSERT_THAT(writer.seal(SealReason::end), testing::IsOk());
}

Report verified(const std::string& path, const std::optional<sign::PublicKey>& developer) {
  auto report = verify(FileSystem::real(), path, developer, kRecount);
  EXPECT_THAT(report, testing::IsOk());
  return report.ok() ? std::move(report).value() : Report();
}

std::string describe(const Report& report) {
  std::string text;
  for (const Problem& problem : report.problems)
    text += problem.place + ": " + problem.fault + "\n";
  return text;
}

std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  }
  return paths;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void copy_folder(const std::string& from, const std::string& to) {
  fs::copy(from, to, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

}  // namespace account::ledger
