// libaccount/doc/tally_format.md gives the page's offsets to readers that are not us. They are
// these.
#include "tally/layout.h"

#include <gmock/gmock.h>

#include <cstddef>
#include <fstream>
#include <sstream>

#include "support.h"
#include "tally/slot.h"

namespace account::tally {
namespace {

std::string read_format_page() {
  std::ifstream file(std::string(ACCOUNT_TESTS_DIR) + "/../libaccount/doc/tally_format.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

constexpr std::ptrdiff_t kExampleCell = 73;

struct Row {
  const char* name;
  size_t offset, size;
};

#define ACCOUNT_BLOCK(member) \
  Row { #member, offsetof(PageLayout, member), sizeof(PageLayout::member) }
#define ACCOUNT_FIELD(Type, member) \
  Row { #member, offsetof(Type, member), sizeof(Type::member) }

// A table of the format page: its heading, and its rows as "| name | offset | size |".
void expect_table(const char* heading, std::initializer_list<Row> rows) {
  static const std::string page = read_format_page();
  const size_t at = page.find(heading);
  ASSERT_NE(at, std::string::npos) << heading;
  const std::string section = page.substr(at, page.find("\n## ", at + 1) - at);
  for (const Row& row : rows) {
    std::ostringstream line;
    line << "\n| `" << row.name << "` | " << row.offset << " | " << row.size << " |";
    EXPECT_THAT(section, testing::HasSubstr(line.str())) << heading;
  }
}

TEST(TallyFormatTest, BlocksLieWhereThePageSays) {
  expect_table(
      "## The page",
      {ACCOUNT_BLOCK(header), ACCOUNT_BLOCK(control), ACCOUNT_BLOCK(edge), ACCOUNT_BLOCK(ops),
       ACCOUNT_BLOCK(slots), ACCOUNT_BLOCK(overflow), ACCOUNT_BLOCK(steps), ACCOUNT_BLOCK(events),
       ACCOUNT_BLOCK(transcript), ACCOUNT_BLOCK(mailbox), Row{"end", sizeof(PageLayout), 0}});
}

TEST(TallyFormatTest, HeaderFieldsLieWhereThePageSays) {
  expect_table(
      "## header",
      {ACCOUNT_FIELD(Header, magic), ACCOUNT_FIELD(Header, layout_version),
       ACCOUNT_FIELD(Header, page_bytes), ACCOUNT_FIELD(Header, incarnation),
       ACCOUNT_FIELD(Header, parent), ACCOUNT_FIELD(Header, pid), ACCOUNT_FIELD(Header, rank),
       ACCOUNT_FIELD(Header, world_size), ACCOUNT_FIELD(Header, local_rank),
       ACCOUNT_FIELD(Header, local_world_size), ACCOUNT_FIELD(Header, restart_count),
       ACCOUNT_FIELD(Header, start_ticks), ACCOUNT_FIELD(Header, created_unix_ns),
       ACCOUNT_FIELD(Header, declaration_bytes), ACCOUNT_FIELD(Header, declaration)});
}

TEST(TallyFormatTest, WordsLieWhereThePageSays) {
  expect_table("## control",
               {ACCOUNT_FIELD(Control, command), ACCOUNT_FIELD(Control, gate),
                ACCOUNT_FIELD(Control, stop_edge), ACCOUNT_FIELD(Control, keeper_beat_ns),
                ACCOUNT_FIELD(Control, keeper_pid), ACCOUNT_FIELD(Control, accepted),
                ACCOUNT_FIELD(Control, sealed), ACCOUNT_FIELD(Control, order),
                ACCOUNT_FIELD(Control, reason), ACCOUNT_FIELD(Control, quiet_by_ns)});
  expect_table("## edge", {ACCOUNT_FIELD(Edge, steps_closed), ACCOUNT_FIELD(Edge, next_edge),
                           ACCOUNT_FIELD(Edge, last_edge_ns), ACCOUNT_FIELD(Edge, state),
                           ACCOUNT_FIELD(Edge, waiting), ACCOUNT_FIELD(Edge, finish_wanted),
                           ACCOUNT_FIELD(Edge, courier), ACCOUNT_FIELD(Edge, saving),
                           ACCOUNT_FIELD(Edge, samples), ACCOUNT_FIELD(Edge, tokens)});
}

TEST(TallyFormatTest, SlotsAndCellsLieWhereThePageSays) {
  expect_table("## slots",
               {ACCOUNT_FIELD(SlotHead, sequence), ACCOUNT_FIELD(SlotHead, owner_tid),
                ACCOUNT_FIELD(SlotHead, total_low), ACCOUNT_FIELD(SlotHead, total_high),
                ACCOUNT_FIELD(SlotHead, undo_index), ACCOUNT_FIELD(SlotHead, undo_total_low),
                ACCOUNT_FIELD(SlotHead, undo_total_high), ACCOUNT_FIELD(SlotHead, undo),
                ACCOUNT_FIELD(Slot, cells)});
  expect_table("### A cell", {ACCOUNT_FIELD(Cell, key), ACCOUNT_FIELD(Cell, calls),
                              ACCOUNT_FIELD(Cell, executed_low), ACCOUNT_FIELD(Cell, executed_high),
                              ACCOUNT_FIELD(Cell, model_low), ACCOUNT_FIELD(Cell, model_high),
                              ACCOUNT_FIELD(Cell, lower_low), ACCOUNT_FIELD(Cell, lower_high)});
}

TEST(TallyFormatTest, RingsAndAreasLieWhereThePageSays) {
  expect_table("## ops", {ACCOUNT_FIELD(OpTable, count), ACCOUNT_FIELD(OpTable, names)});
  expect_table("## steps", {ACCOUNT_FIELD(StepEntry, step), ACCOUNT_FIELD(StepEntry, executed_low),
                            ACCOUNT_FIELD(StepEntry, executed_high),
                            ACCOUNT_FIELD(StepEntry, edge_ns), ACCOUNT_FIELD(StepEntry, samples),
                            ACCOUNT_FIELD(StepEntry, tokens), Row{"entry", 0, sizeof(StepEntry)}});
  expect_table("## events", {ACCOUNT_FIELD(EventRing, head), ACCOUNT_FIELD(EventRing, tail),
                             ACCOUNT_FIELD(EventRing, dropped), ACCOUNT_FIELD(EventRing, bytes)});
  expect_table("## transcript",
               {ACCOUNT_FIELD(Transcript, state), ACCOUNT_FIELD(Transcript, rows),
                ACCOUNT_FIELD(Transcript, step), ACCOUNT_FIELD(Transcript, not_kept),
                ACCOUNT_FIELD(Transcript, wanted_at), ACCOUNT_FIELD(Transcript, row)});
  expect_table("## mailbox", {ACCOUNT_FIELD(Mailbox, request), ACCOUNT_FIELD(Mailbox, reply),
                              ACCOUNT_FIELD(MailboxHalf, sequence),
                              ACCOUNT_FIELD(MailboxHalf, bytes), ACCOUNT_FIELD(MailboxHalf, data)});
}

TEST(TallyFormatTest, TheWorkedExampleIsWhatIsWritten) {
  EXPECT_EQ(to_word(key_of(1, DType::float32)), 0x8000000000010200u);
  Slot slot{};
  EXPECT_EQ(find_cell(slot.cells, 0x8000000000010200u) - slot.cells, kExampleCell);
  const size_t at =
      offsetof(PageLayout, slots) + offsetof(Slot, cells) + kExampleCell * sizeof(Cell);
  EXPECT_THAT(read_format_page(), testing::HasSubstr(" = " + std::to_string(at) + " of the file"));
}

TEST(TallyFormatTest, AVersionChangesWithTheLayout) {
  // Whoever changes the layout changes kLayoutVersion, the format page and this line.
  EXPECT_EQ(std::pair(kLayoutVersion, sizeof(PageLayout)), std::pair(1u, size_t{763136}));
}

}  // namespace
}  // namespace account::tally
