// Making pages: where they lie, who may see them, what happens where there is no room.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "support.h"

namespace account::tally {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

mode_t mode_of(const std::string& path) {
  struct stat facts{};
  EXPECT_EQ(lstat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 07777;
}

TEST(PageTest, LiesInAPrivateFolderUnderARandomNameWhollyAllocated) {
  const Place place;
  const auto page = Page::create(place.folders(), Identity());
  ASSERT_TRUE(page.ok());
  const std::string& path = (*page)->path();
  EXPECT_THAT(path, MatchesRegex(place.folder() + "/[0-9a-f]{16}\\.tally"));
  EXPECT_EQ(place.pages(), std::vector<std::string>{path}) << "a half page was left behind";
  EXPECT_EQ(mode_of(place.folder()), 0700u);
  EXPECT_EQ(mode_of(place.root() + "/account"), 0700u);
  EXPECT_EQ(mode_of(path), 0600u);
  struct stat facts{};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_size, static_cast<off_t>(sizeof(PageLayout)));
  EXPECT_GE(facts.st_blocks * 512, facts.st_size) << "a later write could fault";
}

TEST(PageTest, HeaderTellsWhoseItIs) {
  const Place place;
  Identity identity{3, 8, 1, 2, 5, R"({"model":"m"})", "00112233445566778899aabbccddeeff"};
  const auto page = Page::create(place.folders(), identity);
  ASSERT_TRUE(page.ok());
  const auto view = view_of((*page)->path());
  const Header& header = view->layout().header;
  EXPECT_EQ(header.rank, 3);
  EXPECT_EQ(header.world_size, 8);
  EXPECT_EQ(header.local_rank, 1);
  EXPECT_EQ(header.local_world_size, 2);
  EXPECT_EQ(header.restart_count, 5u);
  EXPECT_EQ(header.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(std::string(header.declaration, header.declaration_bytes), identity.declaration);
  EXPECT_EQ(header.parent[0], 0x00);
  EXPECT_EQ(header.parent[15], 0xFF);
  EXPECT_TRUE(view->alive());
  EXPECT_THAT(view->incarnation(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_EQ(view->layout().edge.next_edge.load(), 1u);
}

TEST(PageTest, TwoPagesHaveDifferentIncarnations) {
  const Place place;
  const auto a = Page::create(place.folders(), Identity());
  const auto b = Page::create(place.folders(), Identity());
  EXPECT_NE(view_of((*a)->path())->incarnation(), view_of((*b)->path())->incarnation());
}

TEST(PageTest, FallsThroughToTheNextFolderAndSaysWhy) {
  const Place place;
  const auto page = Page::create({"/nonexistent/account/run", place.folder()}, Identity());
  ASSERT_TRUE(page.ok());
  EXPECT_FALSE((*page)->in_memory());
  EXPECT_THAT((*page)->path(), StartsWith(place.folder()));
  EXPECT_THAT((*page)->why_not_shared(), HasSubstr("/nonexistent/account: No such file"));
}

TEST(PageTest, CountsInPlainMemoryWhereNoFolderHasRoom) {
  const auto page = Page::create({"/nonexistent/account/run"}, Identity());
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE((*page)->in_memory());
  EXPECT_THAT((*page)->why_not_shared(), HasSubstr("/nonexistent"));
  EXPECT_EQ(std::memcmp((*page)->layout().header.magic, kMagic, sizeof(kMagic)), 0);
}

TEST(PageTest, ALimitOnFileSizesIsAReasonAndNoSignal) {
  const Place place;
  const pid_t child = in_child([&] {
    const rlimit small{64 * 1024, 64 * 1024};
    setrlimit(RLIMIT_FSIZE, &small);
    const auto page = Page::create(place.folders(), Identity());
    const bool told = page.ok() && (*page)->in_memory() &&
                      (*page)->why_not_shared().find("limit on file sizes") != std::string::npos;
    _exit(told ? 0 : 1);
  });
  EXPECT_EQ(wait_for(child), 0);
  EXPECT_TRUE(place.pages().empty());
}

TEST(PageTest, RefusesAFolderThatIsALink) {
  const Place place;
  std::filesystem::create_directory(place.root() + "/elsewhere");
  std::filesystem::create_directory_symlink(place.root() + "/elsewhere", place.root() + "/account");
  const auto page = Page::create(place.folders(), Identity());
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE((*page)->in_memory());
  EXPECT_THAT((*page)->why_not_shared(), HasSubstr("is no folder but a link or file"));
}

TEST(PageTest, RefusesAFolderOfAnotherUser) {
  const Place place;
  // Whoever may give folders away tries it with one of its own; others know one of root's.
  std::string foreign = "/usr/share";
  if (geteuid() == 0) {
    foreign = place.root() + "/foreign";
    std::filesystem::create_directory(foreign);
    ASSERT_EQ(chown(foreign.c_str(), 4711, 4711), 0);
  }
  const auto page = Page::create({foreign + "/run"}, Identity());
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE((*page)->in_memory());
  EXPECT_THAT((*page)->why_not_shared(), HasSubstr("belongs to another user"));
}

// As /tmp is root's: closed to others it would be nobody's any more.
TEST(PageTest, NeverClosesAFolderThatAllUsersShare) {
  const Place place;
  const std::string shared = place.root() + "/shared";
  std::filesystem::create_directories(shared);
  ASSERT_EQ(::chmod(shared.c_str(), 01777), 0);
  const auto page = Page::create({shared + "/pages"}, Identity());
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE((*page)->in_memory());
  EXPECT_THAT((*page)->why_not_shared(), HasSubstr("is shared by all users"));
  struct stat facts{};
  ASSERT_EQ(::stat(shared.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 07777, 01777u);
}

TEST(PageTest, ClosesAFolderOfOursThatOthersCouldEnter) {
  const Place place;
  std::filesystem::create_directory(place.root() + "/account");
  ASSERT_EQ(chmod((place.root() + "/account").c_str(), 0755), 0);
  ASSERT_FALSE((*Page::create(place.folders(), Identity()))->in_memory());
  EXPECT_EQ(mode_of(place.root() + "/account"), 0700u);
}

TEST(PageTest, RefusesADeclarationThatDoesNotFit) {
  Identity identity;
  identity.declaration.assign(kDeclarationBytes + 1, 'x');
  const auto page = Page::create({}, identity);
  ASSERT_FALSE(page.ok());
  EXPECT_EQ(page.status().code(), Code::invalid_argument);
}

TEST(PageFoldersTest, DependOnAllThreeFactsAndOnNothingElse) {
  const auto folders = page_folders("/runs", "r1", "node-00000001");
  EXPECT_EQ(folders, page_folders("/runs", "r1", "node-00000001"));
  EXPECT_NE(folders[0], page_folders("/runs2", "r1", "node-00000001")[0]);
  EXPECT_NE(folders[0], page_folders("/runs", "r2", "node-00000001")[0]);
  EXPECT_NE(folders[0], page_folders("/runs", "r1", "node-00000002")[0]);
  // The border between two facts is part of the name.
  EXPECT_NE(page_folders("/a", "bc", "d")[0], page_folders("/ab", "c", "d")[0]);
  EXPECT_THAT(folders[0], MatchesRegex("/dev/shm/account-[0-9]+/[0-9a-f]{32}"));
}

TEST(PageFoldersTest, NamesAreTheOnesOfTheFormatPage) {
  // The example of libaccount/doc/tally_format.md.
  EXPECT_THAT(page_folders("/home/ada/runs", "r1", "node-1f00ba5e")[0],
              testing::EndsWith("/819ab9d6e4c23f91bc9bd6b01e6b8a8d"));
}

TEST(PageFoldersTest, EndOnDiskInTmpdirAndInVarTmp) {
  const char* had = getenv("TMPDIR");
  const std::string before = had == nullptr ? "" : had;
  setenv("TMPDIR", "/scratch", 1);
  const auto folders = page_folders("/runs", "r1", "n");
  setenv("TMPDIR", "relative/ones/are/ignored", 1);
  const auto without = page_folders("/runs", "r1", "n");
  had == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", before.c_str(), 1);
  ASSERT_EQ(folders.size(), 3u);
  EXPECT_THAT(folders[1], StartsWith("/scratch/account-"));
  EXPECT_THAT(folders[2], StartsWith("/var/tmp/account-"));
  EXPECT_EQ(without.size(), 2u);
}

TEST(PageViewTest, RemovingTheFileKeepsTheMapping) {
  const Place place;
  const auto view = activate_page(place);
  ASSERT_TRUE(view->remove_file().ok());
  EXPECT_TRUE(view->remove_file().ok()) << "gone already is fine";
  EXPECT_TRUE(place.pages().empty());
  add(key_of(op_id("test::after_removal")), {4, 4, 4});
  EXPECT_EQ(total_executed(view->read()), OpCount(4));
}

TEST(PageViewTest, SeesThatTheProcessIsGone) {
  const Place place;
  const pid_t child = in_child([&] { (void)Page::create(place.folders(), Identity()).ok(); });
  ASSERT_EQ(wait_for(child), 0);
  EXPECT_FALSE(view_of(place.pages().at(0))->alive());
}

}  // namespace
}  // namespace account::tally
