// The report's figures and its page: what stands in it, and that nothing of a name becomes markup.
#include "report/report.h"

#include <gtest/gtest.h>

#include "unit/record/support.h"

namespace account::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ledger::StepRun steps(uint64_t first, uint64_t count, uint64_t each) {
  ledger::StepRun run;
  run.first = first;
  run.count = count;
  run.value = OpCount(each);
  return run;
}

ledger::Incarnation process(int rank, uint32_t restart, std::vector<ledger::StepRun> runs) {
  ledger::Incarnation made;
  made.line.rank = rank;
  made.line.restart_count = restart;
  made.steps.operations = std::move(runs);
  return made;
}

Page page_of(const std::string& model = "acme/chat-7b") {
  Page page;
  page.title = "run-1";
  page.library = "account test";
  page.record =
      record::record_of(record::Kind::fine_tune, {record::part("run-1", 600, 650)}, model);
  page.level = "L0 counted";
  policy::Facts facts = record::facts_of(page.record, true);
  facts.date = "2026-11-27";
  facts.cost_usd = 20'000'000;
  page.judgements.push_back(policy::judge(*policy::load("us-ca-sb1047-enrolled"), facts));
  return page;
}

TEST(StepCurveTest, AddsRanksAndPutsRestartsOneAfterTheOther) {
  Page page;
  page.reports.emplace_back();
  page.reports[0].incarnations = {process(0, 0, {steps(1, 2, 10), steps(3, 1, 40)}),
                                  process(1, 0, {steps(1, 3, 5)}), process(0, 1, {steps(1, 1, 7)})};
  const StepCurve curve = step_curve(page);
  EXPECT_EQ(curve.steps, 4u);
  EXPECT_EQ(curve.means, (std::vector<double>{15, 15, 45, 7}));
}

TEST(StepCurveTest, TakesMeansOfManySteps) {
  Page page;
  page.reports.emplace_back();
  ledger::StepRun many;
  many.first = 1;
  many.count = 480'000;
  many.exact = false;
  many.sum = OpCount(480'000 * 3);
  page.reports[0].incarnations = {process(0, 0, {many})};
  const StepCurve curve = step_curve(page);
  ASSERT_EQ(curve.means.size(), StepCurve::kMostPoints);
  for (const double mean : curve.means) EXPECT_NEAR(mean, 3, 1e-9);
}

TEST(IntakeTest, DividesWhatTrainingExecutedByItsTokens) {
  Page page = page_of();
  EXPECT_THAT(to_html(page), Not(HasSubstr("token")));
  EXPECT_THAT(to_json(page).dump(), Not(HasSubstr("token")));
  page.reports.resize(2);
  page.reports[0].totals.processed = {16, 100};
  page.reports[0].totals.by_category = {
      {"train", OpCount(500)}, {"unassigned", OpCount(100)}, {"evaluate", OpCount(10'000)}};
  page.reports[1].totals.by_category = {{"train", OpCount(70'000)}};  // of tokens nobody speaks
  EXPECT_EQ(intake(page).processed, (Processed{16, 100}));
  EXPECT_EQ(intake(page).operations_per_token, OpCount(6));
  EXPECT_EQ(*to_json(page).get_string("tokens"), "100");
  EXPECT_EQ(*to_json(page).get_string("operations_per_token"), "6");
  EXPECT_THAT(to_html(page), HasSubstr("<b>100</b><span>tokens, padding included</span>"));
  EXPECT_THAT(to_html(page), HasSubstr("<b>6</b><span>training operations a token</span>"));
  EXPECT_THAT(to_summary(page),
              HasSubstr("The runs took in 16 samples, 100 tokens (padding included), 6 training "
                        "operations a token.\n"));
}

TEST(ReportTest, HoldsTheFiguresAndNothingFromElsewhere) {
  const std::string html = to_html(page_of());
  EXPECT_THAT(html, HasSubstr("600"));
  EXPECT_THAT(html, HasSubstr("us-ca-sb1047-enrolled, fine-tune"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(html, HasSubstr("What it does not prove"));
  for (const char* reference : {"http:", "https:", "<script", "src=", "href=", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(reference)));
  }
}

TEST(ReportTest, TakesNoNameForMarkup) {
  Page page = page_of("<img src=x onerror=\"alert(1)\">");
  page.title = "<script>alert(2)</script>";
  page.remarks = {"a & b < c"};
  const std::string html = to_html(page);
  EXPECT_THAT(html, Not(HasSubstr("<img")));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, HasSubstr("a &amp; b &lt; c"));
  page.title = "a,\"b\"\nc";
  page.record.parts[0].run = page.title;
  EXPECT_THAT(to_csv(page), HasSubstr("\"a,\"\"b\"\"\nc\""));
}

TEST(CardTest, KeepsWhatIsOthersAndReplacesWhatWasSaidBefore) {
  const Page page = page_of();
  const std::string fresh = to_card(page, "");
  EXPECT_TRUE(fresh.starts_with("---\ntraining_compute:\n  operations: \"600\"\n")) << fresh;
  EXPECT_THAT(fresh, HasSubstr("## Training compute"));

  const std::string card =
      "---\nlicense: mit\ntraining_compute:\n  operations: \"1\"\ntags:\n- chat\n---\n\n# Chat";
  const std::string once = to_card(page, card);
  EXPECT_TRUE(
      once.starts_with("---\nlicense: mit\ntags:\n- chat\ntraining_compute:\n"
                       "  operations: \"600\"\n"))
      << once;
  EXPECT_THAT(once, HasSubstr("---\n\n# Chat\n\n<!-- training compute"));
  EXPECT_THAT(once, Not(HasSubstr("\"1\"")));

  Page later = page_of();
  later.record = record::record_of(record::Kind::fine_tune, {record::part("run-1", 700, 750)}, "");
  const std::string twice = to_card(later, once + "\n## License\n");
  EXPECT_THAT(twice, HasSubstr("700 operations"));
  EXPECT_THAT(twice, Not(HasSubstr("600")));
  EXPECT_TRUE(twice.ends_with("\n## License\n")) << twice;
  EXPECT_EQ(to_card(later, twice), twice);
}

TEST(ReportTest, SummaryIsForAModelCard) {
  Page page = page_of();
  page.record.parents.push_back({"", "acme/base: \"one\"", false});
  const std::string summary = to_summary(page);
  EXPECT_TRUE(summary.starts_with("---\nbase_model:\n  - \"acme/base: \\\"one\\\"\"\n"));
  EXPECT_THAT(summary, HasSubstr("operations: \"600\""));
  EXPECT_THAT(summary, HasSubstr("base model's operations are unknown"));
  EXPECT_THAT(summary, HasSubstr("| us-ca-sb1047-enrolled, fine-tune | below | >= 3e25 |"));
}

TEST(ReportTest, DrawsEveryModelOfTheLine) {
  record::Record base = record::record_of(record::Kind::declared, {}, "acme/base");
  base.claims = {record::claim(3000, 4000)};
  const auto signed_base = record::signed_record(base);
  const auto tuned = record::signed_record(record::derived(
      record::record_of(record::Kind::fine_tune, {record::part("t", 10)}, "tuned"), {signed_base}));
  Page page;
  page.record =
      record::derived(record::record_of(record::Kind::merge, {}, "merged"), {tuned, signed_base});
  const std::string tree = lineage_tree(page.record);
  for (const char* name : {"acme/base, declared", "tuned, fine-tune", "merged",
                           "3.00e+03 to 4.00e+03, declared", "10, 1 run"}) {
    EXPECT_THAT(tree, HasSubstr(name));
  }
  page.record.parents.push_back({"", "", false});
  EXPECT_THAT(lineage_tree(page.record), HasSubstr("a model without a record"));
  EXPECT_EQ(to_json(page).find("base")->kind(), Json::Kind::null);
}

}  // namespace
}  // namespace account::report
