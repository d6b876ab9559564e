// What ranks say they took in, on its way to the ledger, the status and the totals of a job.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/matchers.h"
#include "unit/keeper/support.h"

namespace account::keeper {
namespace {

using account::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ProcessedFixture : public KeeperFixture {
 protected:
  std::string ledger_text() {
    return *FileSystem::real().read(
        place_.run_folder() + "/node-" + place_.node + "/ledger/000001.jsonl", 1 << 20);
  }
  ledger::Report verify_steps() {
    return *ledger::verify(FileSystem::real(), place_.run_folder(), std::nullopt, &count::recount,
                           {.keep_steps = true});
  }
};

void train(TestRank& rank, uint64_t samples, uint64_t tokens) {
  rank.count(1000);
  tally::add_processed({samples, tokens});
  rank.step();
}

TEST_F(ProcessedFixture, StandsInTheLedgerStepByStep) {
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  for (int step = 0; step < 3; ++step) train(rank, 4, 128);
  turn_for(kSecond);
  train(rank, 4, 96);
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.processed, (Processed{16, 480}));
  const ledger::Report report = verify_steps();
  ASSERT_EQ(report.incarnations.size(), 1u);
  EXPECT_EQ(report.incarnations[0].processed, (Processed{16, 480}));
  const auto& [operations, samples, tokens] = report.incarnations[0].steps;
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0].first, 1u);
  EXPECT_EQ(tokens[0].count, 3u);
  EXPECT_EQ(tokens[0].value, OpCount(128));
  EXPECT_EQ(tokens[1].first, 4u);
  EXPECT_EQ(tokens[1].value, OpCount(96));
  uint64_t rows = 0;
  for (const ledger::StepRun& run : samples) rows += run.count * run.value.low();
  EXPECT_EQ(rows, 16u);
}

TEST_F(ProcessedFixture, ATrainerThatSaysNothingLeavesNoWordOfIt) {
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  rank.count(1000);
  rank.step();
  turn_for(2 * kSecond);
  EXPECT_EQ(intake(keeper_->status()), "");
  EXPECT_THAT(to_json(keeper_->status()).dump(), Not(HasSubstr("tokens")));
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.processed, Processed());
  EXPECT_THAT(ledger_text(), Not(HasSubstr("samples")));
  EXPECT_THAT(ledger_text(), Not(HasSubstr("tokens")));
}

TEST_F(ProcessedFixture, RanksAreAddedUpAndTheStatusSaysHowFast) {
  ASSERT_THAT(open(), IsOk());
  TestRank first(place_, rank_of(0, 2));
  train(first, 2, 100);
  TestRank second(place_, rank_of(1, 2));  // counts from here on
  train(second, 3, 50);
  turn_for(2 * kSecond);
  EXPECT_EQ(keeper_->status().job_processed, (Processed{5, 150}));
  tally::add_processed({0, 1000});
  turn_for(kSecond);
  EXPECT_EQ(keeper_->status().job_processed, (Processed{5, 1150}));
  EXPECT_GT(keeper_->status().tokens_per_second, 0u);
  EXPECT_THAT(intake(keeper_->status()), HasSubstr("5 samples, 1150 tokens, "));
  first.finish();
  second.finish();
  end();
  EXPECT_EQ(verify().totals.processed, (Processed{5, 1150}));
}

TEST_F(ProcessedFixture, ARankThatDiesKeepsWhatItSaid) {
  ASSERT_THAT(open(), IsOk());
  train_and_die([](TestRank& rank) {
    train(rank, 4, 128);
    tally::add_processed({1, 32});  // of a step that it never closes
  });
  TestRank again(place_, rank_of(0, 1));
  train(again, 4, 128);
  turn_for(kSecond);
  EXPECT_EQ(keeper_->status().job_processed, (Processed{9, 288}));
  again.finish();
  end();
  EXPECT_EQ(verify().totals.processed, (Processed{9, 288}));
}

TEST_F(ProcessedFixture, TheNextKeeperGoesOnFromWhatIsWritten) {
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  train(rank, 4, 128);
  turn_for(61 * kSecond);
  train(rank, 4, 64);
  keeper_.reset();  // as if killed: nothing of the second step was sealed
  ASSERT_THAT(open(), IsOk());
  train(rank, 4, 32);
  turn_for(kSecond);
  EXPECT_EQ(keeper_->status().job_processed, (Processed{12, 224}));
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.processed, (Processed{12, 224}));
  ledger::StepRun all;
  const ledger::Report report = verify_steps();
  for (const ledger::StepRun& run : report.incarnations[0].steps.tokens) {
    EXPECT_EQ(run.first, all.count + 1);  // no step twice, none left out
    all.count += run.count;
    all.sum = saturating_add(all.sum, saturating_multiply(run.value, run.count));
  }
  EXPECT_EQ(all.count, 3u);
  EXPECT_EQ(all.sum, OpCount(224));

  ASSERT_THAT(open(), IsOk());  // a session later it is still there
  turn_for(2 * kSecond);
  EXPECT_EQ(keeper_->status().job_processed, (Processed{12, 224}));
  end();
}

TEST_F(ProcessedFixture, APageThatTakesItBackDoesNotMakeTheLedgerFall) {
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  train(rank, 4, 128);
  turn_for(61 * kSecond);
  rank.layout().edge.tokens.store(5);
  train(rank, 4, 1);
  turn_for(61 * kSecond);
  rank.finish();
  end();
  EXPECT_EQ(verify().totals.processed, (Processed{8, 128}));
}

TEST_F(ProcessedFixture, OfAStepThatOnlyTookSomethingInASealIsDueAsWell) {
  ASSERT_THAT(open(), IsOk());
  TestRank rank(place_, rank_of(0, 1));
  train(rank, 4, 128);
  turn_for(61 * kSecond);
  tally::add_processed({4, 128});
  turn_for(61 * kSecond);
  EXPECT_EQ(verify().totals.processed, (Processed{8, 256}));
  rank.finish();
  end();
}

}  // namespace
}  // namespace account::keeper
