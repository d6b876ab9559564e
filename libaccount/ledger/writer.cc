// The writer: one keeper's session in one node's ledger.
//
// Append = lines, sync, note, sync, acknowledged. What fails in between leaves the ledger as it was
// acknowledged: at once where that is possible, else at reopen() or at the next keeper's open().
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "account/version.h"
#include "ledger/format.h"
#include "ledger/ledger.h"
#include "ledger/lines.h"
#include "ledger/node_reader.h"

namespace account::ledger {
namespace {

constexpr int kFolderMode = 0755;
constexpr int kFileMode = 0644;
// Counters of a seal line, leaving room for the rest of it; more of them go into a further line.
constexpr size_t kEntriesCapBytes = kLineCapBytes / 2;

// What seal() writes: lines in the order in which a reader needs them.
struct Batch {
  std::vector<std::string> before;             // incarnations, transcripts, gaps, events
  std::vector<std::pair<int, Json>> counters;  // incarnation, entry
  std::vector<std::string> after;              // ended, closed
  bool closes = false;
  std::map<std::string, std::string> transcripts;  // file name, bytes
};

// What is on disk and covered by the note.
struct Acknowledged {
  sign::MerkleTree tree;
  std::string note;
  uint32_t segment = 1;
  uint64_t segment_bytes = 0;
  std::map<std::string, int> incarnations;  // by id
  std::set<std::string> transcripts;
  int64_t unix_ns = 0;  // of the last line
  bool closed = false;
};

// Nothing is written that could not be read again: text from outside may be no UTF-8, or too long.
bool is_writable(const Json& json) { return Json::parse(json.dump(), kEntriesCapBytes).ok(); }

class LedgerWriter final : public Writer {
 public:
  LedgerWriter(FileSystem& files, const Clock& clock, const WriterOptions& options)
      : files_(files),
        clock_(clock),
        options_(options),
        folder_(join_path(options.run_folder, node_folder_name(options.node))),
        key_(sign::SecretKey::generate()) {}

  Status open();

  int incarnation(const IncarnationLine& line) override;
  void counters(const CounterLine& line) override;
  void transcript(int incarnation, uint64_t step, uint64_t not_kept,
                  const std::string& lines) override;
  void gap(const Json& what) override { queue(batch_.before, line_of("gap", what, now())); }
  void event(std::string_view type, const Json& body) override;
  void ended(int incarnation, std::string_view how) override;
  void closed(const Json& outcome) override;
  Status seal(SealReason reason) override;
  SealedState sealed() const override;
  Status reopen() override;
  const std::string& node_folder() const override { return folder_; }

 private:
  // One time for all lines of a batch, and never before that of the lines that are there: a clock
  // that goes back stands still here.
  int64_t now() {
    if (batch_unix_ns_ == 0) batch_unix_ns_ = std::max(clock_.unix_ns(), acknowledged_.unix_ns);
    return batch_unix_ns_;
  }
  void note_clock();
  std::string in_folder(std::string_view name) const { return join_path(folder_, name); }
  std::string segment_path(uint32_t number) const {
    return join_path(in_folder(kLedgerFolder), segment_name(number));
  }

  Status make_folders();
  Status claim_run_file();
  Status take_up(const NodeRead& read);
  Status cut_behind(const NodeRead& read);
  Status remove_last_segment(uint32_t number);
  OpenLine opening(const NodeRead& read) const;

  void queue(std::vector<std::string>& where, const Json& line);
  void forget_batch();
  std::vector<std::string> batch_lines(SealReason reason, sign::MerkleTree tree);
  Status write_transcripts();
  Status commit(const std::vector<std::string>& lines);
  Status append(std::string& chunk, Acknowledged& next);
  Status begin_segment(uint32_t number);

  FileSystem& files_;
  const Clock& clock_;
  const WriterOptions options_;
  const std::string folder_;
  const sign::SecretKey key_;  // in memory only: nobody can continue this session later
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<AppendFile> segment_;
  Acknowledged acknowledged_;
  Batch batch_;
  std::map<std::string, int> incarnations_;  // acknowledged ones and those of the batch
  int64_t batch_unix_ns_ = 0;                // 0: the batch has no line yet
  bool clock_noted_ = false;
  bool broken_ = false;
};

Status LedgerWriter::open() {
  ACCOUNT_RETURN_IF_ERROR(check_run_id(options_.run_id));
  ACCOUNT_RETURN_IF_ERROR(check_node(options_.node));
  ACCOUNT_RETURN_IF_ERROR(make_folders());
  auto lock = files_.lock(in_folder(kRunFile));
  if (!lock.ok()) {
    if (lock.status().code() != Code::unavailable) return lock.status();
    return Status(Code::unavailable, fmt::format("another keeper writes {}", folder_),
                  "wait for its end, or give this run another id");
  }
  lock_ = std::move(lock).value();
  ACCOUNT_RETURN_IF_ERROR(claim_run_file());
  ACCOUNT_ASSIGN_OR_RETURN(const NodeRead read, read_node(files_, folder_));
  if (!read.problems.empty()) {
    const Problem& problem = read.problems.front();
    return Status(
        Code::corrupt,
        fmt::format("the ledger in {} is damaged: {}: {}", folder_, problem.place, problem.fault),
        "put the folder back from a copy, or move it away and keep it, and start again");
  }
  return take_up(read);
}

Status LedgerWriter::make_folders() {
  ACCOUNT_RETURN_IF_ERROR(files_.make_directories(in_folder(kLedgerFolder), kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files_.make_directories(in_folder(kTranscriptFolder), kFolderMode));
  ACCOUNT_RETURN_IF_ERROR(files_.sync_directory(folder_));
  return files_.sync_directory(options_.run_folder);
}

// Note: [run.json] The lock is on run.json itself, so the file is never replaced: a lock on a file
// that was renamed over guards nothing. It is written in place, and written again as long as
// nothing was ever sealed on it.
Status LedgerWriter::claim_run_file() {
  const std::string path = in_folder(kRunFile);
  ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files_.read(path, kSmallFileCapBytes));
  const auto parsed = parse_run_file(bytes);
  if (parsed.ok() && (parsed->run != options_.run_id || parsed->node != options_.node)) {
    return Status(Code::invalid_argument,
                  fmt::format("{} is the folder of run '{}', node {}, not of run '{}', node {}",
                              folder_, parsed->run, parsed->node, options_.run_id, options_.node),
                  "give another directory or run id");
  }
  const bool was_sealed = files_.exists(in_folder(kCheckpointFile));
  if (parsed.ok() || was_sealed) return Status();  // a damaged one is found when it is read
  ACCOUNT_RETURN_IF_ERROR(files_.truncate(path, 0));
  ACCOUNT_ASSIGN_OR_RETURN(auto file, files_.open_append(path));
  ACCOUNT_RETURN_IF_ERROR(
      file->append(write_run_file({options_.run_id, options_.node, clock_.unix_ns()})));
  ACCOUNT_RETURN_IF_ERROR(file->sync());
  return files_.sync_directory(folder_);
}

Status LedgerWriter::take_up(const NodeRead& read) {
  acknowledged_.tree = read.replay->tree();
  acknowledged_.note = read.note;
  acknowledged_.unix_ns = read.replay->last_unix_ns();
  acknowledged_.segment = std::max(read.last_segment, 1u);
  acknowledged_.segment_bytes = read.end_offset;
  for (const auto& [number, tracked] : read.replay->incarnations()) {
    acknowledged_.incarnations[tracked.line.id] = number;
  }
  for (const TranscriptLine& line : read.replay->transcripts()) {
    acknowledged_.transcripts.insert(line.file);
  }
  forget_batch();
  const OpenLine line = opening(read);
  ACCOUNT_RETURN_IF_ERROR(cut_behind(read));
  return commit({encode(line, now()).dump()});
}

OpenLine LedgerWriter::opening(const NodeRead& read) const {
  OpenLine line;
  line.session = read.replay->sessions() + 1;
  line.reason = line.session == 1 ? kFirst : read.closed() ? kAfterEnd : kAfterCrash;
  line.run = options_.run_id;
  line.node = options_.node;
  line.run_file_sha256 = read.identity.run_file_sha256;
  line.library = fmt::format("account {} ({})", version(), build_id());
  line.policies = options_.policies;
  line.key = key_.public_key().bytes();
  line.previous = read.note;
  line.cut_bytes = read.open_bytes;
  if (line.cut_bytes > 0) line.cut_sha256 = read.open_sha256;
  return line;
}

// Nobody was told that these bytes are kept: they lie behind the last note.
Status LedgerWriter::cut_behind(const NodeRead& read) {
  for (auto number = read.segments_behind.rbegin(); number != read.segments_behind.rend();
       ++number) {
    if (*number > acknowledged_.segment) ACCOUNT_RETURN_IF_ERROR(remove_last_segment(*number));
  }
  const std::string path = segment_path(acknowledged_.segment);
  if (files_.exists(path)) {
    ACCOUNT_RETURN_IF_ERROR(files_.truncate(path, acknowledged_.segment_bytes));
  }
  return files_.sync_directory(in_folder(kLedgerFolder));
}

// Synced one by one, the last first: a crash that kept the removal of one and not of a later one
// would leave a hole in the numbers, which is refused.
Status LedgerWriter::remove_last_segment(uint32_t number) {
  ACCOUNT_RETURN_IF_ERROR(files_.remove(segment_path(number)));
  return files_.sync_directory(in_folder(kLedgerFolder));
}

int LedgerWriter::incarnation(const IncarnationLine& line) {
  const auto known = incarnations_.find(line.id);
  if (known != incarnations_.end()) return known->second;
  const int number = static_cast<int>(incarnations_.size()) + 1;
  incarnations_[line.id] = number;
  IncarnationLine kept = line;
  // What a process says of itself must not keep it from being counted.
  if (!is_writable(encode(number, kept, now()))) kept.model = kept.framework = kept.parent = "";
  queue(batch_.before, encode(number, kept, now()));
  return number;
}

void LedgerWriter::counters(const CounterLine& line) {
  Json entry = encode(line);
  if (line.with_ops && !is_writable(entry)) {
    CounterLine plain = line;
    plain.with_ops = false;
    entry = encode(plain);
    gap(Json::object({{"kind", "ops_unwritable"},
                      {"incarnation", line.incarnation},
                      {"detail", "the names of its ops are no UTF-8, or too many for a line"}}));
  }
  batch_.counters.emplace_back(line.incarnation, std::move(entry));
}

void LedgerWriter::transcript(int incarnation, uint64_t step, uint64_t not_kept,
                              const std::string& lines) {
  const std::string file = transcript_name(incarnation, step);
  if (acknowledged_.transcripts.contains(file) || batch_.transcripts.contains(file)) return;
  const auto rows = static_cast<uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  queue(batch_.before, encode(TranscriptLine{incarnation, step, rows, not_kept, file,
                                             sign::to_hex(sign::sha256(lines))},
                              now()));
  batch_.transcripts[file] = lines;
}

void LedgerWriter::event(std::string_view type, const Json& body) {
  if (is_event_type(type)) {
    queue(batch_.before, line_of(type, body, now()));
    return;
  }
  gap(Json::object(
      {{"kind", "event_refused"}, {"detail", fmt::format("'{}' is no type of event", type)}}));
}

void LedgerWriter::ended(int incarnation, std::string_view how) {
  const Json body = Json::object({{"incarnation", incarnation}, {"how", how}});
  queue(batch_.after, line_of("ended", body, now()));
}

void LedgerWriter::closed(const Json& outcome) {
  queue(batch_.after, line_of("closed", outcome, now()));
  batch_.closes = true;
}

void LedgerWriter::queue(std::vector<std::string>& where, const Json& line) {
  if (is_writable(line)) {
    where.push_back(line.dump());
    return;
  }
  // A line that this code made is always writable, so this does not call itself again and again.
  gap(Json::object({{"kind", "line_unwritable"},
                    {"detail", fmt::format("a line of type '{}' is no UTF-8, or too long",
                                           line.get_string("type").value())}}));
}

void LedgerWriter::forget_batch() {
  batch_ = Batch();
  batch_unix_ns_ = 0;
  incarnations_ = acknowledged_.incarnations;
}

Status LedgerWriter::seal(SealReason reason) {
  if (broken_) {
    return Status(Code::unavailable, "an earlier write to the ledger failed", "reopen it first");
  }
  if (acknowledged_.closed) {
    return Status(Code::invalid_argument, "the ledger is closed; only a new session can go on");
  }
  const bool closes = batch_.closes;
  note_clock();
  Status written = write_transcripts();
  if (written.ok()) written = commit(batch_lines(reason, acknowledged_.tree));
  if (!written.ok()) {
    broken_ = true;
    segment_.reset();
    forget_batch();
    return written.with_context("the seal is not acknowledged");
  }
  acknowledged_.closed = closes;
  acknowledged_.incarnations = incarnations_;
  for (const auto& [file, bytes] : batch_.transcripts) acknowledged_.transcripts.insert(file);
  forget_batch();
  return Status();
}

void LedgerWriter::note_clock() {
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t behind = acknowledged_.unix_ns - clock_.unix_ns();
  if (clock_noted_ || behind < kSecond) return;
  clock_noted_ = true;
  event("note", Json::object({{"kind", "clock_went_back"},
                              {"seconds", behind / kSecond},
                              {"detail", "times stand still until the clock has caught up"}}));
}

// The seal line stands between what it refers to and what ends it. Each seal line carries the root
// of all lines before it, so that a later change can be placed between two seals.
std::vector<std::string> LedgerWriter::batch_lines(SealReason reason, sign::MerkleTree tree) {
  std::vector<std::string> lines = batch_.before;
  for (const std::string& line : lines) tree.append(line);
  for (size_t next = 0; next < batch_.counters.size() || next == 0;) {
    std::vector<Json> fitting;
    std::map<std::string, int> known;  // what an entry says, and the first incarnation with it
    size_t bytes = 0;
    for (; next < batch_.counters.size(); ++next) {
      const int number = batch_.counters[next].first;
      Json entry = batch_.counters[next].second;
      // Its own number goes first, and is all that tells equal entries apart.
      const std::string said =
          entry.dump().substr(fmt::format("{{\"incarnation\":{}", number).size());
      const auto [first, is_new] = known.emplace(said, number);
      if (!is_new) entry = same_entry(number, first->second);
      bytes += entry.dump().size();
      if (bytes > kEntriesCapBytes && !fitting.empty()) break;
      fitting.push_back(std::move(entry));
    }
    lines.push_back(seal_line(reason, tree.root(), std::move(fitting), now()).dump());
    tree.append(lines.back());
    if (batch_.counters.empty()) break;
  }
  lines.insert(lines.end(), batch_.after.begin(), batch_.after.end());
  return lines;
}

Status LedgerWriter::write_transcripts() {
  for (const auto& [file, bytes] : batch_.transcripts) {
    const std::string path = join_path(in_folder(kTranscriptFolder), file);
    ACCOUNT_RETURN_IF_ERROR(files_.write_atomically(path, bytes, kFileMode));
  }
  return Status();
}

Status LedgerWriter::commit(const std::vector<std::string>& lines) {
  Acknowledged next = acknowledged_;
  if (!segment_) ACCOUNT_RETURN_IF_ERROR(begin_segment(next.segment));
  std::string chunk;
  for (const std::string& line : lines) {
    const uint64_t before = next.segment_bytes + chunk.size();
    if (before > 0 && before + line.size() + 1 > options_.segment_bytes) {
      ACCOUNT_RETURN_IF_ERROR(append(chunk, next));
      ACCOUNT_RETURN_IF_ERROR(begin_segment(++next.segment));
      next.segment_bytes = 0;
    }
    chunk.append(line).push_back('\n');
    next.tree.append(line);
  }
  ACCOUNT_RETURN_IF_ERROR(append(chunk, next));
  ACCOUNT_ASSIGN_OR_RETURN(
      next.note,
      sign::write_checkpoint(
          {origin_of(options_.run_id, options_.node), next.tree.size(), next.tree.root()}, key_));
  ACCOUNT_RETURN_IF_ERROR(
      files_.write_atomically(in_folder(kCheckpointFile), next.note, kFileMode));
  next.unix_ns = now();
  acknowledged_ = std::move(next);
  batch_unix_ns_ = 0;
  return Status();
}

Status LedgerWriter::append(std::string& chunk, Acknowledged& next) {
  ACCOUNT_RETURN_IF_ERROR(segment_->append(chunk));
  ACCOUNT_RETURN_IF_ERROR(segment_->sync());
  next.segment_bytes += chunk.size();
  chunk.clear();
  return Status();
}

Status LedgerWriter::begin_segment(uint32_t number) {
  ACCOUNT_ASSIGN_OR_RETURN(segment_, files_.open_append(segment_path(number)));
  return files_.sync_directory(in_folder(kLedgerFolder));
}

SealedState LedgerWriter::sealed() const {
  return {acknowledged_.tree.size(), sign::to_hex(acknowledged_.tree.root())};
}

// Back to what was acknowledged. The note goes first: a note may cover fewer lines than there are,
// never more.
Status LedgerWriter::reopen() {
  if (!broken_) return Status();
  const std::string note_path = in_folder(kCheckpointFile);
  const auto note = files_.read(note_path, kSmallFileCapBytes);
  if (!note.ok() || *note != acknowledged_.note) {
    ACCOUNT_RETURN_IF_ERROR(files_.write_atomically(note_path, acknowledged_.note, kFileMode));
  }
  uint32_t last = acknowledged_.segment;
  while (files_.exists(segment_path(last + 1))) ++last;
  for (; last > acknowledged_.segment; --last) {
    ACCOUNT_RETURN_IF_ERROR(remove_last_segment(last));
  }
  ACCOUNT_RETURN_IF_ERROR(
      files_.truncate(segment_path(acknowledged_.segment), acknowledged_.segment_bytes));
  ACCOUNT_RETURN_IF_ERROR(files_.sync_directory(in_folder(kLedgerFolder)));
  broken_ = false;
  return Status();
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::open(FileSystem& files, const Clock& clock,
                                             const WriterOptions& options) {
  auto writer = std::make_unique<LedgerWriter>(files, clock, options);
  ACCOUNT_RETURN_IF_ERROR(writer->open());
  return std::unique_ptr<Writer>(std::move(writer));
}

}  // namespace account::ledger
