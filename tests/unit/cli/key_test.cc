// `account key`: files of the right modes, never overwritten.
#include <sys/stat.h>

#include "unit/cli/support.h"

namespace account::cli {
namespace {

using ::testing::HasSubstr;
using KeyTest = CliTest;

unsigned mode_of(const std::string& path) {
  struct stat facts{};
  EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
  return facts.st_mode & 0777u;
}

TEST_F(KeyTest, NewWritesASecretForItsOwnerAndAPublicHalf) {
  const Said said = account({"key", "new", "alice", "--dir", dir_.path(), "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(mode_of(dir_ / "alice.key"), 0600u);
  EXPECT_EQ(mode_of(dir_ / "alice.pub") & 0444u, 0444u);
  const Said secret = account({"key", "show", dir_ / "alice.key", "--json"});
  const Said open = account({"key", "show", dir_ / "alice.pub", "--json"});
  EXPECT_EQ(secret.text("kind"), "secret");
  EXPECT_EQ(open.text("kind"), "public");
  EXPECT_EQ(secret.text("id"), said.text("id"));
  EXPECT_EQ(open.text("id"), said.text("id"));
  EXPECT_EQ(open.text("name"), "alice");
}

TEST_F(KeyTest, NewOverwritesNeitherFile) {
  for (const char* file : {"alice.key", "alice.pub"}) {
    testing::TempDir here;
    std::ofstream(here / file) << "precious";
    const Said said = account({"key", "new", "alice", "--dir", here.path()});
    EXPECT_EQ(said.code, 1) << file;
    expect_one_line(said, file);
    EXPECT_THAT(said.err, HasSubstr("not overwritten"));
    EXPECT_EQ(testing::read_file(here / file), "precious");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(here.path()), {}), 1) << file;
  }
}

TEST_F(KeyTest, NewRefusesNamesThatAreNoFileNames) {
  for (const char* name : {"../alice", "a/b", ".hidden", "line\nfeed", ""}) {
    const Said said = account({"key", "new", name, "--dir", dir_.path()});
    EXPECT_EQ(said.code, 1) << name;
    expect_one_line(said, name);
  }
}

TEST_F(KeyTest, NewSaysWhereItCannotWrite) {
  const Said said = account({"key", "new", "alice", "--dir", dir_ / "no/such/folder"});
  EXPECT_EQ(said.code, 1);
  expect_one_line(said, "no folder");
  EXPECT_THAT(said.err, HasSubstr("no/such/folder"));
}

TEST_F(KeyTest, ShowRefusesWhatIsNoKey) {
  std::ofstream(dir_ / "text") << "hello\n";
  const Said said = account({"key", "show", dir_ / "text"});
  EXPECT_EQ(said.code, 2);
  expect_one_line(said, "text");
}

}  // namespace
}  // namespace account::cli
