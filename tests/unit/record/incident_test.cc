// Incidents: deadlines by regime, drafts from ledgers, and files that were changed.
#include "record/incident.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "support/temp_dir.h"
#include "unit/record/support.h"

namespace account::record {
namespace {

using ::account::testing::IsOk;
using ::account::testing::StatusIs;
using ::account::testing::TempDir;
using ::testing::HasSubstr;

constexpr int64_t kHour = int64_t{3600} * 1'000'000'000;

std::vector<policy::Policy> policies() {
  std::vector<policy::Policy> all;
  for (const std::string& id : policy::built_in_ids()) all.push_back(*policy::load(id));
  return all;
}

int64_t at(std::string_view date) { return *days_from_iso_date(date) * 24 * kHour; }

TEST(IncidentTest, HasTheDeadlinesOfWhatIsInForceThatDay) {
  const auto in_2026 = deadlines_from(policies(), at("2026-06-01"));
  ASSERT_FALSE(in_2026.empty());
  for (const IncidentDeadline& deadline : in_2026) {
    EXPECT_NE(deadline.policy, "us-ny-raise-2026");       // from 2027 on
    EXPECT_NE(deadline.policy, "us-ca-sb1047-enrolled");  // vetoed
    EXPECT_EQ(deadline.due_unix_ns, at("2026-06-01") + deadline.hours * kHour);
  }
  EXPECT_EQ(in_2026.front().policy, "us-ca-sb53");
  EXPECT_EQ(in_2026.front().hours, 24);
  bool new_york = false;
  for (const auto& deadline : deadlines_from(policies(), at("2027-02-01"))) {
    new_york |= deadline.policy == "us-ny-raise-2026" && deadline.hours == 72;
  }
  EXPECT_TRUE(new_york);
}

TEST(IncidentTest, IsDraftedFromWhatTheLedgerSays) {
  ledger::Report report;
  report.run = "run-1";
  report.nodes.emplace_back();
  report.nodes[0].node = "1f00ba5e";
  const std::string time = std::to_string(at("2026-06-01"));
  const auto line = [&](const char* type, std::vector<Json::Member> more) {
    Json json = Json::object({{"type", type}, {"time_unix_ns", time}});
    for (auto& [name, value] : more) json.set(name, std::move(value));
    report.nodes[0].events.push_back(json);
  };
  line("note", {{"kind", "export_refused"}, {"detail", "torch.save"}});
  line("note", {{"kind", "saved"}});
  line("quiet", {{"how", "agreed"}});
  line("quiet", {{"how", "deadline"}});
  line("order_refused", {{"place", "orders/x"}});
  line("start_refused", {});
  line("order", {});
  const auto drafts = drafts_from(report);
  ASSERT_EQ(drafts.size(), 4u);
  EXPECT_THAT(drafts[0].what, HasSubstr("refused: torch.save"));
  EXPECT_THAT(drafts[1].what, HasSubstr("not obeyed until its deadline"));
  EXPECT_TRUE(drafts[0].draft);
  EXPECT_EQ(drafts[0].line, "node-1f00ba5e, 2026-06-01T00:00:00Z");
}

TEST(IncidentTest, IsReadBackMostUrgentFirstAndRefusedWhereChanged) {
  TempDir dir;
  Incident incident;
  incident.what = "weights were copied";
  incident.signer = "ada";
  incident.believed = true;
  incident.learned_unix_ns = incident.made_unix_ns = at("2026-06-02");
  incident.deadlines = deadlines_from(policies(), incident.learned_unix_ns);
  const auto later = write_incident(FileSystem::real(), dir / "all", incident, test_key());
  ASSERT_THAT(later, IsOk());
  incident.learned_unix_ns = at("2026-06-01");
  incident.deadlines = deadlines_from(policies(), incident.learned_unix_ns);
  ASSERT_THAT(write_incident(FileSystem::real(), dir / "all", incident, test_key()), IsOk());

  const auto filed = read_incidents(FileSystem::real(), dir / "all");
  ASSERT_THAT(filed, IsOk());
  ASSERT_EQ(filed->size(), 2u);
  EXPECT_EQ((*filed)[0].incident.learned_unix_ns, at("2026-06-01"));
  EXPECT_TRUE((*filed)[0].incident.believed);
  EXPECT_EQ((*filed)[0].key, test_key().public_key());
  EXPECT_EQ((*filed)[0].incident.deadlines.size(), incident.deadlines.size());

  const std::string good = *FileSystem::real().read(*later, 1 << 20);
  for (size_t bit = 0; bit < good.size() * 8; bit += 41) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_THAT(FileSystem::real().write_atomically(*later, flipped, 0644), IsOk());
    EXPECT_FALSE(read_incidents(FileSystem::real(), dir / "all").ok()) << bit;
  }
}

}  // namespace
}  // namespace account::record
