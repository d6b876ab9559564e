// account.toml: what it may say, and what goes before it.
#include "run/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/files.h"
#include "support/matchers.h"
#include "support/temp_dir.h"

namespace account {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

Environment table(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto entry = values.find(name);
    return entry == values.end() ? std::nullopt : std::optional(entry->second);
  };
}

TEST(ConfigurationTest, ValuesStandForVariablesAndPathsAreFromTheFilesFolder) {
  const auto said = parse_configuration(R"(
# of all jobs of this project
dir = "runs"
model = "acme/chat-7b"
policies = ["us-ca-sb1047-enrolled:pause@0.95", "eu-aia-51"]
authority = "/srv/acme#00ff"
parents = ["base.safetensors"]
metrics = "/var/lib/text"
quiet = true
seal_seconds = 30
)",
                                        "/project/account.toml");
  ASSERT_THAT(said.status(), testing::IsOk());
  EXPECT_THAT(said->values,
              UnorderedElementsAre(
                  Pair("ACCOUNT_DIR", "/project/runs"), Pair("ACCOUNT_MODEL", "acme/chat-7b"),
                  Pair("ACCOUNT_POLICIES", "us-ca-sb1047-enrolled:pause@0.95,eu-aia-51"),
                  Pair("ACCOUNT_AUTHORITY", "/srv/acme#00ff"),
                  Pair("ACCOUNT_PARENTS", "/project/base.safetensors"),
                  Pair("ACCOUNT_METRICS", "/var/lib/text"), Pair("ACCOUNT_QUIET", "1"),
                  Pair("ACCOUNT_SEAL_SECONDS", "30.000000")));
}

TEST(ConfigurationTest, AFaultNamesFileLineAndWhatToWrite) {
  const auto fault = [](const char* text) {
    const auto said = parse_configuration(text, "/p/account.toml");
    EXPECT_EQ(said.status().code(), Code::invalid_argument) << text;
    return said.status().to_string();
  };
  EXPECT_THAT(fault("\npolcies = ['p']"),
              AllOf(HasSubstr("/p/account.toml, line 2: there is no key 'polcies'"),
                    HasSubstr("did you mean 'policies'?")));
  EXPECT_THAT(fault("frobnicate = 'p'"),
              AllOf(HasSubstr("there is no key 'frobnicate'"), Not(HasSubstr("did you mean"))));
  EXPECT_THAT(fault("dir = "), HasSubstr("/p/account.toml, line 1"));
  EXPECT_THAT(fault("dir = 7"), AllOf(HasSubstr("'dir'"), HasSubstr("a path in quotes")));
  EXPECT_THAT(fault("dir = ''"), HasSubstr("a path in quotes"));
  EXPECT_THAT(fault("policies = 'a,b'"), HasSubstr("without commas"));
  EXPECT_THAT(fault("policies = ['a', '']"), HasSubstr("a list of texts"));
  EXPECT_THAT(fault("policies = true"), HasSubstr("a list of texts"));
  EXPECT_THAT(fault("quiet = 'yes'"), HasSubstr("true or false"));
  EXPECT_THAT(fault("seal_seconds = 'soon'"), HasSubstr("a number of seconds"));
  EXPECT_THAT(fault("[run]\nid = 'r'"), HasSubstr("/p/account.toml, line 1: here is no key"));
}

TEST(ConfigurationTest, TheEnvironmentGoesBefore) {
  const Environment both =
      configured(table({{"ACCOUNT_DIR", "/of/environment"}}),
                 {"/p/account.toml", {{"ACCOUNT_DIR", "/of/file"}, {"ACCOUNT_MODEL", "m"}}});
  EXPECT_EQ(both("ACCOUNT_DIR"), "/of/environment");
  EXPECT_EQ(both("ACCOUNT_MODEL"), "m");
  EXPECT_EQ(both("ACCOUNT_RUN"), std::nullopt);
}

TEST(ConfigurationTest, NoWeakerSourceTakesAnAuthorityOrASettingAway) {
  const Configuration file = {"/p/account.toml",
                              {{"ACCOUNT_AUTHORITY", "/srv/acme"}, {"ACCOUNT_SETTING", "lock"}}};
  const Environment both =
      configured(table({{"ACCOUNT_AUTHORITY", "/srv/other"}, {"ACCOUNT_SETTING", "count"}}), file);
  EXPECT_EQ(both("ACCOUNT_AUTHORITY"), "/srv/other,/srv/acme");
  EXPECT_EQ(both("ACCOUNT_SETTING"), "lock");
  const auto settings =
      make_settings({.dir = "/a", .run = "r", .authority = "/srv/own", .setting = "count"}, both);
  ASSERT_THAT(settings.status(), testing::IsOk());
  EXPECT_EQ(settings->authority, "/srv/own,/srv/acme");
  EXPECT_TRUE(settings->locks);
  const Configuration leased = {"/p/account.toml", {{"ACCOUNT_LEASE", "required"}}};
  EXPECT_EQ(configured(table({{"ACCOUNT_LEASE", "no"}}), leased)("ACCOUNT_LEASE"), "required");
  EXPECT_EQ(configured(table({}), leased)("ACCOUNT_LEASE"), "required");
  // A stricter environment stays stricter.
  const Environment strict = configured(table({{"ACCOUNT_SETTING", "lock"}}),
                                        {"/p/account.toml", {{"ACCOUNT_SETTING", "stop"}}});
  EXPECT_EQ(strict("ACCOUNT_SETTING"), "lock");
}

TEST(ConfigurationTest, IsReadWhereItIsNamedAndNotUnderOff) {
  const testing::TempDir dir;
  const std::string path = dir / "other.toml";
  ASSERT_THAT(FileSystem::real().write_atomically(path, "model = 'm'\n", 0644), testing::IsOk());
  const auto read = read_configuration(table({{"ACCOUNT_CONFIG", path}}));
  ASSERT_THAT(read.status(), testing::IsOk());
  EXPECT_EQ(read->values.at("ACCOUNT_MODEL"), "m");
  EXPECT_TRUE(
      read_configuration(table({{"ACCOUNT", "off"}, {"ACCOUNT_CONFIG", path}}))->path.empty());
  const auto gone = read_configuration(table({{"ACCOUNT_CONFIG", dir / "none.toml"}}));
  EXPECT_EQ(gone.status().code(), Code::not_found);
  EXPECT_THAT(gone.status().to_string(), HasSubstr("none.toml"));
}

Environment of_project_and_node(std::map<std::string, std::string> variables,
                                std::map<std::string, std::string> project,
                                std::map<std::string, std::string> node) {
  return configured(
      configured(table(std::move(variables)), {"/p/account.toml", std::move(project)}),
      {"/etc/account/account.toml", std::move(node)});
}

TEST(ConfigurationTest, TheNodesValuesAreTheWeakest) {
  const Environment all = of_project_and_node(
      {{"ACCOUNT_DIR", "/variable"}}, {{"ACCOUNT_DIR", "/project"}, {"ACCOUNT_MODEL", "project"}},
      {{"ACCOUNT_DIR", "/node"}, {"ACCOUNT_MODEL", "node"}, {"ACCOUNT_CLUSTER", "node"}});
  EXPECT_EQ(all("ACCOUNT_DIR"), "/variable");
  EXPECT_EQ(all("ACCOUNT_MODEL"), "project");
  EXPECT_EQ(all("ACCOUNT_CLUSTER"), "node");
}

TEST(ConfigurationTest, WhatTheNodeAsksOnlyEverAdds) {
  const std::map<std::string, std::string> node = {{"ACCOUNT_AUTHORITY", "/srv/node"},
                                                   {"ACCOUNT_SETTING", "lock"},
                                                   {"ACCOUNT_LEASE", "required"},
                                                   {"ACCOUNT_REQUIRE", "count"}};
  const Environment all = of_project_and_node(
      {{"ACCOUNT_AUTHORITY", "/srv/variable"},
       {"ACCOUNT_SETTING", "count"},
       {"ACCOUNT_LEASE", "no"},
       {"ACCOUNT_REQUIRE", "nothing"}},
      {{"ACCOUNT_AUTHORITY", "/srv/project"}, {"ACCOUNT_SETTING", "stop"}}, node);
  EXPECT_EQ(all("ACCOUNT_AUTHORITY"), "/srv/variable,/srv/project,/srv/node");
  EXPECT_EQ(all(kConfiguredAuthority), "/srv/project,/srv/node");
  EXPECT_EQ(all("ACCOUNT_SETTING"), "lock");
  EXPECT_EQ(all("ACCOUNT_LEASE"), "required");
  EXPECT_EQ(all("ACCOUNT_REQUIRE"), "count");
  const auto settings =
      make_settings({.dir = "/a", .run = "r", .authority = "/srv/own", .setting = "count"}, all);
  ASSERT_THAT(settings.status(), testing::IsOk());
  EXPECT_EQ(settings->authority, "/srv/own,/srv/project,/srv/node");
  EXPECT_TRUE(settings->locks && settings->lease && settings->require);
  // Where the node says nothing, the project's file adds as before.
  EXPECT_EQ(of_project_and_node({}, {{"ACCOUNT_LEASE", "required"}}, {})("ACCOUNT_LEASE"),
            "required");
}

TEST(ConfigurationTest, AMisspeltSettingOfAFileIsRefusedWhateverAVariableSays) {
  const Environment all =
      of_project_and_node({{"ACCOUNT_SETTING", "count"}}, {}, {{"ACCOUNT_SETTING", "stopp"}});
  const auto settings = make_settings({.dir = "/a", .run = "r"}, all);
  EXPECT_THAT(settings.status().to_string(), HasSubstr("'stopp' is no setting"));
  const auto required = make_settings({.dir = "/a", .run = "r"},
                                      of_project_and_node({}, {}, {{"ACCOUNT_REQUIRE", "all"}}));
  EXPECT_THAT(required.status().to_string(), HasSubstr("'all' is nothing that can be required"));
}

TEST(ConfigurationTest, OffIsNotForJobsOfWhichANodeAsksSomething) {
  const Environment off = table({{"ACCOUNT", "off"}});
  const auto node = [](const char* variable, const char* value) {
    return Configuration{kNodeConfiguration, {{variable, value}}};
  };
  for (const auto& [variable, value] :
       std::map<const char*, const char*>{{"ACCOUNT_AUTHORITY", "/srv/node"},
                                          {"ACCOUNT_LEASE", "required"},
                                          {"ACCOUNT_REQUIRE", "count"},
                                          {"ACCOUNT_SETTING", "stop"}}) {
    const Status may = may_be_off(off, node(variable, value));
    EXPECT_EQ(may.code(), Code::invalid_argument) << variable;
    EXPECT_THAT(may.to_string(), AllOf(HasSubstr(kNodeConfiguration), HasSubstr("unset ACCOUNT")));
    EXPECT_THAT(may_be_off(table({}), node(variable, value)), testing::IsOk()) << variable;
  }
  EXPECT_THAT(may_be_off(off, {}), testing::IsOk());
  EXPECT_THAT(may_be_off(off, node("ACCOUNT_MODEL", "m")), testing::IsOk());
  EXPECT_THAT(may_be_off(off, node("ACCOUNT_SETTING", "count")), testing::IsOk());
  EXPECT_EQ(may_be_off(table({{"ACCOUNT", "off"}, {"ACCOUNT_REQUIRE", "count"}}), {}).code(),
            Code::invalid_argument);
}

TEST(ConfigurationTest, TheNodesFileIsReadWhereOnlyRootCanWriteIt) {
  const testing::TempDir dir;
  const std::string path = dir / "account.toml";
  const auto read = [&] { return read_node_configuration(path, geteuid()); };
  ASSERT_THAT(read().status(), testing::IsOk());
  EXPECT_TRUE(read()->path.empty()) << "there is none";
  ASSERT_THAT(FileSystem::real().publish(path, "model = 'm'\n", 0644), testing::IsOk());
  ASSERT_THAT(read().status(), testing::IsOk());
  EXPECT_EQ(read()->values.at("ACCOUNT_MODEL"), "m");
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  EXPECT_THAT(read().status().to_string(),
              AllOf(HasSubstr("the node's configuration"), HasSubstr("can be written by others")));
  ASSERT_THAT(FileSystem::real().publish(path, "modle = 'm'\n", 0644), testing::IsOk());
  EXPECT_THAT(read().status().to_string(), HasSubstr(path + ", line 1"));
  std::filesystem::remove(path);
  std::filesystem::create_symlink(dir / "none", path);
  EXPECT_FALSE(read().ok()) << "it is there, and leads nowhere";
}

TEST(ConfigurationTest, ListsAreJoinedOnce) {
  EXPECT_EQ(join_lists("a,b", "b,c"), "a,b,c");
  EXPECT_EQ(join_lists("", "a"), "a");
  EXPECT_EQ(join_lists("a", ""), "a");
}

}  // namespace
}  // namespace account
