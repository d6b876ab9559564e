// `account root`: nobody obeys a root before enough of its keys have signed it.
#include "unit/cli/authority_support.h"

namespace account::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using RootTest = AuthorityTest;

TEST_F(RootTest, NewMakesADirectoryThatEverybodyCanObey) {
  make_authority();
  EXPECT_EQ(mode_of(authority() + "/root.json"), 0644u);
  EXPECT_EQ(mode_of(authority() + "/orders"), 0755u);
  EXPECT_EQ(mode_of(authority() + "/receipts"), 01777u);
  const auto chain = directory().read_roots();
  ASSERT_THAT(chain, testing::IsOk());
  EXPECT_EQ(chain->authority(), "acme");
  EXPECT_EQ(chain->newest().lift.threshold, 2);
  EXPECT_EQ(chain->newest().root.threshold, 2);
  EXPECT_EQ(chain->newest().stop.keys.size(), 2u);
  const Said shown = account({"root", "show", authority(), "--json"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.text("pin"), chain->pin());
}

TEST_F(RootTest, AnUmaskDoesNotShutTheAuthorityToThoseWhoObey) {
  make_keys({"officer", "night", "ceo", "cto", "board"});
  std::string line = "umask 077; exec '" ACCOUNT_CLI "'";
  Words words = new_root();
  words.insert(words.end(), {"--sign", key("ceo"), "--sign", key("cto")});
  for (const std::string& word : words) line += " '" + word + "'";
  const Said said = spawn({"/bin/sh", "-c", line});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(mode_of(authority()), 0755u);
  EXPECT_EQ(mode_of(authority() + "/receipts"), 01777u);
  EXPECT_EQ(mode_of(authority() + "/root.json"), 0644u);
}

TEST_F(RootTest, WaitsUntilEnoughHaveSigned) {
  make_keys({"officer", "night", "ceo", "cto", "board", "foreign"});
  Words words = new_root();
  words.insert(words.end(), {"--sign", key("ceo")});
  const Said drawn = account(words);
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_THAT(drawn.out, HasSubstr("waits for 1 more of its 2 root keys"));
  const std::string pending = authority() + "/root.pending.json";
  EXPECT_EQ(account({"root", "show", authority()}).code, 1);  // nobody obeys it

  const Said foreign = account({"root", "sign", pending, "--key", key("foreign")});
  EXPECT_EQ(foreign.code, 2);
  expect_one_line(foreign, "a foreign key");
  const Said twice = account({"root", "sign", pending, "--key", key("ceo")});
  EXPECT_EQ(twice.code, 0) << twice.err;
  EXPECT_THAT(twice.out, HasSubstr("waits for 1 more"));

  const Said complete = account({"root", "sign", pending, "--key", key("cto")});
  EXPECT_EQ(complete.code, 0) << complete.err;
  EXPECT_THAT(complete.out, HasSubstr("published"));
  EXPECT_EQ(account({"root", "show", authority()}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(pending));
}

TEST_F(RootTest, TravelsToASignerAndBack) {
  make_keys({"officer", "night", "ceo", "cto", "board"});
  ASSERT_EQ(account(new_root()).code, 0);  // signed by nobody yet
  const std::string away = dir_ / "stick.json";
  std::filesystem::copy_file(authority() + "/root.pending.json", away);
  EXPECT_EQ(account({"root", "sign", away, "--key", key("ceo")}).code, 0);
  const Said early = account({"root", "sign", away, "--publish", authority()});
  EXPECT_THAT(early.out, HasSubstr("waits for 1 more"));
  EXPECT_EQ(account({"root", "sign", away, "--key", key("cto")}).code, 0);
  const Said said = account({"root", "sign", away, "--publish", authority()});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(account({"root", "show", authority()}).code, 0);
}

TEST_F(RootTest, NextKeepsWhatIsNotNamedAndNeedsTheKeysBefore) {
  make_authority();
  make_keys({"fresh"});
  const std::string standing = stop("all", "night");
  const Words words = {"root",       "next",   authority(), "--stop", pub("officer"), "--stop",
                       pub("fresh"), "--sign", key("ceo"),  "--sign", key("cto"),     "--json"};
  const Said said = account(words);
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.json().get_bool("published").value());
  const auto chain = directory().read_roots();
  ASSERT_THAT(chain, testing::IsOk());
  EXPECT_EQ(chain->newest().version, 2);
  EXPECT_EQ(chain->newest().lift.keys.size(), 3u);
  // A rotation is no lift: what the old key ordered stands.
  const Said shown = account({"order", "show", standing, "--authority", authority()});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(stop("all", "fresh").size(), 64u);
}

TEST_F(RootTest, NextBySomebodyElseWaits) {
  make_authority();
  const Said said = account({"root", "next", authority(), "--root", pub("foreign"), "--sign",
                             key("foreign"), "--root-threshold", "1", "--json"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_FALSE(said.json().get_bool("published").value());
  EXPECT_THAT(said.text("missing"), HasSubstr("the version before's 2 root keys"));
  EXPECT_EQ(directory().read_roots().value().newest().version, 1);
}

TEST_F(RootTest, ARevokedStopKeyStopsNoMore) {
  make_authority();
  const Said next = account({"root", "next", authority(), "--stop", pub("officer"), "--revoke",
                             pub("night"), "--sign", key("ceo"), "--sign", key("cto")});
  ASSERT_EQ(next.code, 0) << next.err;
  const Said said = account({"stop", "all", "--because", "x", "--authority", authority(), "--key",
                             key("night"), "--no-wait"});
  EXPECT_EQ(said.code, 2);
  EXPECT_TRUE(files_in("orders").empty());
}

TEST_F(RootTest, RefusesInOneLineAndLeavesNothing) {
  make_keys({"officer", "night", "ceo", "cto", "board"});
  const Words good = new_root();
  const auto with = [&](Words more) {
    Words words = good;
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const struct {
    Words words;
    int code;
    const char* says;
  } cases[] = {
      {{"root", "new", authority(), "--name", "acme", "--stop", key("officer"), "--lift",
        pub("ceo"), "--lift", pub("cto"), "--root", pub("ceo"), "--sign", key("ceo")},
       1,
       "is a secret key"},
      {with({"--sign", pub("ceo")}), 1, "is a public key"},
      {with({"--sign", key("board")}), 2, "is no root key"},
      {with({"--lift-threshold", "1"}), 1, "no number from 2 to 16"},
      {with({"--lift-threshold", "4"}), 2, "role lift"},
      {with({"--days", "soon"}), 1, "--days"},
      {with({"--stop", pub("officer")}), 1, "given twice"},
      {{"root", "new", authority(), "--name", "acme", "--stop", pub("officer"), "--lift",
        pub("ceo"), "--root", pub("ceo")},
       1,
       "two --lift keys"},
      {{"root", "new", authority(), "--name", "a b", "--stop", pub("officer"), "--lift", pub("ceo"),
        "--lift", pub("cto"), "--root", pub("ceo"), "--sign", key("ceo")},
       2,
       "cannot name an authority"},
      {{"root", "next", authority(), "--sign", key("ceo")}, 1, "root.json"},
      {{"root", "show", authority()}, 1, "root.json"},
      {{"root", "sign", pub("ceo"), "--key", key("ceo")}, 2, "ceo.pub"},
  };
  for (const auto& c : cases) {
    const Said said = account(c.words);
    EXPECT_EQ(said.code, c.code) << c.says << said.err;
    EXPECT_EQ(said.out, "") << c.says;
    expect_one_line(said, c.says);
    EXPECT_THAT(said.err, HasSubstr(c.says));
    EXPECT_FALSE(std::filesystem::exists(authority())) << c.says;
  }
}

TEST_F(RootTest, NewOverwritesNoRoot) {
  make_authority();
  const std::string before = testing::read_file(authority() + "/root.json");
  const Said said = account(new_root());
  EXPECT_EQ(said.code, 1);
  expect_one_line(said, "a second root");
  EXPECT_THAT(said.err, HasSubstr("root next"));
  EXPECT_EQ(testing::read_file(authority() + "/root.json"), before);
}

TEST_F(RootTest, HoldsTheProtocolThatStopsShouldNameAClauseOf) {
  make_keys({"officer", "night", "ceo", "cto", "board"});
  std::ofstream(dir_ / "protocol.md") << "clause 4.2: whoever is on duty stops\n";
  Words words = new_root();
  words.insert(words.end(),
               {"--protocol", dir_ / "protocol.md", "--sign", key("ceo"), "--sign", key("cto")});
  ASSERT_EQ(account(words).code, 0);
  const std::string digest = sign::to_hex(sign::sha256("clause 4.2: whoever is on duty stops\n"));
  EXPECT_EQ(account({"root", "show", authority(), "--json"}).text("protocol_sha256"), digest);
  EXPECT_THAT(account({"root", "show", authority()}).out, HasSubstr(digest));

  Words stop = {"stop",      "r7",    "--because",    "x",        "--authority",
                authority(), "--key", key("officer"), "--no-wait"};
  const Said silent = account(stop);
  EXPECT_EQ(silent.code, 0) << "it is a stop all the same";
  EXPECT_THAT(silent.err, HasSubstr("no --clause"));
  stop.insert(stop.end(), {"--clause", "4.2"});
  EXPECT_EQ(account(stop).err, "");

  Words missing = new_root();
  missing[2] = dir_ / "other";
  missing.insert(missing.end(), {"--protocol", dir_ / "no-such-file"});
  const Said refused = account(missing);
  EXPECT_EQ(refused.code, 1);
  expect_one_line(refused, "no protocol");
}

TEST_F(RootTest, ShowWarnsOfWhatWouldHurtLater) {
  make_keys({"solo", "ceo", "cto"});
  const Said said =
      account({"root", "new", authority(), "--name", "acme", "--stop", pub("solo"), "--lift",
               pub("ceo"), "--lift", pub("cto"), "--root", pub("ceo"), "--sign", key("ceo")});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, HasSubstr("every lift key is needed"));
  EXPECT_THAT(account({"root", "show", authority()}).out, HasSubstr("there is one stop key"));
}

TEST_F(RootTest, ShowRefusesAnotherPin) {
  make_authority();
  const Said said = account({"root", "show", authority() + "#" + std::string(64, 'a')});
  EXPECT_EQ(said.code, 2);
  expect_one_line(said, "another pin");
}

}  // namespace
}  // namespace account::cli
