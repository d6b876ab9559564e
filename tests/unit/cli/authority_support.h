// An authority made by the real `account`, for the tests of the verbs of the stop.
#pragma once

#include <sys/stat.h>

#include "order/authority.h"
#include "unit/cli/support.h"

namespace account::cli {

class AuthorityTest : public CliTest {
 protected:
  using Words = std::vector<std::string>;

  static unsigned mode_of(const std::string& path) {
    struct stat facts{};
    EXPECT_EQ(stat(path.c_str(), &facts), 0) << path;
    return facts.st_mode & 07777u;
  }

  // Makes NAME.key and NAME.pub in the test's folder.
  void make_keys(const Words& names) {
    for (const std::string& name : names) {
      const Said said = account({"key", "new", name, "--dir", dir_.path()});
      ASSERT_EQ(said.code, 0) << said.err;
    }
  }
  std::string key(const std::string& name) const { return dir_ / (name + ".key"); }
  std::string pub(const std::string& name) const { return dir_ / (name + ".pub"); }
  std::string authority() const { return dir_ / "acme"; }

  Words new_root() const {
    return {"root",     "new",          authority(), "--name",     "acme",
            "--stop",   pub("officer"), "--stop",    pub("night"), "--lift",
            pub("ceo"), "--lift",       pub("cto"),  "--lift",     pub("board"),
            "--root",   pub("ceo"),     "--root",    pub("cto")};
  }
  // Any of officer and night stops; two of ceo, cto and board lift.
  void make_authority() {
    make_keys({"officer", "night", "ceo", "cto", "board", "foreign"});
    Words words = new_root();
    for (const char* name : {"ceo", "cto"}) {
      words.insert(words.end(), {"--sign", key(name)});
    }
    const Said said = account(words);
    ASSERT_EQ(said.code, 0) << said.err;
  }

  // An order to stop that nobody waits for; its hash.
  std::string stop(const std::string& target, const std::string& by = "officer") {
    const Said said = account({"stop", target, "--because", "evaluation 12 failed", "--authority",
                               authority(), "--key", key(by), "--no-wait", "--json"});
    EXPECT_EQ(said.code, 0) << said.err;
    return said.text("order");
  }
  Said lift(const Words& more) {
    Words words = {"lift", "--authority", authority()};
    words.insert(words.end(), more.begin(), more.end());
    return account(words);
  }

  Words files_in(const std::string& folder) const {
    auto names = FileSystem::real().list(authority() + "/" + folder);
    EXPECT_THAT(names, testing::IsOk());
    return names.ok() ? *names : Words();
  }
  order::AuthorityDirectory directory() const {
    return {FileSystem::real(), order::AuthoritySpec{authority(), ""}};
  }
};

}  // namespace account::cli
