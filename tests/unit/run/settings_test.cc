// Options and environment become settings.
#include "run/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/json.h"

namespace account {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

Environment table(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
}

TEST(RunIdTest, TheFirstNameThatIsThereNamesTheRun) {
  struct Case {
    std::map<std::string, std::string> variables;
    std::string id;
  };
  const std::vector<Case> cases = {
      {{{"ACCOUNT_RUN", "mine"}, {"TORCHELASTIC_RUN_ID", "t"}, {"SLURM_JOB_ID", "7"}}, "mine"},
      {{{"TORCHELASTIC_RUN_ID", "t"}, {"SLURM_JOB_ID", "7"}}, "t"},
      {{{"TORCHELASTIC_RUN_ID", "none"}, {"SLURM_JOB_ID", "7"}}, "slurm-7"},
      {{{"PBS_JOBID", "12.host"}}, "pbs-12.host"},
      {{{"LSB_JOBID", "5"}}, "lsf-5"},
  };
  for (const Case& test : cases) EXPECT_EQ(*choose_run_id(table(test.variables)), test.id);
}

TEST(RunIdTest, AProcessAloneGetsTheDateAndFourHex) {
  const std::string id = *choose_run_id(table({}));
  EXPECT_THAT(id, MatchesRegex("20[0-9]{6}-[0-9a-f]{4}"));
}

TEST(RunIdTest, RanksOfOneLauncherShareAnId) {
  const auto rank = [](const char* number) {
    return *choose_run_id(table({{"RANK", number},
                                 {"WORLD_SIZE", "2"},
                                 {"LOCAL_WORLD_SIZE", "2"},
                                 {"TORCHELASTIC_RUN_ID", "none"}}));
  };
  EXPECT_EQ(rank("0"), rank("1"));
}

TEST(RunIdTest, RanksOnSeveralNodesMustBeNamed) {
  const auto id = choose_run_id(
      table({{"WORLD_SIZE", "4"}, {"LOCAL_WORLD_SIZE", "2"}, {"TORCHELASTIC_RUN_ID", "none"}}));
  EXPECT_EQ(id.status().code(), Code::invalid_argument);
  EXPECT_THAT(id.status().to_string(), HasSubstr("ACCOUNT_RUN"));
  EXPECT_FALSE(choose_run_id(table({{"WORLD_SIZE", "4"}, {"MASTER_ADDR", "node-1"}})).ok());
  EXPECT_TRUE(choose_run_id(table({{"WORLD_SIZE", "4"}, {"MASTER_ADDR", "127.0.0.1"}})).ok());
}

TEST(SettingsTest, OptionsGoBeforeTheEnvironment) {
  const auto settings = make_settings({.model = "m", .dir = "/a", .run = "r", .policies = {"p"}},
                                      table({{"ACCOUNT_DIR", "/b"},
                                             {"ACCOUNT_RUN", "s"},
                                             {"ACCOUNT_MODEL", "n"},
                                             {"ACCOUNT_POLICIES", "q"}}));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->place.dir, "/a");
  EXPECT_EQ(settings->place.run, "r");
  EXPECT_EQ(settings->model, "m");
  EXPECT_THAT(settings->policies, ElementsAre("p"));
}

TEST(SettingsTest, UnderAccountRunTheEnvironmentDecidesWhereToMeet) {
  const auto settings =
      make_settings({.model = "m", .dir = "/a", .run = "r"},
                    table({{"ACCOUNT_KEEPER", "12"}, {"ACCOUNT_DIR", "/b"}, {"ACCOUNT_RUN", "s"}}));
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->place.dir, "/b");
  EXPECT_EQ(settings->place.run, "s");
  EXPECT_EQ(settings->model, "m");
}

TEST(SettingsTest, RanksAreReadFromTorchrunAndSchedulers) {
  const auto torchrun = make_settings({.run = "r"}, table({{"RANK", "5"},
                                                           {"WORLD_SIZE", "8"},
                                                           {"LOCAL_RANK", "1"},
                                                           {"LOCAL_WORLD_SIZE", "4"},
                                                           {"TORCHELASTIC_RESTART_COUNT", "2"}}));
  EXPECT_EQ(torchrun->identity.rank, 5);
  EXPECT_EQ(torchrun->identity.world_size, 8);
  EXPECT_EQ(torchrun->identity.local_rank, 1);
  EXPECT_EQ(torchrun->identity.local_world_size, 4);
  EXPECT_EQ(torchrun->identity.restart_count, 2u);
  const auto slurm = make_settings({.run = "r"}, table({{"SLURM_PROCID", "3"},
                                                        {"SLURM_STEP_NUM_TASKS", "5"},
                                                        {"SLURM_LOCALID", "1"},
                                                        {"SLURM_NODEID", "1"},
                                                        {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1"}}));
  EXPECT_EQ(slurm->identity.rank, 3);
  EXPECT_EQ(slurm->identity.world_size, 5);
  EXPECT_EQ(slurm->identity.local_rank, 1);
  EXPECT_EQ(slurm->identity.local_world_size, 2);
  const auto alone = make_settings({.run = "r"}, table({{"RANK", "two"}}));
  EXPECT_EQ(alone->identity.rank, 0);
  EXPECT_EQ(alone->identity.world_size, 1);
}

TEST(SettingsTest, ALocalWorldThatNobodyNamesIsUnknown) {
  const auto settings = make_settings({.run = "r"}, table({{"RANK", "1"}, {"WORLD_SIZE", "8"}}));
  EXPECT_EQ(settings->identity.local_world_size, -1);
}

TEST(SettingsTest, InAnAllocationAProcessWithoutSrunIsAlone) {
  const auto settings =
      make_settings({.run = "r"}, table({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}}));
  EXPECT_EQ(settings->identity.world_size, 1);
  EXPECT_EQ(settings->identity.local_world_size, 1);
}

TEST(SettingsTest, OffIsOffWhateverElseIsSet) {
  const auto settings = make_settings({.run = "not / usable"}, table({{"ACCOUNT", "off"}}));
  ASSERT_TRUE(settings.ok());
  EXPECT_TRUE(settings->off);
}

TEST(SettingsTest, ARunIdThatIsNoNameIsRefused) {
  for (const char* id : {"..", "a/b", "", "a b", "a\nb"}) {
    if (*id == '\0') continue;
    EXPECT_EQ(make_settings({.run = id}, table({})).status().code(), Code::invalid_argument) << id;
  }
}

TEST(SettingsTest, AnAuthorityComesFromTheOptionsOrTheEnvironment) {
  EXPECT_EQ(make_settings({.run = "r", .authority = "/etc/a"}, table({}))->authority, "/etc/a");
  EXPECT_EQ(make_settings({.run = "r"}, table({{"ACCOUNT_AUTHORITY", "/etc/a"}}))->authority,
            "/etc/a");
}

TEST(SettingsTest, AnAuthorityThatAccountRunDoesNotObeyIsRefused) {
  const auto asked = [](const char* obeyed) {
    return make_settings({.authority = "/etc/a"}, table({{"ACCOUNT_KEEPER", "7"},
                                                         {"ACCOUNT_RUN", "r"},
                                                         {"ACCOUNT_DIR", "/d"},
                                                         {"ACCOUNT_AUTHORITY", obeyed}}));
  };
  EXPECT_EQ(asked("").status().code(), Code::invalid_argument);
  EXPECT_EQ(asked("/etc/b").status().code(), Code::invalid_argument);
  ASSERT_TRUE(asked("/etc/b,/etc/a").ok()) << "more than the job asks for";
  EXPECT_EQ(asked("/etc/b,/etc/a")->authority, "/etc/b,/etc/a");
}

TEST(SettingsTest, WhoeverAsksForALeaseHasOneAskedForAndNobodyTakesItBack) {
  const auto lease = [](const char* option, std::map<std::string, std::string> variables) {
    variables["ACCOUNT_AUTHORITY"] = "/srv/acme";
    return make_settings({.run = "r", .lease = option}, table(std::move(variables)));
  };
  EXPECT_FALSE(lease("", {})->lease);
  EXPECT_TRUE(lease("required", {})->lease);
  EXPECT_TRUE(lease("", {{"ACCOUNT_LEASE", "required"}})->lease);
  for (const char* word : {"no", "off", "0", "Required"}) {
    EXPECT_EQ(lease(word, {{"ACCOUNT_LEASE", "required"}}).status().code(), Code::invalid_argument);
    EXPECT_EQ(lease("required", {{"ACCOUNT_LEASE", word}}).status().code(), Code::invalid_argument);
  }
  EXPECT_EQ(make_settings({.run = "r", .lease = "required"}, table({})).status().code(),
            Code::invalid_argument)
      << "nobody could renew it";
  EXPECT_EQ(lease("required", {{"ACCOUNT_KEEPER", "12"}}).status().code(), Code::invalid_argument)
      << "the keeper of account run would not heed it";
  EXPECT_TRUE(lease("", {{"ACCOUNT_KEEPER", "12"}, {"ACCOUNT_LEASE", "required"}})->lease);
}

TEST(SettingsTest, WhatIsTooLongForThePageIsRefused) {
  const auto settings = make_settings({.model = std::string(5000, 'm'), .run = "r"}, table({}));
  EXPECT_EQ(settings.status().code(), Code::invalid_argument);
}

TEST(SettingsTest, TheDeclarationIsJson) {
  const auto settings =
      make_settings({.model = "a \"b\"", .run = "r", .framework = "torch 2.13.0"}, table({}));
  const auto json = Json::parse(settings->identity.declaration, 4096);
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(*json->get_string("model"), "a \"b\"");
  EXPECT_EQ(*json->get_string("framework"), "torch 2.13.0");
}

TEST(SettingsTest, NodesAreNamedByAStableHash) {
  const auto a = make_settings({.run = "r"}, table({{"ACCOUNT_NODE", "a"}}));
  const auto b = make_settings({.run = "r"}, table({{"ACCOUNT_NODE", "b"}}));
  EXPECT_THAT(a->place.node, MatchesRegex("[0-9a-f]{8}"));
  EXPECT_EQ(a->place.node, make_settings({.run = "r"}, table({{"ACCOUNT_NODE", "a"}}))->place.node);
  EXPECT_NE(a->place.node, b->place.node);
  EXPECT_NE(a->place.page_folders(), b->place.page_folders());
}

TEST(SettingsTest, ListsDropEmptyParts) {
  EXPECT_THAT(split_list("a,b,,c"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(split_list(""), IsEmpty());
  EXPECT_THAT(split_list(","), IsEmpty());
}

}  // namespace
}  // namespace account
