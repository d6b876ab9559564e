// When the keeper speaks, and what about.
#include "keeper/voice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace account::keeper {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

class VoiceTest : public ::testing::Test {
 protected:
  VoiceTest() {
    status_.run = "r";
    status_.run_folder = "/runs/r";
    status_.world_size = 2;
    status_.ranks = {{0, 0, 1, 5, 10}, {1, 1, 2, 5, 10}};
    status_.steps = 5;
    status_.node_operations = status_.job_operations = 20;
  }
  Voice voice(bool quiet = false) {
    return Voice([this](std::string_view line) { lines_.emplace_back(line); }, quiet);
  }
  static Distance at(double share, policy::Verdict verdict = policy::Verdict::below) {
    Distance distance;
    distance.policy = "p";
    distance.rule = "model";
    distance.verdict = verdict;
    distance.share = share;
    distance.threshold = 1000;
    return distance;
  }

  LiveStatus status_;
  std::vector<std::string> lines_;
};

TEST_F(VoiceTest, SpeaksSoonThenAtGrowingPausesUpToAMinute) {
  Voice voice = this->voice();
  std::vector<int> spoken;
  for (int second = 0; second < 300; ++second) {
    const size_t before = lines_.size();
    voice.progress(status_, {at(0.01)}, (second + 1) * kSecond);
    if (lines_.size() > before) spoken.push_back(second);
  }
  EXPECT_THAT(spoken, ElementsAre(3, 6, 12, 24, 48, 96, 156, 216, 276));
}

TEST_F(VoiceTest, EachTenthOfTheNearestThresholdIsSaidOnce) {
  Voice voice = this->voice();
  for (int percent = 0; percent < 50; ++percent) {
    for (int i = 0; i < 3; ++i) voice.progress(status_, {at(percent / 100.0 + 0.001)}, kSecond);
  }
  EXPECT_EQ(lines_.size(), 4u);  // at 10, 20, 30 and 40 %
}

TEST_F(VoiceTest, NothingIsSaidBeforeAnythingIsCounted) {
  Voice voice = this->voice();
  status_.job_operations = OpCount();
  for (int second = 0; second < 100; ++second) voice.progress(status_, {}, second * kSecond);
  EXPECT_THAT(lines_, IsEmpty());
}

TEST_F(VoiceTest, AVerdictIsSaidOnceAndEvenWhenQuiet) {
  Voice voice = this->voice(true);
  for (int i = 0; i < 5; ++i) {
    voice.progress(status_, {at(0.85, policy::Verdict::approaching)}, i * kSecond);
  }
  EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("p: approaching"), HasSubstr("85.0 %"))));
}

TEST_F(VoiceTest, RanksThatAreNotHereAreNamed) {
  Voice voice = this->voice();
  status_.world_size = 6;
  status_.nodes_seen = {"0000000b"};
  status_.silent_ranks = {4, 5};
  voice.progress(status_, {}, kSecond);
  voice.progress(status_, {}, 10 * kSecond);
  ASSERT_EQ(lines_.size(), 1u);
  EXPECT_THAT(lines_[0], HasSubstr("2 of 6 ranks here, 1 node more"));
  EXPECT_THAT(lines_[0], HasSubstr("nothing heard of 2 ranks"));
}

TEST_F(VoiceTest, TheRateIsAlsoSaidAsAShareOfThePeakWhereThatIsKnown) {
  Voice voice = this->voice();
  voice.progress(status_, {}, kSecond);
  voice.progress(status_, {}, 10 * kSecond);
  status_.mfu_percent = "41.2";
  voice.progress(status_, {}, 100 * kSecond);
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_THAT(lines_[0], ::testing::Not(HasSubstr("MFU")));
  EXPECT_THAT(lines_[1], HasSubstr(" a second, MFU 41.2 %"));
}

TEST_F(VoiceTest, TheLastLineIsTheCommandThatProves) {
  Voice voice = this->voice();
  status_.policy = "p";
  voice.ended(status_, {"p", "q"}, true);
  EXPECT_EQ(lines_.back(), "account: prove it: account prove /runs/r --policy p");
  voice.ended(status_, {}, false);
  EXPECT_THAT(lines_.back(), HasSubstr("counted 20 operations"));
}

}  // namespace
}  // namespace account::keeper
