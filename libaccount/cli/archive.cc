// `account archive`: all that a stranger needs to check a run in ten years, in one folder.
// libaccount/doc/archive_format.md.
#include "cli/archive.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/files.h"
#include "cli/archive_files.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/report_text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "ledger/ledger.h"
#include "policy/built_in.h"
#include "policy/policy.h"
#include "record/parents.h"

namespace account::cli {
namespace {

constexpr std::string_view kFormat = "account-archive/1";
constexpr uint64_t kCopyCapBytes = uint64_t{256} << 20;  // the largest file of a run has 64 MiB
constexpr int kFolderMode = 0755, kFileMode = 0644;

constexpr std::string_view kReadMe =
    "An archive of training runs, their counted operations, and what is needed to check them.\n\n"
    "    python3 verify.py .\n\n"
    "checks all of it with Python's standard library alone (3.9 or later). With public key files\n"
    "behind the point it also asks that they endorsed the runs and signed the records. Whose keys\n"
    "these are has to be known from elsewhere; those in keys/ are copies.\n\n"
    "  manifest.json  each file with its SHA-256, and until when to keep this\n"
    "  runs/          ledgers, checkpoints, transcripts, endorsements, anchors, declarations\n"
    "  records/       compute records\n"
    "  policies/      the thresholds, as data; tables/ the devices' peak rates\n"
    "  keys/          public keys, and keys.json: which keys signed which ledger\n"
    "  formats/       a page for each format: enough to write another verifier\n"
    "  proof.json     where there is one: a signed verdict, which verify.py recomputes\n";

// Files on their way into the archive, in the order of their names.
class Archive {
 public:
  explicit Archive(std::string folder) : folder_(std::move(folder)) {}

  Status put(const std::string& name, std::string_view bytes) {
    FileSystem& files = FileSystem::real();
    const std::string path = join_path(folder_, name);
    ACCOUNT_RETURN_IF_ERROR(files.make_directories(folder_of(path), kFolderMode));
    ACCOUNT_RETURN_IF_ERROR(files.write_atomically(path, bytes, kFileMode));
    digests_[name] = sign::to_hex(sign::sha256(bytes));
    return {};
  }

  // A file, or a folder with all below it.
  Status copy(const std::string& from, const std::string& name) {
    FileSystem& files = FileSystem::real();
    const auto names = files.list(from);
    if (names.ok()) {
      for (const std::string& entry : *names) {
        ACCOUNT_RETURN_IF_ERROR(copy(join_path(from, entry), join_path(name, entry)));
      }
      return {};
    }
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, files.read(from, kCopyCapBytes));
    return put(name, bytes);
  }

  // Last: a folder without it is no archive.
  Status close(const std::string& retain_until) {
    Json listed = Json::object();
    for (const auto& [name, digest] : digests_) listed.set(name, digest);
    const Json manifest = Json::object({{"format", kFormat},
                                        {"made", to_iso8601(Clock::real().unix_ns())},
                                        {"retain_until", retain_until},
                                        {"files", std::move(listed)}});
    return FileSystem::real().write_atomically(join_path(folder_, "manifest.json"),
                                               manifest.dump_pretty() + "\n", kFileMode);
  }

  size_t size() const { return digests_.size(); }

 private:
  std::string folder_;
  std::map<std::string, std::string> digests_;
};

Status put_runs(const ArchiveWords& words, Archive& archive, Json& keys) {
  for (const std::string& word : words.runs) {
    ACCOUNT_ASSIGN_OR_RETURN(const ledger::Report report, verify_run(word, {}));
    if (!report.ok()) return first_problem(report).with_context(word);
    if (keys.find(report.run) != nullptr) {
      return {Code::invalid_argument, fmt::format("run '{}' is given twice", report.run),
              "give each run once"};
    }
    Json nodes = Json::object();
    for (const ledger::NodeReport& node : report.nodes) {
      nodes.set(node.node, Json::strings(node.keys));
    }
    keys.set(report.run, std::move(nodes));
    ACCOUNT_RETURN_IF_ERROR(archive.copy(report.folder, "runs/" + report.run));
  }
  return {};
}

Status put_record(const record::SignedRecord& record, Archive& archive) {
  return archive.put(
      fmt::format("records/{}{}", record::short_id(record.id), record::kRecordSuffix),
      record.bytes);
}

// A record, and those of the models that it was made from, as far as they lie beside it.
Status put_records(const ArchiveWords& words, Archive& archive) {
  for (const std::string& path : words.records) {
    RecordWords asked;
    asked.path = path;
    ACCOUNT_ASSIGN_OR_RETURN(const CheckedRecord checked, check_record(asked));
    ACCOUNT_RETURN_IF_ERROR(put_record(checked.found.record, archive));
    for (const auto& [id, parent] : checked.shelf.all()) {
      ACCOUNT_RETURN_IF_ERROR(put_record(parent, archive));
    }
  }
  return {};
}

Status put_law(const ArchiveWords& words, Archive& archive) {
  for (const auto& file : policy::built_in_files()) {
    ACCOUNT_RETURN_IF_ERROR(archive.put(fmt::format("policies/{}.json", file.id), file.bytes));
  }
  for (const auto& file : policy::built_in_tables()) {
    ACCOUNT_RETURN_IF_ERROR(archive.put(fmt::format("tables/{}.json", file.id), file.bytes));
  }
  for (const std::string& path : words.policies) {
    ACCOUNT_ASSIGN_OR_RETURN(const policy::Policy policy, policy::load(path));
    ACCOUNT_ASSIGN_OR_RETURN(const std::string bytes, policy::load_bytes(path));
    ACCOUNT_RETURN_IF_ERROR(archive.put(fmt::format("policies/{}.json", policy.id), bytes));
  }
  return {};
}

Status put_keys(const ArchiveWords& words, const Json& keys, Archive& archive) {
  for (const std::string& path : words.keys) {
    ACCOUNT_ASSIGN_OR_RETURN(const sign::PublicKey key, read_public_key(path));
    ACCOUNT_RETURN_IF_ERROR(archive.copy(path, fmt::format("keys/{}.pub", key.id())));
  }
  return archive.put("keys/keys.json", keys.dump_pretty() + "\n");
}

Status fill(const ArchiveWords& words, const std::string& retain_until, Archive& archive) {
  Json keys = Json::object();
  ACCOUNT_RETURN_IF_ERROR(put_runs(words, archive, keys));
  ACCOUNT_RETURN_IF_ERROR(put_records(words, archive));
  ACCOUNT_RETURN_IF_ERROR(put_law(words, archive));
  ACCOUNT_RETURN_IF_ERROR(put_keys(words, keys, archive));
  for (const std::string& path : words.further) {
    ACCOUNT_RETURN_IF_ERROR(archive.copy(path, "further/" + base_name(absolute_path(path))));
  }
  for (const BuiltIn& file : archive_files()) {
    const bool page = file.id.ends_with(".md");
    ACCOUNT_RETURN_IF_ERROR(
        archive.put((page ? "formats/" : "") + std::string(file.id), file.bytes));
  }
  for (const auto& [name, bytes] : words.more) {
    ACCOUNT_RETURN_IF_ERROR(archive.put(name, bytes));
  }
  ACCOUNT_RETURN_IF_ERROR(archive.put("README.txt", kReadMe));
  return archive.close(retain_until);
}

// Five years from today unless said: what the laws ask for that are built in.
Result<std::string> retain_until(const ArchiveWords& words) {
  if (words.retain_until) {
    const auto day = days_from_iso_date(*words.retain_until);
    if (!day.ok()) return day.status().with_context("--retain-until");
    return *words.retain_until;
  }
  std::string date = to_iso_date(Clock::real().unix_ns());
  constexpr int kYears = 5;
  constexpr size_t kYearDigits = 4;
  const std::string year = std::to_string(std::stoi(date.substr(0, kYearDigits)) + kYears);
  // A leap day has no anniversary in five years.
  const std::string day =
      date.substr(kYearDigits) == "-02-29" ? "-03-01" : date.substr(kYearDigits);
  return year + day;
}

int archive(const ArchiveWords& words) {
  const auto made = make_archive(words);
  if (!made.ok()) return fail(words.out, made.status());
  if (words.json) {
    put_json(Json::object({{"archive", words.out},
                           {"files", static_cast<uint64_t>(made->files)},
                           {"retain_until", made->retain_until}}));
    return kYes;
  }
  put_line(
      fmt::format("{}: {} files, to be kept until {}", words.out, made->files, made->retain_until));
  put_line(fmt::format("check it anywhere: cd {} && python3 verify.py .", words.out));
  return kYes;
}

}  // namespace

Result<MadeArchive> make_archive(const ArchiveWords& words) {
  if (words.runs.empty() && words.records.empty()) {
    return Status(Code::invalid_argument, "there is nothing to keep",
                  "give runs, or --record with weights or a record");
  }
  ACCOUNT_ASSIGN_OR_RETURN(const std::string until, retain_until(words));
  const auto present = FileSystem::real().list(words.out);
  if (FileSystem::real().exists(words.out) && (!present.ok() || !present->empty())) {
    return Status(Code::invalid_argument, "it is there already and not an empty folder",
                  "give --out a new folder");
  }
  Archive archive(words.out);
  const Status filled = fill(words, until, archive);
  if (!filled.ok()) {
    return Status(filled.code(), fmt::format("no archive was made: {}", filled.fault()),
                  std::string(filled.next_step()));
  }
  return MadeArchive{archive.size(), until};
}

void add_archive(const Verb& program) {
  const Verb verb = program.verb(
      "archive", "Keeps runs, records, law and a verifier, readable without libaccount");
  auto words = std::make_shared<ArchiveWords>();
  verb.takes_words("RUN", words->runs, "Runs' folders or ids");
  verb.needs("--out", words->out, "A new folder");
  verb.takes_many("--record", words->records, "Weights that have a record, or a record");
  verb.takes_many("--key", words->keys, "Public keys (.pub) to keep copies of");
  verb.takes_many("--policy", words->policies, "Policies of your own; the built-in ones are kept");
  verb.takes_many("--with", words->further, "Further files or folders: invoices, reports");
  verb.takes("--retain-until", words->retain_until, "YYYY-MM-DD (default: five years from today)");
  verb.flag("--json", words->json, "As JSON");
  verb.footer(
      "A run or record that does not verify is not archived (exit code 2).\n\n"
      "Example:\n"
      "  account archive account/my-run --record out/ --key developer.pub --out my-run-archive\n"
      "  cd my-run-archive && python3 verify.py .");
  verb.does([words] { return archive(*words); });
}

}  // namespace account::cli
