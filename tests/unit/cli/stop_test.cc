// `account stop`, `account lift`, `account order`: with real keys and directories, good and bad.
#include <thread>

#include "unit/cli/authority_support.h"
#include "unit/order/support.h"

namespace account::cli {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using StopTest = AuthorityTest;

TEST_F(StopTest, DeliversWhatEveryJobWouldVerify) {
  make_authority();
  const Said said =
      account({"stop", "model:acme/chat-7b", "--because", "clause 4", "--ordered-by", "the court",
               "--quiet", "30", "--authority", authority(), "--key", key("night"), "--no-wait"});
  ASSERT_EQ(said.code, 0) << said.err;
  std::vector<order::Refused> refused;
  const auto found = directory().read_orders(refused);
  ASSERT_THAT(found, testing::IsOk());
  ASSERT_EQ(found->size(), 1u);
  const auto verified = order::verify_order(found->front().bytes, *directory().read_roots());
  ASSERT_THAT(verified, testing::IsOk());
  EXPECT_EQ(order::to_string(verified->order.scope), "model acme/chat-7b");
  EXPECT_EQ(verified->order.reason, "clause 4");
  EXPECT_EQ(verified->order.ordered_by, "the court");
  EXPECT_EQ(verified->order.quiet_seconds, 30);
  EXPECT_THAT(said.out, AllOf(HasSubstr(verified->order.hash_hex()), HasSubstr("'night'")));
}

TEST_F(StopTest, ScopesAreSaidInWords) {
  make_authority();
  const struct {
    const char* target;
    const char* scope;
  } cases[] = {{"all", R"({"all":true})"},
               {"r7", R"({"job":"r7"})"},
               {"job:4711", R"({"job":"4711"})"},
               {"slurm:4711", R"({"job":"4711"})"},
               {"model:acme/chat:7b", R"({"model":"acme/chat:7b"})"}};
  for (const auto& c : cases) {
    const Said said = account({"stop", c.target, "--because", "x", "--authority", authority(),
                               "--key", key("officer"), "--no-wait", "--json"});
    ASSERT_EQ(said.code, 0) << said.err;
    const auto json = said.json();
    ASSERT_NE(json.find("scope"), nullptr);
    EXPECT_EQ(json.find("scope")->dump(), c.scope);
  }
}

TEST_F(StopTest, ARunFolderIsStoppedByItsId) {
  make_authority();
  std::filesystem::create_directories(dir_ / "account/my-run/node-1f00ba5e");
  for (const std::string& target : {dir_ / "account/my-run", std::string("my-run")}) {
    const Said said = account({"stop", target, "--because", "x", "--authority", authority(),
                               "--key", key("officer"), "--no-wait", "--json"});
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.json().find("scope")->dump(), R"({"job":"my-run"})");
  }
}

TEST_F(StopTest, RefusesInOneLineAndDeliversNothing) {
  make_authority();
  const auto words = [&](const std::string& target, const std::string& key_file,
                         const std::string& because = "x") -> Words {
    return {"stop", target, "--because", because, "--authority", authority(), "--key", key_file};
  };
  const struct {
    Words words;
    int code;
    const char* says;
  } cases[] = {
      {words("all", key("foreign")), 2, "'foreign' is no stop key of authority 'acme'"},
      {words("all", key("ceo")), 2, "'ceo' is no stop key"},
      {words("all", pub("officer")), 1, "is a public key"},
      {words("all", dir_ / "no.key"), 1, "no.key"},
      {words("all", key("officer"), ""), 1, "--because is empty"},
      {words("user:bob", key("officer")), 1, "nothing that can be stopped"},
      {words("model:", key("officer")), 1, "nothing that can be stopped"},
      {words("no/such/run", key("officer")), 1, "is no run's folder"},
      {words("two words", key("officer")), 1, "two words"},
      {{"stop", "all", "--because", "x", "--authority", authority()}, 1, "--key is required"},
      {{"stop", "all", "--because", "x", "--key", key("officer")}, 1, "no authority was named"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority", ""},
       1,
       "an authority without a path"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority", authority(),
        "--draft", ""},
       1,
       "cannot"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority", dir_ / "none"},
       1,
       "none/root.json"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority",
        authority() + "#" + std::string(64, '0')},
       2,
       "the first root is"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority", authority(),
        "--quiet", "601"},
       1,
       "no number from 1 to 600"},
      {{"stop", "all", "--because", "x", "--key", key("officer"), "--authority", authority(),
        "--wait", "-1"},
       1,
       "--wait"},
  };
  for (const auto& c : cases) {
    const Said said = account(c.words);
    EXPECT_EQ(said.code, c.code) << c.says << said.err;
    EXPECT_EQ(said.out, "") << c.says;
    expect_one_line(said, c.says);
    EXPECT_THAT(said.err, HasSubstr(c.says));
    EXPECT_TRUE(files_in("orders").empty()) << c.says;
  }
}

TEST_F(StopTest, SaysWhenNobodyAnswered) {
  make_authority();
  const Said said = account({"stop", "r7", "--because", "x", "--authority", authority(), "--key",
                             key("officer"), "--wait", "0"});
  EXPECT_EQ(said.code, 5);
  expect_one_line(said, "no receipt");
  EXPECT_THAT(said.err, HasSubstr("no job has answered within 0 s; the order stands"));
  EXPECT_EQ(files_in("orders").size(), 1u);
}

// Answers the first order that appears, as the keeper of a node would.
std::thread answer(const order::AuthorityDirectory& directory, const std::string& last_state) {
  return std::thread([directory, last_state] {
    std::vector<order::Refused> refused;
    std::vector<order::Found> found;
    const bool delivered = testing::eventually(
        [&] {
          auto now = directory.read_orders(refused);
          if (now.ok()) found = *now;
          return !found.empty();
        },
        std::chrono::seconds(20));
    ASSERT_TRUE(delivered);
    const auto chain = directory.read_roots();
    order::Receipt receipt;
    receipt.order = order::verify_order(found[0].bytes, *chain)->order.hash;
    receipt.authority = chain->pin();
    receipt.run = "r7";
    receipt.node = "1f00ba5e";
    receipt.state = "stopping";
    ASSERT_THAT(directory.put_receipt(receipt), testing::IsOk());
    receipt.state = last_state;
    receipt.how = "agreed";
    receipt.ranks = {{0, "quiet", 12}, {1, "quiet", 12}};
    ASSERT_THAT(directory.put_receipt(receipt), testing::IsOk());
  });
}

TEST_F(StopTest, PrintsEachRanksReceiptAndWaitsUntilAllAreQuiet) {
  make_authority();
  std::thread keeper = answer(directory(), "quiet");
  const Said said = account({"stop", "r7", "--because", "x", "--authority", authority(), "--key",
                             key("officer"), "--wait", "30"});
  keeper.join();
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out,
              AllOf(HasSubstr("rank 0: quiet, last step 12 (agreed); run r7"),
                    HasSubstr("rank 1: quiet, last step 12 (agreed)"), HasSubstr("all are quiet")));
  EXPECT_EQ(said.err, "");
}

TEST_F(StopTest, IsNotContentWhileSomebodyStillStops) {
  make_authority();
  std::thread keeper = answer(directory(), "stopping");
  const Said said = account({"stop", "r7", "--because", "x", "--authority", authority(), "--key",
                             key("officer"), "--wait", "1", "--json"});
  keeper.join();
  EXPECT_EQ(said.code, 5);
  EXPECT_FALSE(said.json().get_bool("quiet").value());
  EXPECT_THAT(said.err, HasSubstr("run r7 on node 1f00ba5e (stopping)"));
}

TEST_F(StopTest, AReceiptOfAnotherAuthorityIsNoAnswer) {
  make_authority();
  const std::string hash = stop("r7");
  order::Receipt receipt;
  receipt.order = sign::digest_from_hex(hash).value();
  receipt.authority = std::string(64, 'e');
  receipt.run = "r7";
  receipt.node = "1f00ba5e";
  receipt.state = "quiet";
  ASSERT_THAT(directory().put_receipt(receipt), testing::IsOk());
  const Said said = account({"order", "send", authority() + "/orders/" + hash + ".json",
                             "--authority", authority(), "--wait", "0"});
  EXPECT_EQ(said.code, 5);
}

// ---- lift -----------------------------------------------------------------------------------

TEST_F(StopTest, ALiftLiftsOnlyWhatItNames) {
  make_authority();
  const std::string first = stop("r7"), second = stop("r8");
  const Said said = lift({first.substr(0, 12), "--key", key("ceo"), "--key", key("board")});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, AllOf(HasSubstr("stop of job r7"), HasSubstr("restarts nothing"),
                              ::testing::Not(HasSubstr(second.substr(0, 16)))));
  const Said rest = lift({"--all-standing", "--key", key("ceo"), "--key", key("cto"), "--json"});
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(rest.json().find("lifts")->dump(), "[\"" + second + "\"]");
  EXPECT_EQ(rest.json().get_integer("number").value(), 4);  // above every order before it
  const Said none = lift({"--all-standing", "--key", key("ceo"), "--key", key("cto")});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no stop of this authority stands"));
}

TEST_F(StopTest, LiftRefusesInOneLineAndDeliversNothing) {
  make_authority();
  const std::string hash = stop("r7");
  const struct {
    Words words;
    int code;
    const char* says;
  } cases[] = {
      {{hash, "--key", key("ceo")}, 2, "1 of the 2 lift keys that are needed"},
      {{hash, "--key", key("ceo"), "--key", key("ceo")}, 2, "1 of the 2 lift keys"},
      {{hash, "--key", key("officer"), "--key", key("night")}, 2, "'officer' is no lift key"},
      {{hash, "--key", key("ceo"), "--key", key("foreign")}, 2, "'foreign' is no lift key"},
      {{hash, "--key", pub("ceo")}, 1, "is a public key"},
      {{hash}, 2, "0 of the 2 lift keys"},
      {{"--key", key("ceo"), "--key", key("cto")}, 1, "no stop is named"},
      {{hash, "--all-standing", "--key", key("ceo"), "--key", key("cto")}, 1, "--all-standing"},
      {{"abc", "--key", key("ceo"), "--key", key("cto")}, 1, "'abc' names no order"},
      {{"zzzzzz", "--key", key("ceo"), "--key", key("cto")}, 1, "'zzzzzz' names no order"},
      {{std::string(64, '0'), "--key", key("ceo"), "--key", key("cto")}, 1, "no order '000"},
      {{hash, "--key", key("ceo"), "--key", key("cto"), "--valid-hours", "0"}, 1, "--valid-hours"},
  };
  for (const auto& c : cases) {
    const Said said = lift(c.words);
    EXPECT_EQ(said.code, c.code) << c.says << said.err;
    EXPECT_EQ(said.out, "") << c.says;
    expect_one_line(said, c.says);
    EXPECT_THAT(said.err, HasSubstr(c.says));
    EXPECT_EQ(files_in("orders").size(), 1u) << c.says;
  }
}

// One stop key must not be able to use the numbers up, and with them the lifts.
TEST_F(StopTest, AStopWithAnAbsurdNumberDoesNotHinderALift) {
  make_authority();
  order::Order odd = order::make_stop();
  odd.authority = "acme";
  odd.number = (int64_t{1} << 53) - 1;
  sign::Envelope envelope{std::string(order::kOrderType), order::write_order(odd).value(), {}};
  const auto officer = sign::parse_secret_key_file(testing::read_file(key("officer")));
  sign::add_signature(envelope, officer->key);
  ASSERT_THAT(directory().publish_order(envelope), testing::IsOk());
  const Said said = lift({"--all-standing", "--key", key("ceo"), "--key", key("cto"), "--json"});
  EXPECT_EQ(said.code, 0) << said.err;
}

TEST_F(StopTest, AnExpiredRootStillStopsAndLiftsNothing) {
  const order::Authority fixed;
  order::Root root = fixed.root();
  root.issued_unix = 1'500'000'000;  // 2017
  root.expires_unix = 1'600'000'000;
  ASSERT_THAT(directory().publish_root(fixed.signed_root(root)), testing::IsOk());
  const std::pair<const char*, const sign::SecretKey*> keys[] = {
      {"stop", &fixed.stop_a}, {"lift-a", &fixed.lift_a}, {"lift-b", &fixed.lift_b}};
  for (const auto& [name, secret] : keys) {
    std::ofstream(key(name)) << sign::secret_key_file(name, *secret);
  }
  const Said shown = account({"root", "show", authority()});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("EXPIRED"));
  const std::string hash = stop("r7", "stop");
  EXPECT_EQ(hash.size(), 64u);
  const Said said = lift({hash, "--key", key("lift-a"), "--key", key("lift-b")});
  EXPECT_EQ(said.code, 2);
  expect_one_line(said, "an expired root");
  EXPECT_THAT(said.err, AllOf(HasSubstr("lifts nothing"), HasSubstr("root next")));
  EXPECT_EQ(files_in("orders").size(), 1u);
}

// ---- the authority's log, and what is done where nobody answers -----------------------------

TEST_F(StopTest, TheLogHasWhatWasDoneAndShowsWhatWasChanged) {
  make_authority();
  const std::string hash = stop("r7");
  ASSERT_EQ(lift({hash, "--key", key("ceo"), "--key", key("cto")}).code, 0);
  const Words log = {"root", "log", authority()};
  const Said said = account(log);
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, AllOf(HasSubstr("root version 1"), HasSubstr("stop of job r7"),
                              HasSubstr("lift of 1 stop"), HasSubstr("head ")));
  const std::string head = said.out.substr(said.out.rfind("head ") + 5, 64);
  stop("r8");
  Words since = log;
  since.insert(since.end(), {"--since", head, "--json"});
  EXPECT_EQ(account(since).code, 0);

  // Orders come and go by other means, too; that is said.
  std::filesystem::remove(authority() + "/orders/" + hash + ".json");
  const Said gone = account(log);
  EXPECT_EQ(gone.code, 0);
  EXPECT_THAT(gone.out, HasSubstr("order " + hash.substr(0, 16) + " is not in orders/"));

  const std::string path = authority() + "/log.jsonl", bytes = testing::read_file(path);
  std::ofstream(path) << bytes.substr(bytes.find('\n') + 1);
  const Said changed = account(log);
  EXPECT_EQ(changed.code, 2);
  expect_one_line(changed, "a line less");
  std::filesystem::remove(path);
  const Said empty = account(since);
  EXPECT_EQ(empty.code, 2) << "the head is not in it";
  EXPECT_EQ(account(log).code, 0) << "an authority needs none";
}

TEST_F(StopTest, AnOrderStandsWhereTheLogCannotBeWritten) {
  make_authority();
  std::filesystem::remove(authority() + "/log.jsonl");
  std::filesystem::create_directories(authority() + "/log.jsonl");
  const Said said = account({"stop", "r7", "--because", "x", "--authority", authority(), "--key",
                             key("officer"), "--no-wait"});
  EXPECT_EQ(said.code, 0);
  expect_one_line(said, "no log");
  EXPECT_THAT(said.err, HasSubstr("what it was about stands"));
  EXPECT_EQ(files_in("orders").size(), 1u);
}

TEST_F(StopTest, ARefusedDeliveryIsInTheLog) {
  make_authority();
  const std::string draft = dir_ / "stop.json";
  ASSERT_EQ(
      account({"stop", "r7", "--because", "x", "--authority", authority(), "--draft", draft}).code,
      0);
  ASSERT_EQ(account({"order", "sign", draft, "--key", key("foreign")}).code, 0);
  EXPECT_EQ(account({"order", "send", draft, "--authority", authority()}).code, 2);
  EXPECT_THAT(account({"root", "log", authority()}).out, HasSubstr("refused "));
}

TEST_F(StopTest, ThenIsRunWhereNobodyAnswersAndIsInTheLog) {
  make_authority();
  const std::string trace = dir_ / "then";
  const Said said =
      account({"stop", "r7", "--because", "x", "--authority", authority(), "--key", key("officer"),
               "--wait", "4", "--then", "echo $ACCOUNT_ORDER > " + trace + "; exit 7"});
  EXPECT_EQ(said.code, 5) << said.err;
  EXPECT_THAT(said.err, HasSubstr("exit code 7"));
  const std::string hash = testing::read_file(trace).substr(0, 64);
  EXPECT_THAT(said.out, HasSubstr(hash));
  const Said log = account({"root", "log", authority()});
  EXPECT_THAT(log.out, AllOf(HasSubstr("after " + hash.substr(0, 16)), HasSubstr("exit code 7")));
  const Said useless = account({"stop", "r7", "--because", "x", "--authority", authority(), "--key",
                                key("officer"), "--no-wait", "--then", "true"});
  EXPECT_EQ(useless.code, 1);
  expect_one_line(useless, "--then with --no-wait");
}

TEST_F(StopTest, AStopSaysItsGraceAndItsClause) {
  make_authority();
  const Said said =
      account({"stop", "r7", "--because", "evaluation 12", "--clause", "clause 4.2", "--grace",
               "hold", "--authority", authority(), "--key", key("officer"), "--no-wait"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out, AllOf(HasSubstr("held in memory"), HasSubstr("under clause 4.2")));
  const Said shown =
      account({"order", "show", said.out.substr(6, 64), "--authority", authority(), "--json"});
  EXPECT_EQ(shown.text("grace"), "hold");
  EXPECT_EQ(shown.text("clause"), "clause 4.2");
  const Said odd = account({"stop", "r7", "--because", "x", "--grace", "mercy", "--authority",
                            authority(), "--key", key("officer"), "--no-wait"});
  EXPECT_EQ(odd.code, 1);
  expect_one_line(odd, "--grace mercy");
}

// ---- order ----------------------------------------------------------------------------------

TEST_F(StopTest, AnOrderIsSignedWhereItsKeysAre) {
  make_authority();
  const std::string hash = stop("r7"), draft = dir_ / "lift.json";
  const Said drawn = lift({hash, "--key", key("ceo"), "--draft", draft});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_EQ(files_in("orders").size(), 1u);
  const Said early = account({"order", "send", draft, "--authority", authority()});
  EXPECT_EQ(early.code, 2);
  expect_one_line(early, "one signature");
  ASSERT_EQ(account({"order", "sign", draft, "--key", key("board")}).code, 0);
  const Said shown = account({"order", "show", draft, "--authority", authority(), "--json"});
  EXPECT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(shown.text("signed_by"), "'ceo', 'board'");
  const Said sent = account({"order", "send", draft, "--authority", authority()});
  EXPECT_EQ(sent.code, 0) << sent.err;
  EXPECT_THAT(sent.out, HasSubstr("lifts " + hash.substr(0, 16)));
}

TEST_F(StopTest, ADraftWithoutASignatureCanBeReadAndNotSent) {
  make_authority();
  const std::string draft = dir_ / "stop.json";
  ASSERT_EQ(
      account({"stop", "all", "--because", "x", "--authority", authority(), "--draft", draft}).code,
      0);
  EXPECT_THAT(account({"order", "show", draft}).out, HasSubstr("stop of all jobs: x"));
  const Said sent = account({"order", "send", draft, "--authority", authority(), "--no-wait"});
  EXPECT_EQ(sent.code, 2);
  expect_one_line(sent, "no signature");
  EXPECT_TRUE(files_in("orders").empty());
}

TEST_F(StopTest, ShowSaysWhetherAnOrderVerifies) {
  make_authority();
  const std::string hash = stop("r7");
  const std::string path = authority() + "/orders/" + hash + ".json";
  const Said good = account({"order", "show", hash.substr(0, 8), "--authority", authority()});
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("verifies: signed by 'officer'"));
  EXPECT_THAT(account({"order", "show", path}).out, HasSubstr("not verified"));

  std::string bytes = testing::read_file(path);
  char& digit = bytes[bytes.find("\"sig\":\"") + 10];
  digit = digit == 'A' ? 'B' : 'A';  // another signature, still in base64
  const std::string flipped = dir_ / "flipped.json";
  std::ofstream(flipped) << bytes;
  const Said bad = account({"order", "show", flipped, "--authority", authority(), "--json"});
  EXPECT_EQ(bad.code, 2);
  expect_one_line(bad, "a flipped signature");
  EXPECT_FALSE(bad.json().get_bool("verifies").value());
}

TEST_F(StopTest, OrderRefusesInOneLine) {
  make_authority();
  std::ofstream(dir_ / "text") << "hello";
  const struct {
    Words words;
    int code;
  } cases[] = {
      {{"order", "show", "no-such-file"}, 1},
      {{"order", "show", "00000000", "--authority", authority()}, 1},
      {{"order", "show", dir_ / "text"}, 2},
      {{"order", "show", authority() + "/root.json"}, 2},
      {{"order", "sign", dir_ / "text", "--key", key("ceo")}, 2},
      {{"order", "send", dir_ / "none.json", "--authority", authority()}, 1},
      {{"order", "why", "no-such-run"}, 1},
  };
  for (const auto& c : cases) {
    const Said said = account(c.words);
    EXPECT_EQ(said.code, c.code) << c.words.back() << said.err;
    EXPECT_EQ(said.out, "") << c.words.back();
    expect_one_line(said, c.words.back());
  }
}

}  // namespace
}  // namespace account::cli
