// `account report`: a run or a record as a page for people, a summary, a table and JSON.
#include "report/report.h"

#include <fmt/format.h>

#include <memory>

#include "account/version.h"
#include "base/clock.h"
#include "base/files.h"
#include "cli/evidence.h"
#include "cli/output.h"
#include "cli/record_text.h"
#include "cli/verbs.h"
#include "cli/words.h"

namespace account::cli {
namespace {

struct ReportWords {
  EvidenceWords evidence;
  std::string out;
  std::vector<std::string> policies;
  FactWords facts;
  bool json = false;
};

Result<report::Page> page_of(const ReportWords& words) {
  ACCOUNT_ASSIGN_OR_RETURN(Evidence evidence, read_evidence(words.evidence));
  report::Page page;
  ACCOUNT_ASSIGN_OR_RETURN(page.judgements, budget_of(evidence.record, evidence.line_verified,
                                                      words.policies, words.facts));
  page.library = fmt::format("account {}", version());
  page.made_unix_ns = Clock::real().unix_ns();
  page.record = std::move(evidence.record);
  page.reports = std::move(evidence.reports);
  // The run that was asked for stands last.
  page.title = page.reports.empty() ? page.record.model : page.reports.back().run;
  if (page.title.empty()) page.title = "Weights";
  page.level = level_text(evidence.level);
  page.trusted = evidence.trusted;
  page.remarks = std::move(evidence.remarks);
  return page;
}

int write_report(const ReportWords& words) {
  const auto page = page_of(words);
  if (!page.ok()) return fail(words.evidence.path, page.status());
  FileSystem& files = FileSystem::real();
  constexpr int kFolderMode = 0755, kFileMode = 0644;
  const std::pair<const char*, std::string> kFiles[] = {
      {"report.html", report::to_html(*page)},
      {"summary.md", report::to_summary(*page)},
      {"totals.csv", report::to_csv(*page)},
      {"report.json", report::to_json(*page).dump_pretty() + "\n"}};
  Status written = files.make_directories(words.out, kFolderMode);
  std::vector<std::string> paths;
  for (const auto& [name, bytes] : kFiles) {
    paths.push_back(join_path(words.out, name));
    if (written.ok()) written = files.write_atomically(paths.back(), bytes, kFileMode);
  }
  if (!written.ok()) return fail(words.out, written);
  if (words.json) {
    put_json(Json::object({{"files", Json::strings(paths)}}));
    return kYes;
  }
  for (const std::string& path : paths) put_line(path);
  return kYes;
}

}  // namespace

void add_report(const Verb& program) {
  const Verb verb = program.verb("report", "A run or a record as a page, a summary and a table");
  auto words = std::make_shared<ReportWords>();
  words->evidence.keep_steps = true;
  verb.needs("RUN", words->evidence.path,
             "A run's folder or id; or weights with their record, or a record");
  verb.needs("--out", words->out, "Folder for report.html, summary.md, totals.csv, report.json");
  verb.takes_many("--policy", words->policies, "Id or file (default: those of every training)");
  verb.takes("--key", words->evidence.trust.key, "The developer's .pub");
  verb.takes_many("--witness", words->evidence.trust.witnesses, "A witness's .pub");
  verb.takes_many("--parent", words->evidence.parents,
                  "What the run began from: a record, weights that have one, or 'unknown'");
  verb.takes_many("--runs", words->evidence.folders,
                  "Folder of the runs that this one went on from");
  add_fact_options(verb, words->facts);
  verb.flag("--json", words->json, "The paths as JSON");
  verb.footer(
      "One page without scripts, links or pictures from elsewhere; it prints, light and dark.\n"
      "Verifies first (exit code 2).\n\n"
      "Example:\n"
      "  account report account/my-run --key developer.pub --out report/");
  verb.does([words] { return write_report(*words); });
}

}  // namespace account::cli
