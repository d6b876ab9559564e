// Pages that are none: whatever their bytes, a reader answers and goes on.
#include <gmock/gmock.h>

#include <cstring>
#include <fstream>
#include <random>

#include "support.h"

namespace account::tally {
namespace {

using testing::HasSubstr;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// A page with something of everything in it.
std::string full_page(const Place& place) {
  const auto view = activate_page(place);
  for (int i = 0; i < 40; ++i) {
    add(key_of(op_id("test::hostile_" + std::to_string(i))), {100, 50, 25});
    close_step();
    post_event(EventKind::note, "event " + std::to_string(i));
  }
  return read_file(view->path());
}

// Everything a keeper asks of a page.
void use(PageView& view) {
  const Counters counters = view.read();
  for (const CellRow& row : counters.rows) {
    ASSERT_LT(static_cast<int>(row.dtype), kDTypeCount);
    ASSERT_LT(row.op.size(), static_cast<size_t>(kOpNameBytes) + 1);
  }
  (void)to_totals(counters);
  for (int round = 0; round < 2; ++round) {
    ASSERT_LE(view.take_steps().steps.size(), static_cast<size_t>(kStepRing));
    uint64_t dropped = 0;
    for (const Event& event : view.take_events(dropped)) {
      ASSERT_LE(event.text.size(), kMaxEventBytes);
    }
  }
  (void)view.incarnation();
  (void)view.alive();
}

Status status_of(const Place& place, const std::string& bytes) {
  const std::string path = place.root() + "/x.tally";
  write_file(path, bytes);
  return PageView::open(path).status();
}

TEST(HostilePageTest, OpenNamesTheFault) {
  const Place place;
  const std::string good = full_page(place);
  ASSERT_TRUE(status_of(place, good).ok());
  const auto with = [&](size_t offset, const std::string& bytes) {
    std::string page = good;
    page.replace(offset, bytes.size(), bytes);
    const Status status = status_of(place, page);
    EXPECT_EQ(status.code(), Code::corrupt);
    EXPECT_THAT(status.to_string(), HasSubstr("x.tally"));
    return status.to_string();
  };
  EXPECT_THAT(with(0, "B"), HasSubstr("wrong magic"));
  EXPECT_THAT(with(offsetof(Header, layout_version), "\x07"), HasSubstr("layout version 7"));
  EXPECT_THAT(with(offsetof(Header, page_bytes), "\x07"), HasSubstr("wrong size"));
  EXPECT_THAT(with(offsetof(Header, declaration_bytes), "\xFF\xFF"), HasSubstr("declaration"));
  EXPECT_THAT(with(offsetof(Header, pid), std::string(4, '\0')), HasSubstr("no process"));
  EXPECT_THAT(status_of(place, good.substr(1)).to_string(), HasSubstr("bytes instead of"));
  EXPECT_THAT(status_of(place, good + "x").to_string(), HasSubstr("bytes instead of"));
  EXPECT_EQ(status_of(place, "").code(), Code::corrupt);
}

TEST(HostilePageTest, OpenRefusesWhatIsNoFile) {
  const Place place;
  EXPECT_EQ(PageView::open(place.root() + "/missing.tally").status().code(), Code::not_found);
  ASSERT_EQ(mkfifo((place.root() + "/pipe.tally").c_str(), 0600), 0);
  EXPECT_EQ(PageView::open(place.root() + "/pipe.tally").status().code(), Code::corrupt);
  const auto view = activate_page(place);
  std::filesystem::create_symlink(view->path(), place.root() + "/link.tally");
  EXPECT_FALSE(PageView::open(place.root() + "/link.tally").ok());
}

TEST(HostilePageTest, FlippedBitsNeverCrashAReader) {
  const Place place;
  const std::string good = full_page(place);
  const std::string path = place.root() + "/flipped.tally";
  std::mt19937 random(20261124);
  std::uniform_int_distribution<size_t> anywhere(0, good.size() - 1);
  // Most of a page is empty; the words that steer a reader get their share of the flips.
  const size_t steering[] = {offsetof(PageLayout, header), offsetof(PageLayout, edge),
                             offsetof(PageLayout, ops),    offsetof(PageLayout, slots),
                             offsetof(PageLayout, steps),  offsetof(PageLayout, events)};
  int opened = 0;
  for (int round = 0; round < 300; ++round) {
    std::string page = good;
    for (int flip = 0; flip < 64; ++flip) {
      page[anywhere(random)] ^= static_cast<char>(1 << random() % 8);
    }
    const size_t from = steering[static_cast<size_t>(round) % std::size(steering)];
    for (int flip = 0; flip < 16; ++flip) {
      page[from + (from == 0 ? 32 : 0) + random() % 256] ^= static_cast<char>(1 << random() % 8);
    }
    write_file(path, page);
    auto view = PageView::open(path);
    if (!view.ok()) continue;
    ++opened;
    use(**view);
  }
  EXPECT_GT(opened, 100) << "most pages were refused before anything was read";
}

TEST(HostilePageTest, GarbageBehindAGoodHeaderNeverCrashesAReader) {
  const Place place;
  const std::string good = full_page(place);
  const std::string path = place.root() + "/garbage.tally";
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    std::string page = good;
    for (size_t at = sizeof(Header); at + 8 <= page.size(); at += 8) {
      const uint64_t word = round == 0 ? ~uint64_t{0} : random();
      std::memcpy(page.data() + at, &word, sizeof(word));
    }
    write_file(path, page);
    auto view = PageView::open(path);
    ASSERT_TRUE(view.ok());
    use(**view);
  }
}

TEST(HostilePageTest, OperationsUnderAnUnknownKeyAreKept) {
  const Place place;
  const auto view = activate_page(place);
  add(key_of(op_id("test::renamed")), {8, 8, 8});
  for (Slot& slot : view->layout().slots) {
    for (Cell& cell : slot.cells) {
      if (cell.key.load() != 0) cell.key.store(kCellUsed | 0xFFFFFF);
    }
  }
  const Counters counters = view->read();
  ASSERT_EQ(counters.rows.size(), 1u);
  EXPECT_EQ(counters.rows[0].op, "other");
  EXPECT_EQ(counters.rows[0].figures.executed, OpCount(8));
}

TEST(HostilePageTest, NamesAreShownWithoutControlBytes) {
  const Place place;
  const auto view = activate_page(place);
  const uint16_t op = op_id("test::painted");
  add(key_of(op), {1, 1, 1});
  std::memset(view->layout().ops.names[op], '\x1b', kOpNameBytes);  // and no zero at the end
  EXPECT_EQ(view->read().rows.at(0).op, std::string(kOpNameBytes, '?'));
}

}  // namespace
}  // namespace account::tally
