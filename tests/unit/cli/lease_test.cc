// `account lease`, with the real command and files.
#include "order/lease.h"

#include "unit/cli/authority_support.h"

namespace account::cli {
namespace {

using ::testing::HasSubstr;

class LeaseTest : public AuthorityTest {
 protected:
  LeaseTest() {
    make_keys({"officer", "night", "ceo", "cto", "board", "clerk", "deputy"});
    Words words = new_root();
    words.insert(words.end(), {"--lease", pub("clerk"), "--lease", pub("deputy"), "--sign",
                               key("ceo"), "--sign", key("cto")});
    const Said said = account(words);
    EXPECT_EQ(said.code, 0) << said.err;
  }
  Said renew(const std::string& target, const Words& more) {
    Words words = {"lease", "renew", target, "--authority", authority()};
    words.insert(words.end(), more.begin(), more.end());
    return account(words);
  }
};

TEST_F(LeaseTest, RenewPublishesOneThatVerifiesAndKeepsTheOneBefore) {
  for (int i = 0; i < 4; ++i) {
    const Said said = renew("job:r7", {"--for", "24h", "--key", key("clerk"), "--json"});
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(std::filesystem::exists(authority() + "/leases/" + said.text("lease") + ".json"));
  }
  ASSERT_EQ(renew("model:acme/chat", {"--for", "7d", "--key", key("deputy")}).code, 0);
  EXPECT_EQ(files_in("leases").size(), 3u) << "of one scope two, and the other's";
  const Said shown = account({"lease", "show", "--authority", authority(), "--json"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("\"number\": 5"));
  const Said told = account({"lease", "show", "--authority", authority()});
  EXPECT_THAT(told.out, HasSubstr("lease 3 of job r7: over or superseded"));
  EXPECT_THAT(told.out, HasSubstr("lease 4 of job r7: until"));
  EXPECT_THAT(told.out, HasSubstr("lease 5 of model acme/chat: until"));
  EXPECT_THAT(told.out, HasSubstr("by 'deputy'"));
  EXPECT_THAT(account({"root", "log", authority()}).out, HasSubstr("of job r7, until"));
}

TEST_F(LeaseTest, RenewRefusesOtherKeysAndWhatIsNoTime) {
  const Said foreign = renew("all", {"--for", "24h", "--key", key("officer")});
  EXPECT_EQ(foreign.code, 2);
  EXPECT_THAT(foreign.err, HasSubstr("held by 'clerk', 'deputy'"));
  EXPECT_EQ(renew("all", {"--for", "24h"}).code, 2) << "nobody signed";
  for (const char* time : {"24", "h", "0h", "1.5h", "367d", "24h ", "1w", "99999999999999d"}) {
    const Said said = renew("all", {"--for", time, "--key", key("clerk")});
    EXPECT_EQ(said.code, 1) << time;
    EXPECT_THAT(said.err, HasSubstr("is no time")) << time;
  }
  EXPECT_EQ(renew("planet:earth", {"--for", "1h", "--key", key("clerk")}).code, 1);
  EXPECT_FALSE(std::filesystem::exists(authority() + "/leases"));
}

TEST_F(LeaseTest, ARootSaysHowManyKeysItTakes) {
  ASSERT_EQ(account({"root", "next", authority(), "--lease-threshold", "2", "--sign", key("ceo"),
                     "--sign", key("cto")})
                .code,
            0);
  const Said one = renew("all", {"--for", "24h", "--key", key("clerk")});
  EXPECT_EQ(one.code, 2);
  EXPECT_THAT(one.err, HasSubstr("1 of the 2 lease keys"));
  const Said both = renew("all", {"--for", "24h", "--key", key("clerk"), "--key", key("deputy")});
  EXPECT_EQ(both.code, 0) << both.err;
  EXPECT_THAT(account({"root", "show", authority()}).out, HasSubstr("lease: any 2 of 2"));
}

TEST_F(LeaseTest, MayStartAnswersAsTheKeeperWould) {
  const Words ask = {"may-start",      "--authority", authority(), "--dir",
                     dir_ / "account", "--run",       "r7",        "--lease"};
  const Said without = account(ask);
  EXPECT_EQ(without.code, 86);
  EXPECT_THAT(without.err, HasSubstr("no lease"));
  ASSERT_EQ(renew("job:r7", {"--for", "24h", "--key", key("clerk")}).code, 0);
  EXPECT_EQ(account(ask).code, 0);
}

TEST_F(AuthorityTest, WithoutLeaseKeysNothingIsLeased) {
  make_authority();
  const Said said = account({"lease", "renew", "all", "--for", "24h", "--authority", authority(),
                             "--key", key("officer")});
  EXPECT_EQ(said.code, 1);
  EXPECT_THAT(said.err, HasSubstr("account root next DIR --lease KEY.pub"));
}

}  // namespace
}  // namespace account::cli
